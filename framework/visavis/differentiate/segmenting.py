"""Running every segmenter on one table of features."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.errors import PluginError, VisavisError
from visavis.history import Features
from visavis.identify.checks import Violations, check_id
from visavis.live.models import Memberships
from visavis.model import Progress
from visavis.plugin import Registry
from visavis.plugin.failures import type_and_place
from visavis.store import Operation, Store, Transaction
from visavis.store.generations import FittedPlugin, insert_memberships, insert_plugin

log = logging.getLogger("visavis.differentiate")


@dataclass(frozen=True, slots=True)
class Segmented:
    """What came of it: memberships by segmentation, and why others were left out. It is in the store when `storing` are
    through."""

    segmentations: Mapping[str, Memberships]
    failed: Mapping[str, str]
    storing: Sequence[Future[None]]


def run_segmenters(
    store: Store,
    registry: Registry,
    features: Features,
    objectors: NDArray[np.int32],
    generation: int,
    progress: Callable[[Progress], None],
) -> Segmented:
    """Fit and label with each segmenter; write memberships under a generation that is not served yet.

    Of `objectors`, the customers who objected to personalization, no segmenter sees anything.
    """
    features = _without(features, objectors)
    storing: list[Future[None]] = []
    segmentations: dict[str, Memberships] = {}
    failed: dict[str, str] = {}
    names = sorted(registry.segmenters)
    for place, name in enumerate(names):
        progress(Progress(f"segment {name}", place, len(names)))
        options = "{}"
        try:
            segmenter = registry.build_segmenter(name)
            options = json.dumps(asdict(segmenter.options))
            labels = _checked(segmenter.fit(features).label(features), len(features))
        except (Exception, SystemExit) as error:
            failed[name] = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
            log.warning("segmenter %s failed and is left out: %s", name, type_and_place(error))
            log.debug("traceback of segmenter %s", name, exc_info=error)
            left_out = FittedPlugin("segmenter", name, options, {}, failed[name])
            storing.append(store.writer.submit(_storing(generation, left_out, None)))
            continue
        inside = np.fromiter(map(bool, labels), dtype=np.bool_, count=len(labels))
        members = Memberships(features.codes[inside], [label for label in labels if label])
        learnt = FittedPlugin("segmenter", name, options, {})
        storing.append(store.writer.submit(_storing(generation, learnt, members)))
        segmentations[name] = members
    progress(Progress("segment", len(names), len(names)))
    return Segmented(segmentations, failed, storing)


def _without(features: Features, objectors: NDArray[np.int32]) -> Features:
    if not len(objectors):
        return features
    kept = np.flatnonzero(~np.isin(features.codes, objectors))
    return Features(
        codes=features.codes[kept],
        ids=[features.ids[place] for place in kept.tolist()],
        columns={name: column[kept] for name, column in features.columns.items()},
    )


def _checked(labels: Sequence[str], wanted: int) -> list[str]:
    found = ["" if label is None else str(label) for label in labels]
    if len(found) != wanted:
        raise PluginError(f"gave {len(found)} labels for {wanted} customers; give one a row")
    bad = Violations()
    for label in set(found):
        check_id(bad, "label", label, required=False)
    bad.check()
    return found


def _storing(generation: int, plugin: FittedPlugin, members: Memberships | None) -> Operation[None]:
    def apply(tx: Transaction) -> None:
        insert_plugin(tx, generation, plugin)
        if members is not None:
            insert_memberships(tx, generation, plugin.name, members.customers, members.segment_of)

    return Operation(apply)


__all__ = ["Segmented", "run_segmenters"]
