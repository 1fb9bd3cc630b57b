"""`cross_sell`: what is bought together with what this customer is buying now.

Two items belong together if they meet in baskets more often than chance would have it, by Dunning's log-likelihood
ratio ("Accurate methods for the statistics of surprise and coincidence", Computational Linguistics 19, 1993). Lift
alone would favour pairs that met once by accident; the ratio asks how sure one can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Customers, History, NeighbourScorer, Scorer, Sums, SumScorer, hookimpl, kernels
from visavis_plugins.scorers._latest import latest
from visavis_plugins.scorers._rows import CheckedRows
from visavis_plugins.scorers._tastes import LiveTastes, Tastes

_TEMPLATES = (
    ("bought_together", "often bought together with {item}, which you took notice of"),
    ("bought_together", "often bought together with {item}, which you looked at"),
    ("bought_together", "often bought together with {item}, which is in your cart"),
    ("bought_together", "often bought together with {item}, which you liked"),
    ("bought_together", "often bought together with {item}"),
)
"""Kind and text of a reason, by cause."""


class CrossSell(SumScorer, NeighbourScorer):
    """Items that share baskets with what the customer buys, carts or looks at these days.

    Score of item j = Σ over the customer's items i of the last days of weight_i · √G²(i, j), where G² is the
    log-likelihood ratio of the two in all baskets, nobody's included, and only pairs with a lift above 1 count. The
    root makes of it something like standard deviations, which may be added up. `neighbours` tells G² itself.
    """

    name: ClassVar[str] = "cross_sell"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """Which pairs count, and for how long an item calls for others."""

        neighbours: int = field(default=50, metadata={"doc": "items kept for each item", "minimum": 1, "maximum": 1000})
        least_ratio: float = field(
            default=10.83,
            metadata={"doc": "least G² of a pair; 10.83 is met by chance once in a thousand", "minimum": 0},
        )
        days: float = field(
            default=30.0,
            metadata={
                "doc": "days before a customer's last interaction that count; 0: all",
                "minimum": 0,
                "maximum": 36_500,
            },
        )

    options: Options
    neighbours_: NDArray[np.int32]
    strengths_: NDArray[np.float32]

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = LiveTastes()
        self._rows = CheckedRows()
        self._last: tuple[Customers, Customers] | None = None

    def fit(self, history: History) -> Self:
        """Learn the table: int32 and float32 [n_items, neighbours], the surest pairs first, −1 and 0 behind."""
        bought = history.is_kind("purchase") & (history.quantity > 0)
        baskets = kernels.basket_items(history.customer, history.basket, history.item, bought)
        neighbours, ratios = kernels.log_likelihood_top_k(*baskets, len(history.items), self.options.neighbours)
        unsure = ratios < self.options.least_ratio
        neighbours[unsure], ratios[unsure] = -1, 0.0
        self.neighbours_, self.strengths_ = neighbours, np.sqrt(ratios).astype(np.float32)
        # read-only as after `restore`: many threads read it
        self.neighbours_.flags.writeable = self.strengths_.flags.writeable = False
        return self

    def sums(self, customers: Customers) -> Sums:
        """What the customer lately did, with what is bought together with each."""
        tastes = self._tastes(customers)
        rows = self._rows.of(self.neighbours_, self.strengths_)
        return Sums(rows, _TEMPLATES, tastes.indptr, tastes.item, tastes.value, tastes.cause.astype(np.int32))

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes most surely bought together with `item`, and their G²; empty for an item never bought."""
        if not 0 <= item < len(self.neighbours_):
            return np.empty(0, dtype=np.int32), np.empty(0)
        codes = self.neighbours_[item, :n]
        return codes[codes >= 0], self.strengths_[item, :n][codes >= 0].astype(np.float64) ** 2

    def neighbour_table(self, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What was learnt, cut or filled up to `n` neighbours."""
        missing = max(0, n - self.neighbours_.shape[1])
        codes = np.pad(self.neighbours_[:, :n], ((0, 0), (0, missing)), constant_values=-1)
        return codes, np.pad(self.strengths_[:, :n].astype(np.float64) ** 2, ((0, 0), (0, missing)))

    def _tastes(self, customers: Customers) -> Tastes:
        # Asked twice about the same customers, to rank and to explain.
        last = self._last
        if last is None or last[0] is not customers:
            self._last = last = customers, latest(customers, self.options.days)
        return self._live.of(last[1], "presence")


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [CrossSell]


__all__ = ["CrossSell", "visavis_scorers"]
