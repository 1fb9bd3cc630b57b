"""All measures of the lists that one scorer made at one task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.customize.evaluation import measures
from visavis.customize.evaluation.measures import ACCURACIES, PLACES
from visavis.customize.evaluation.stage import Stage, Truth
from visavis.evaluation import Measure

DECIDING = ("ndcg", 10)
"""The measure by which scorers are compared."""


class Judge:
    """Knows what customers really bought; judges any number of scorers' lists for them."""

    def __init__(self, stage: Stage, truth: Truth) -> None:
        self.truth = truth
        self._stage = stage
        self._indptr, self._buyers = stage.buyers_by_item()
        self._n_buyers = stage.n_buyers
        self._habit = stage.mean_buyers()[truth.customers]

    def measure(
        self, lists: NDArray[np.int32], own: NDArray[np.bool_]
    ) -> tuple[tuple[Measure, ...], NDArray[np.float64]]:
        """Of lists int32 [n_customers, 20] (−1: an empty place): all measures, and the deciding one of each customer.

        `own`: which places the scorer filled itself. Their share, `own`, says how much of a figure is the scorer's.

        A measure that nobody's list allows, such as the popularity lift of customers who bought nothing, is left out.
        """
        stage, n_items, n_customers = self._stage, len(self._stage.items), self._n_buyers
        hits, sizes = measures.hits_of(lists, self.truth), np.diff(self.truth.indptr)
        values: dict[tuple[str, int], NDArray[np.float64]] = {}
        for at in PLACES:
            accuracy = measures.accuracy_at(hits, sizes, at)
            values |= {(name, at): getattr(accuracy, name) for name in ACCURACIES}
        at = PLACES[0]
        top = lists[:, :at]
        values["novelty", at] = measures.novelty(top, stage.buyers, n_customers)
        values["diversity", at] = measures.diversity(top, self._indptr, self._buyers, len(stage.ids))
        values["popularity_lift", at] = measures.popularity_lift(top, self._habit, stage.buyers)
        told = {key: own[~np.isnan(own)] for key, own in values.items()}
        taken = [Measure(*key, *measures.mean_and_error(own)) for key, own in told.items() if len(own)]
        whole = {"coverage": measures.coverage(top, n_items), "gini": measures.gini(top, n_items)}
        taken += [Measure(name, at, value, None) for name, value in whole.items() if np.isfinite(value)]
        taken += [Measure("own", at, float(own[:, :at].mean()), None) for at in PLACES]
        return tuple(taken), values[DECIDING]


__all__ = ["DECIDING", "Judge"]
