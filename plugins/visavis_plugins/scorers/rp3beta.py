"""`rp3beta`: where a random walk from the customer's items leads, through the customers who like them.

Three steps over the graph of customers and items, less for what is popular anyway (Paudel, Christoffel, Newell and
Bernstein, "Updatable, accurate, diverse, and scalable recommendations for interactive applications", ACM Transactions
on Interactive Intelligent Systems 7 (2017)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Customers, History, NeighbourScorer, Scorer, Sums, SumScorer, hookimpl, kernels
from visavis_plugins.scorers._fading import FadingTastes
from visavis_plugins.scorers._rows import CheckedRows
from visavis_plugins.scorers._tastes import CAUSES, past_tastes


class Rp3Beta(SumScorer, NeighbourScorer):
    """Items that a random walk from the customer's own reaches, the popular ones held down.

    Score of item j = Σ over the customer's items i of value_i · W(i, j) with

        W(i, j) = Σ over customers u of (x_ui / d_i)^alpha · (x_uj / d_u)^alpha · d_j^−beta

    x_ui is the value of item i for customer u, that of the strongest interaction; d sums them up, for an item or for a
    customer. Each item keeps its `neighbours` largest. Values of the request are read live, times `basket_decay` **
    (how many baskets ago), so a purchase counts in the next answer.
    """

    name: ClassVar[str] = "rp3beta"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """How the walk goes, and how far it is followed."""

        alpha: float = field(
            default=0.8, metadata={"doc": "exponent of each step's probability", "minimum": 0, "maximum": 3}
        )
        beta: float = field(
            default=0.4, metadata={"doc": "exponent that holds popular items down", "minimum": 0, "maximum": 3}
        )
        neighbours: int = field(
            default=100, metadata={"doc": "items kept for each item", "minimum": 1, "maximum": 1000}
        )
        basket_decay: float = field(
            default=1.0,
            metadata={
                "doc": "weight of a basket of the customer relative to the one after it; 1: all alike",
                "minimum": 0.01,
                "maximum": 1,
            },
        )

    options: Options
    neighbours_: NDArray[np.int32]
    weights_: NDArray[np.float32]

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = FadingTastes()
        self._rows = CheckedRows()

    def fit(self, history: History) -> Self:
        """Learn the table: int32 and float32 [n_items, neighbours], best first, −1 and 0 behind."""
        tastes, n_items = past_tastes(history, "presence"), len(history.items)
        alpha, beta = self.options.alpha, self.options.beta
        of_item = np.bincount(tastes.item, weights=tastes.value, minlength=n_items)
        of_customer = np.bincount(tastes.owner, weights=tastes.value, minlength=len(tastes.indptr) - 1)
        # W(i, j) is, but for a factor that only depends on i, the product of two columns of this matrix: x^alpha by
        # the root of the customer's share, by d^−beta for both. So the core that compares items finds the largest.
        data = (tastes.value / np.sqrt(of_customer[tastes.owner])) ** alpha * of_item[tastes.item] ** -beta
        layout = kernels.item_layout(tastes.indptr, tastes.item, data, n_items, kind="product")
        self.neighbours_, weights = kernels.similar_items(layout, self.options.neighbours)
        with np.errstate(divide="ignore"):
            factor = np.where(of_item > 0, of_item ** (beta - alpha), 0.0)
        self.weights_ = (weights * factor[:, None]).astype(np.float32)
        for array in (self.neighbours_, self.weights_):
            # read-only as after `restore`: many threads read it
            array.flags.writeable = False
        return self

    def sums(self, customers: Customers) -> Sums:
        """What the customer likes, with where a walk leads from each."""
        tastes = self._live.of(customers, self.options.basket_decay)
        rows = self._rows.of(self.neighbours_, self.weights_)
        return Sums(rows, CAUSES, tastes.indptr, tastes.item, tastes.value, tastes.cause.astype(np.int32))

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes that a walk from `item` most surely reaches, and their weights; empty for one never seen."""
        if not 0 <= item < len(self.neighbours_):
            return np.empty(0, dtype=np.int32), np.empty(0)
        codes = self.neighbours_[item, :n]
        return codes[codes >= 0], self.weights_[item, :n][codes >= 0].astype(np.float64)

    def neighbour_table(self, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What was learnt, cut or filled up to `n` neighbours."""
        missing = max(0, n - self.neighbours_.shape[1])
        codes = np.pad(self.neighbours_[:, :n], ((0, 0), (0, missing)), constant_values=-1)
        return codes, np.pad(self.weights_[:, :n].astype(np.float64), ((0, 0), (0, missing)))


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Rp3Beta]


__all__ = ["Rp3Beta", "visavis_scorers"]
