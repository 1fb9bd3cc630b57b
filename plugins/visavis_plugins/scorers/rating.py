"""`rating`: how would this customer rate it?

The founding formula of item-based collaborative filtering (Sarwar, Karypis, Konstan and Riedl, WWW 2001): items are
compared by adjusted cosine, and the ratings of the most similar ones are weighed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from visavis import (
    Contribution,
    Customers,
    Exclusions,
    History,
    Items,
    NeighbourScorer,
    ReasonColumns,
    Scorer,
    hookimpl,
    kernels,
)
from visavis_plugins.scorers._sparse import SparseScores
from visavis_plugins.scorers._tastes import LiveTastes, Tastes, past_tastes


class _ByNeighbour(NamedTuple):
    """The table turned round: which items have item i among their neighbours, and how similar they are."""

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    similarities: NDArray[np.float64]


class Rating(NeighbourScorer):
    """The rating that the customer's own ratings of similar items predict.

    Score of item j = Σ s(i, j) · r_i / Σ s(i, j) over the items i that he rated and that are among the neighbours of j,
    where s is the adjusted cosine, above 0 (`weighted_sum`). `centred` weighs the distances from his mean instead, and
    adds the mean. The latest rating of an item holds. What he rated already gets no opinion.

    A reason's part is its share in that mean. Without it the other shares would grow, so the score need not fall by it.
    """

    name: ClassVar[str] = "rating"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other ratings of yours"

    @dataclass(frozen=True)
    class Options:
        """How items are compared, and how a rating is predicted."""

        reading: Literal["all_customers", "co_rated"] = field(
            default="all_customers",
            metadata={"doc": "adjusted cosine over all customers, or over those who rated both"},
        )
        form: Literal["weighted_sum", "centred"] = field(
            default="weighted_sum", metadata={"doc": "mean of ratings, or the customer's mean and distances from it"}
        )
        neighbours: int = field(
            default=50, metadata={"doc": "similar items kept for each item", "minimum": 1, "maximum": 1000}
        )
        support: int = field(
            default=1, metadata={"doc": "rated neighbours that an opinion needs", "minimum": 1, "maximum": 1000}
        )

    options: Options
    neighbours_: NDArray[np.int32]
    similarities_: NDArray[np.float32]

    _turned: tuple[NDArray[np.int32], _ByNeighbour] | None = None

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = LiveTastes()

    def fit(self, history: History) -> Self:
        """Learn the table of neighbours: int32 and float32 [n_items, neighbours], best first, −1 and 0 behind; of a
        single column where nobody rates."""
        rated = past_tastes(history, "rating")
        k = self.options.neighbours if len(rated.item) else 1
        neighbours, similarities = kernels.adjusted_cosine_top_k(
            rated.indptr, rated.item, rated.value, len(history.items), k, reading=self.options.reading
        )
        self.neighbours_, self.similarities_ = neighbours, similarities.astype(np.float32)
        # read-only as after `restore`: many threads read it
        self.neighbours_.flags.writeable = self.similarities_.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN where the customer rated none of the candidate's neighbours, and for what he rated himself."""
        return self._predicted(customers).of(candidates.codes)

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only items that have a rated neighbour."""
        return self._predicted(customers).best(n, len(items), exclude)

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which ratings it is the mean of, the largest part first."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        rated, (n_items, k) = self._live.of(customers, "rating"), self.neighbours_.shape
        codes, means = chosen.ravel(), _means(rated)
        said = np.flatnonzero((codes >= 0) & (codes < n_items) & np.isfinite(scores.ravel()))
        neighbour, similar = self.neighbours_[codes[said]].ravel(), self.similarities_[codes[said]].ravel()
        spot = np.repeat(said, k)
        # Which of the customer's ratings is of that neighbour, if any.
        width = int(max(rated.item.max(initial=0), n_items)) + 1
        entry, hit = _find(
            rated.owner.astype(np.int64) * width + rated.item,
            np.where(neighbour >= 0, spot // max(chosen.shape[1], 1) * width + neighbour, -1),
        )
        spot, weight = spot[hit], similar[hit].astype(np.float64)
        share = weight / np.bincount(spot, weights=weight, minlength=chosen.size)[spot]
        item, rating = rated.item[entry], rated.value[entry]
        values, template = np.unique(rating, return_inverse=True)
        templates = [("because_you_rated", f"because you rated {{item}} {value:g}") for value in values.tolist()]
        amount = share * rating
        if self.options.form == "centred":
            owner, spots = spot // max(chosen.shape[1], 1), np.unique(spot)
            averages = means[spots // max(chosen.shape[1], 1)]
            amount = np.concatenate([share * (rating - means[owner]), averages])
            spot = np.concatenate([spot, spots])
            item = np.concatenate([item, np.full(len(spots), -1, dtype=np.int32)])
            template = np.concatenate([template, np.full(len(spots), len(templates))])
            templates.append(("your_average", "your average rating"))
        order = np.lexsort((-np.abs(amount), spot))
        return ReasonColumns(
            tuple(templates),
            np.concatenate([[0], np.cumsum(np.bincount(spot, minlength=chosen.size))]).astype(np.int64),
            template[order].astype(np.int32),
            item[order],
            amount[order],
        )

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes most like `item`, best first, and their similarities; empty for an item never rated."""
        if not 0 <= item < len(self.neighbours_):
            return np.empty(0, dtype=np.int32), np.empty(0)
        codes = self.neighbours_[item, :n]
        return codes[codes >= 0], self.similarities_[item, :n][codes >= 0].astype(np.float64)

    def neighbour_table(self, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What was learnt, cut or filled up to `n` neighbours."""
        missing = max(0, n - self.neighbours_.shape[1])
        codes = np.pad(self.neighbours_[:, :n], ((0, 0), (0, missing)), constant_values=-1)
        return codes, np.pad(self.similarities_[:, :n].astype(np.float64), ((0, 0), (0, missing)))

    def _predicted(self, customers: Customers) -> SparseScores:
        rated, turned, n_items = self._live.of(customers, "rating"), self._by_neighbour(), len(self.neighbours_)
        means, centred = _means(rated), self.options.form == "centred"
        value = rated.value - means[rated.owner] if centred else rated.value
        sums = SparseScores(*kernels.add_rows(rated.indptr, rated.item, value, *turned, n_items))
        ones = np.ones(len(rated.item))
        shares = kernels.add_rows(rated.indptr, rated.item, ones, *turned, n_items)[2]
        predicted = sums.value / shares
        if centred:
            predicted += means[sums.owner]
        found = SparseScores(sums.indptr, sums.item, predicted)
        if self.options.support > 1:
            counts = kernels.add_rows(rated.indptr, rated.item, ones, turned.indptr, turned.items, None, n_items)[2]
            found = found.kept(counts >= self.options.support)
        return found.without(rated.indptr, rated.item)

    def _by_neighbour(self) -> _ByNeighbour:
        turned = self._turned
        if turned is None or turned[0] is not self.neighbours_:
            n_items, k = self.neighbours_.shape
            parts = kernels.build_csr(
                self.neighbours_.ravel(),
                np.repeat(np.arange(n_items, dtype=np.int32), k),
                self.similarities_.ravel().astype(np.float64),
                n_items,
                n_items,
            )
            self._turned = turned = self.neighbours_, _ByNeighbour(*parts)
        return turned[1]


def _find(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where in the ascending `keys` those of `wanted` stand that are there, and which those are."""
    if not len(keys):
        return np.empty(0, dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    hit = keys[place] == wanted
    return place[hit], hit


def _means(rated: Tastes) -> NDArray[np.float64]:
    """The mean rating of each customer, 0 of none."""
    n = len(rated.indptr) - 1
    return np.bincount(rated.owner, weights=rated.value, minlength=n) / np.maximum(np.diff(rated.indptr), 1)


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Rating]


__all__ = ["Rating", "visavis_scorers"]
