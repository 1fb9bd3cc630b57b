"""`als`: items whose factors fit the customer's, found by matrix factorization of who likes what.

Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis_plugins.scorers._factors import learn_factors, shared_part
from visavis_plugins.scorers._fading import FadingTastes
from visavis_plugins.scorers._tastes import CAUSES, past_tastes

_FOR = CAUSES[:-1]
_AGAINST = tuple((kind.replace("because", "although"), text.replace("because", "although")) for kind, text in _FOR)
_AT_ONCE = 256
"""Customers whose equations are held in memory at the same time."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the customers like of the items that have factors; entry n is entry `entry[n]` of their tastes."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    value: NDArray[np.float64]
    cause: NDArray[np.int8]


class Als(Scorer):
    """Items that suit the customer by a few hundred numbers at most, learned from who likes what.

    Score of item i = x·y_i. The factors y of the items are learned; x is solved for at each request from all that the
    customer did up to then, so a purchase counts in the next answer, and customers newer than the fit are served:

        x = A⁻¹ Σ r_j y_j over his items j        A = Σ r_j y_j y_jᵀ + unobserved Σ over all items y yᵀ + ridge

    r_j is the value of his strongest interaction with item j, times `basket_decay` ** (how many baskets ago). So the
    score is the sum over his items of r_j y_i·A⁻¹y_j, and those are the reasons (section 5 of the paper). Who takes an
    item away changes A as well: unlike those of `ease`, the reasons say what each item adds among the others, not
    what would be left without it. Items that nobody liked by the fit have no score.
    """

    name: ClassVar[str] = "als"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """How factors are learned."""

        factors: int = field(
            default=64,
            metadata={
                "doc": "numbers for each item and customer; time and memory grow with it",
                "minimum": 1,
                "maximum": 512,
            },
        )
        regularization: float = field(
            default=0.005, metadata={"doc": "how much evidence a factor needs (λ)", "minimum": 1e-6, "maximum": 1e3}
        )
        unobserved: float = field(
            default=0.1,
            metadata={
                "doc": "weight of a pair that nothing is known of, beside 1 for a purchase",
                "minimum": 1e-6,
                "maximum": 10,
            },
        )
        iterations: int = field(
            default=10, metadata={"doc": "how often both sides are solved", "minimum": 1, "maximum": 500}
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
    factors_: NDArray[np.float32]
    liked_: NDArray[np.bool_]

    _by_factor: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]] | None = None

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = FadingTastes()

    def fit(self, history: History) -> Self:
        """Learn the items' factors: float32 [n_items, factors], 0 where `liked_`, bool [n_items], is not."""
        tastes, n_items = past_tastes(history, "presence"), len(history.items)
        sizes = np.diff(tastes.indptr)
        indptr = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
        self.liked_ = np.bincount(tastes.item, minlength=n_items) > 0
        options = self.options
        place = (np.cumsum(self.liked_) - 1).astype(np.int32)
        n_liked = int(np.count_nonzero(self.liked_))
        try:
            learned = learn_factors(
                indptr,
                place[tastes.item],
                tastes.value,
                n_liked,
                options.factors,
                options.unobserved,
                options.regularization,
                options.iterations,
            )
            self.factors_ = np.zeros((n_items, options.factors), dtype=np.float32)
        except MemoryError as error:
            raise MemoryError(
                f"no memory for {options.factors} factors of {len(indptr) - 1} customers and {n_liked} items; "
                "make factors smaller"
            ) from error
        self.factors_[self.liked_] = learned
        for array in (self.factors_, self.liked_):
            # read-only as after `restore`: many threads read it
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN for items that nobody liked by the fit, and for customers who like nothing that has factors."""
        codes = np.where(self._has_factors(candidates.codes), candidates.codes, -1).astype(np.int32)
        chosen = np.ascontiguousarray(np.broadcast_to(codes, (len(customers), len(codes))))
        scores: NDArray[np.float64] = kernels.factor_scores(self._vectors(customers), self._learned()[0], chosen)
        return scores

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Scores all items block by block and keeps the best of each customer."""
        hidden = exclude.everywhere | ~self._has_factors(items.codes)
        return kernels.factor_top(
            self._vectors(customers), self._learned()[0], hidden, exclude.indptr, exclude.indices, n
        )

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which of the customer's items brought how much of the score, the largest part first."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        known, m = self._known(customers), chosen.shape[1]
        indptr = np.zeros(chosen.size + 1, dtype=np.int64)
        taken = self._has_factors(chosen)
        np.cumsum((taken * np.diff(known.indptr)[:, None]).ravel(), out=indptr[1:])
        entries, amounts = np.empty(indptr[-1], dtype=np.int64), np.empty(indptr[-1])
        for first, matrices, _ in self._equations(known):
            for row, matrix in enumerate(matrices, start=first):
                own = np.arange(known.indptr[row], known.indptr[row + 1])
                places = np.flatnonzero(taken[row])
                if len(own) == 0 or len(places) == 0:
                    continue
                wanted = np.linalg.solve(matrix, self.factors_[chosen[row, places]].T.astype(np.float64))
                parts = (wanted.T @ self.factors_[known.item[own]].T.astype(np.float64)) * known.value[own]
                order = np.argsort(-parts, axis=1, kind="stable")
                begin = indptr[row * m + places[0]]
                entries[begin : begin + parts.size] = own[order].ravel()
                amounts[begin : begin + parts.size] = np.take_along_axis(parts, order, axis=1).ravel()
        template = known.cause[entries].astype(np.int32) + np.int32(len(_FOR)) * (amounts < 0)
        return ReasonColumns(_FOR + _AGAINST, indptr, template.astype(np.int32), known.item[entries], amounts)

    def _has_factors(self, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """bool like `codes`: which are items that somebody liked by the fit."""
        has: NDArray[np.bool_] = (codes >= 0) & (codes < len(self.liked_))
        has[has] = self.liked_[codes[has]]
        return has

    def _known(self, customers: Customers) -> _Known:
        tastes = self._live.of(customers, self.options.basket_decay)
        # What faded away to nothing says nothing.
        kept = self._has_factors(tastes.item) & (tastes.value > 0)
        indptr = np.concatenate([[0], np.cumsum(kept)])[tastes.indptr].astype(np.int64)
        return _Known(indptr, tastes.item[kept], tastes.value[kept], tastes.cause[kept])

    def _vectors(self, customers: Customers) -> NDArray[np.float64]:
        """The customers' factors, float64 [n, factors]; NaN for who likes nothing that has any."""
        known = self._known(customers)
        vectors = np.full((len(customers), self.options.factors), np.nan)
        for first, matrices, sides in self._equations(known):
            # One after the other: what comes of a customer must not depend on who else is asked about.
            for row, (matrix, side) in enumerate(zip(matrices, sides, strict=True), start=first):
                if known.indptr[row] < known.indptr[row + 1]:
                    vectors[row] = np.linalg.solve(matrix, side)
        return vectors

    def _equations(self, known: _Known) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
        """The equations of some customers at a time: the first one's row, and what `normal_equations` gives."""
        _, shared = self._learned()
        n_items = int(np.count_nonzero(self.liked_))
        sums = np.add.reduceat(np.append(known.value, 0.0), known.indptr)[:-1] if len(known.indptr) > 1 else np.empty(0)
        sums[known.indptr[:-1] == known.indptr[1:]] = 0.0
        ridge = self.options.regularization * (sums + self.options.unobserved * n_items)
        for first in range(0, len(ridge), _AT_ONCE):
            last = min(first + _AT_ONCE, len(ridge))
            begin, end = known.indptr[first], known.indptr[last]
            yield (
                first,
                *kernels.normal_equations(
                    known.indptr[first : last + 1] - begin,
                    known.item[begin:end],
                    known.value[begin:end],
                    self.factors_,
                    shared,
                    ridge[first:last],
                ),
            )

    def _learned(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The factors by factor, and what all items contribute to a customer's equations. Made once; threads that race
        make them twice."""
        made = self._by_factor
        if made is None or made[0] is not self.factors_:
            turned = np.ascontiguousarray(self.factors_.T)
            self._by_factor = made = (self.factors_, turned, shared_part(self.factors_, self.options.unobserved))
        return made[1], made[2]


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Als]


__all__ = ["Als", "visavis_scorers"]
