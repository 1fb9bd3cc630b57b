"""`ease`: items that go with what this customer likes, each weighed against all the others.

A linear model (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019). Unlike similarities, its
weights know of one another: of two items that say the same, each counts half, and a weight may be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis_plugins.scorers._fading import FadingTastes
from visavis_plugins.scorers._linear_weights import ease_weights
from visavis_plugins.scorers._tastes import CAUSES, Tastes, past_tastes

_FOR = CAUSES[:-1]
_AGAINST = tuple((kind.replace("because", "although"), text.replace("because", "although")) for kind, text in _FOR)


class Ease(Scorer):
    """Items that go with what this customer likes, found by one regression of all items on one another.

    Score of item j = Σ over the customer's items i of value_i · weight(i, j). The value is that of the strongest
    interaction with the item, times `basket_decay` ** (how many baskets ago it last was). Weights are learned from
    everybody, of all times alike; values are read live, so a purchase counts in the next answer. An item beyond
    the `max_items` most bought has no weights and so no score, and neither has one for which none of the customer's
    items speaks. A negative part is said with "although".
    """

    name: ClassVar[str] = "ease"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """How weights are learned, and how many are kept."""

        regularization: float = field(
            default=500.0,
            metadata={
                "doc": "how much evidence a weight needs (λ): more for more customers",
                "minimum": 0.001,
                "maximum": 1e9,
            },
        )
        max_items: int = field(
            default=4000,
            metadata={
                "doc": "items that are learned, the most bought; memory grows with the second power of it, time with "
                "the third (4000: seconds and 300 MB; 20000: minutes and 6 GB)",
                "minimum": 1,
                "maximum": 40_000,
            },
        )
        neighbours: int = field(
            default=500,
            metadata={"doc": "strongest weights kept for each item; 0: all", "minimum": 0, "maximum": 40_000},
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
    starts_: NDArray[np.int64]
    targets_: NDArray[np.int32]
    weights_: NDArray[np.float32]

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = FadingTastes()

    def fit(self, history: History) -> Self:
        """Learn the weights: CSR by the item that speaks, [n_items + 1], [n_weights] and [n_weights]."""
        tastes, n_items = past_tastes(history, "presence"), len(history.items)
        learned = _most_liked(tastes, n_items, self.options.max_items)
        indptr, indices, data = _columns(tastes, learned, n_items)
        try:
            starts, targets, weights = ease_weights(
                indptr, indices, data, len(learned), self.options.regularization, self.options.neighbours
            )
        except MemoryError as error:
            raise MemoryError(
                f"no memory for {len(learned)} x {len(learned)} weights; make max_items smaller"
            ) from error
        sizes = np.zeros(n_items, dtype=np.int64)
        sizes[learned] = np.diff(starts)
        self.starts_ = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.targets_, self.weights_ = learned[targets], weights
        for array in (self.starts_, self.targets_, self.weights_):
            # read-only as after `restore`: many threads read it
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN where no item of the customer speaks for or against the candidate."""
        chosen = np.ascontiguousarray(np.broadcast_to(candidates.codes, (len(customers), len(candidates))))
        scores: NDArray[np.float64] = kernels.linear_scores(*self._asked(customers), chosen)
        return scores

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only the weights of what each customer likes."""
        return kernels.linear_top(*self._asked(customers), exclude.everywhere, exclude.indptr, exclude.indices, n)

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which of the customer's items brought how much of the score, the largest part first."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        indptr, entries, amounts = kernels.linear_parts(*self._asked(customers), chosen)
        tastes = self._live.of(customers, self.options.basket_decay)
        template = tastes.cause[entries].astype(np.int32) + len(_FOR) * (amounts < 0)
        return ReasonColumns(_FOR + _AGAINST, indptr, template.astype(np.int32), tastes.item[entries], amounts)

    def _asked(
        self, customers: Customers
    ) -> tuple[
        NDArray[np.int64],
        NDArray[np.int32],
        NDArray[np.float64],
        NDArray[np.int64],
        NDArray[np.int32],
        NDArray[np.float32],
    ]:
        """What the kernels ask: what each customer likes, and the table of weights."""
        tastes = self._live.of(customers, self.options.basket_decay)
        return tastes.indptr, tastes.item, tastes.value, self.starts_, self.targets_, self.weights_


def _most_liked(tastes: Tastes, n_items: int, n: int) -> NDArray[np.int32]:
    """The codes of the n items that most customers like, ascending; of equally liked ones the smaller codes."""
    likers = np.bincount(tastes.item, minlength=n_items)
    best = np.argsort(-likers, kind="stable")[:n]
    return np.sort(best[likers[best] > 0]).astype(np.int32)


def _columns(
    tastes: Tastes, learned: NDArray[np.int32], n_items: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """The tastes for some items as a matrix of its own, without the customers who like none of them."""
    place = np.full(n_items, -1, dtype=np.int32)
    place[learned] = np.arange(len(learned))
    column = place[tastes.item]
    known = column >= 0
    sizes = np.bincount(tastes.owner[known], minlength=len(tastes.indptr) - 1)
    indptr = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
    return indptr, column[known], tastes.value[known]


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Ease]


__all__ = ["Ease", "visavis_scorers"]
