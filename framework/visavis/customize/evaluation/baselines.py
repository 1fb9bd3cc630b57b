"""What every scorer must beat: what is bought most, what is bought most lately, and what the customer bought most.

They are the framework's own, so that they stand in every table whatever plugins there are.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import DAY, Customers, History, Items
from visavis.plugin import Scorer

LATELY_DAYS = 28


class Popular(Scorer):
    """By the number of buyers ever."""

    name: ClassVar[str] = "popular_ever"
    mode: ClassVar = "fitted"
    personal: ClassVar[bool] = False
    recommends_bought: ClassVar[bool] = True

    def fit(self, history: History) -> Self:
        bought = history.is_kind("purchase") & (history.quantity > 0) & (history.time >= self._since(history))
        rows = kernels.last_of_pairs(history.customer, history.item, bought, len(history.items))
        self.buyers_ = np.bincount(history.item[rows], minlength=len(history.items)).astype(np.float64)
        return self

    def _since(self, history: History) -> int:
        return int(np.iinfo(np.int64).min)

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        return np.tile(_of(self.buyers_, candidates.codes), (len(customers), 1))


class Lately(Popular):
    """By the number of buyers in the last four weeks."""

    name: ClassVar[str] = "popular_lately"

    def _since(self, history: History) -> int:
        return history.now - LATELY_DAYS * DAY


class OwnCounts(Popular):
    """By how many of the customer's own baskets held the item; ties, and free places, by buyers ever."""

    name: ClassVar[str] = "own_counts"
    personal: ClassVar[bool] = True

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        # A share below 1 breaks ties and never more.
        share = self.buyers_ / (self.buyers_.max(initial=0) + 1)
        scores = np.tile(_of(share, candidates.codes), (len(customers), 1))
        taken = customers.is_kind("purchase") & (customers.quantity > 0) & (customers.item >= 0)
        owner = np.repeat(np.arange(len(customers), dtype=np.int64), np.diff(customers.indptr))[taken]
        once = np.unique(np.stack([owner, customers.item[taken], customers.basket[taken]], axis=1), axis=0)
        place = np.full(int(max(candidates.codes.max(initial=-1), once[:, 1].max(initial=-1))) + 1, -1)
        place[candidates.codes[candidates.codes >= 0]] = np.flatnonzero(candidates.codes >= 0)
        column = place[once[:, 1]]
        np.add.at(scores, (once[column >= 0, 0], column[column >= 0]), 1.0)
        return scores


def _of(values: NDArray[np.float64], codes: NDArray[np.int32]) -> NDArray[np.float64]:
    """The values of these items; NaN for those that are not known."""
    known = (codes >= 0) & (codes < len(values))
    line = np.full(len(codes), np.nan)
    line[known] = values[codes[known]]
    return line


BASELINES = (Popular, Lately, OwnCounts)

__all__ = ["BASELINES", "LATELY_DAYS", "Lately", "OwnCounts", "Popular"]
