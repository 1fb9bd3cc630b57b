"""The contract of segmenters as tests: subclass, set `plugin`, run under pytest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from visavis.history import Features
from visavis.plugin.segmenter import Segmenter
from visavis.testing.builders import make_features
from visavis.testing.plugins import PluginContract, assert_same_state, through_the_store

_N_CUSTOMERS = 60


class SegmenterContract(PluginContract):
    """Subclass and set `plugin`; `options` is optional."""

    plugin: ClassVar[type[Segmenter]]

    def features(self, seed: int = 1) -> Features:
        """What the segmenter under test learns from: 60 customers, every tenth of whom never bought."""
        rng = np.random.default_rng(seed)
        rows = np.column_stack(
            [
                rng.integers(0, 400, _N_CUSTOMERS).astype(float),
                rng.integers(1, 30, _N_CUSTOMERS).astype(float),
                np.round(rng.lognormal(9, 1, _N_CUSTOMERS)),
                rng.integers(400, 900, _N_CUSTOMERS).astype(float),
            ]
        )
        rows[::10] = np.nan
        return make_features([(a, b, c, d) for a, b, c, d in rows.tolist()])

    def fitted(self, seed: int = 1) -> Segmenter:
        """The segmenter under test after `fit`."""
        segmenter: Segmenter = self.make()
        return segmenter.fit(self.features(seed))

    def test_fit_returns_self(self) -> None:
        segmenter: Segmenter = self.make()
        assert segmenter.fit(self.features()) is segmenter

    def test_fit_twice_replaces(self) -> None:
        once, twice = self.fitted(seed=1), self.fitted(seed=2).fit(self.features(seed=1))
        assert_same_state(once.state(), twice.state())

    def test_state_survives_the_store(self) -> None:
        segmenter = self.fitted()
        again: Segmenter = self.make()
        again.restore(through_the_store(segmenter.state()))
        assert list(segmenter.label(self.features())) == list(again.label(self.features()))

    def test_one_label_a_row(self) -> None:
        labels = self.fitted().label(self.features())
        assert len(labels) == _N_CUSTOMERS
        assert all(isinstance(label, str) for label in labels), "labels are texts"
        assert any(labels), "not one of the customers is in a segment"

    def test_labels_repeat_themselves(self) -> None:
        assert list(self.fitted().label(self.features())) == list(self.fitted().label(self.features()))

    def test_labels_follow_their_rows(self) -> None:
        features, order = self.features(), np.random.default_rng(3).permutation(_N_CUSTOMERS)
        labels = list(self.fitted().label(features))
        assert list(self.fitted().label(_rows(features, order))) == [labels[place] for place in order]
        shuffled: Segmenter = self.make()
        shuffled.fit(_rows(features, order))
        assert list(shuffled.label(features)) == labels, "what is learned must not depend on the order of rows"

    def test_batch_equals_single(self) -> None:
        segmenter, features = self.fitted(), self.features()
        singles = [segmenter.label(_rows(features, np.array([place])))[0] for place in range(_N_CUSTOMERS)]
        assert list(segmenter.label(features)) == singles

    def test_empty_table(self) -> None:
        nobody = make_features([])
        segmenter: Segmenter = self.make()
        segmenter.fit(nobody)
        through_the_store(segmenter.state())
        assert len(segmenter.label(nobody)) == 0
        assert len(segmenter.label(self.features())) == _N_CUSTOMERS, (
            "after a fit to nobody, everybody still has a label"
        )
        assert len(self.fitted().label(nobody)) == 0


def _rows(features: Features, order: NDArray[np.int64]) -> Features:
    return Features(
        codes=features.codes[order],
        ids=[features.ids[place] for place in order.tolist()],
        columns={name: values[order] for name, values in features.columns.items()},
    )


__all__ = ["SegmenterContract"]
