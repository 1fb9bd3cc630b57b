"""`item_similarity`: items like those that this customer bought, looked at or rated well.

Item-based collaborative filtering (Sarwar, Karypis, Konstan and Riedl, WWW 2001): two items are alike if the same
customers like both. The table of neighbours is learned; what the customer did is read live.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import (
    Changes,
    Customers,
    History,
    NeighbourScorer,
    Scorer,
    Sums,
    SumScorer,
    hookimpl,
    kernels,
)
from visavis_plugins.scorers._matrix import Matrix, differing
from visavis_plugins.scorers._rows import CheckedRows
from visavis_plugins.scorers._tastes import CAUSES, LiveTastes, Signal, centred, past_tastes, read_tastes

_TEMPLATES = (
    *CAUSES[:-1],
    (CAUSES[-1][0], f"{CAUSES[-1][1]} above your average"),
    (CAUSES[-1][0], f"{CAUSES[-1][1]} below your average"),
)
"""Kind and text of a reason, by cause; a bad rating stands behind a good one."""

_MANY = 5
"""When more than a fifth of the items must be compared anew, all are: that is faster than picking them."""


class ItemSimilarity(SumScorer, NeighbourScorer):
    """Items that go with what this customer likes.

    Score of item j = Σ over the customer's items i of value_i · similarity(i, j), taken over the neighbours that
    the table keeps. The value of an item is said by `signal`; ratings count as their distance from the customer's own
    mean, so that a bad rating speaks against an item's like, and a customer who rates everything the same says
    nothing. The adjusted methods learn from ratings if there are any, otherwise from how often items were bought.
    """

    name: ClassVar[str] = "item_similarity"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """How items are compared."""

        method: Literal["cosine", "adjusted_cosine", "adjusted_cosine_co_rated"] = field(
            default="cosine",
            metadata={"doc": "cosine, or adjusted cosine over all customers or over those who rated both"},
        )
        neighbours: int = field(
            default=50, metadata={"doc": "similar items kept for each item", "minimum": 1, "maximum": 1000}
        )
        shrinkage: float = field(
            default=0.0,
            metadata={"doc": "cosine only: damps similarities that few customers support", "minimum": 0},
        )
        signal: Signal = field(
            default="presence",
            metadata={"doc": "cosine only: strongest interaction, summed interactions (logarithm), or rating"},
        )

        def __post_init__(self) -> None:
            if self.method != "cosine" and self.shrinkage:
                raise ValueError(f"shrinkage is for the method cosine; leave it out with {self.method}")

    options: Options
    neighbours_: NDArray[np.int32]
    similarities_: NDArray[np.float32]
    signal_: Signal

    _as_of: int = 0
    """The moment as of which weights of the matrix have faded, so that all rows of it are alike."""
    _matrix: Matrix | None = None
    """What the table was made of, once it was refreshed: not kept by `fit`, for many are never refreshed."""

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = LiveTastes()
        self._rows = CheckedRows()

    def fit(self, history: History) -> Self:
        """Learn the table of neighbours: int32 and float32 [n_items, neighbours], best first, −1 and 0 behind."""
        n_items, options = len(history.items), self.options
        if options.method == "cosine":
            self.signal_ = options.signal
        else:
            rated = ~np.isnan(history.rating) & (history.customer >= 0) & (history.item >= 0)
            self.signal_ = "rating" if rated.any() else "weight"
        self._learn(self._compare(Matrix.of(past_tastes(history, self.signal_)), n_items, None))
        return self

    def refreshed(self, changes: Changes) -> Self:
        """Compares anew the items that changed and those that share a customer with them; all, if they are many.

        The table equals that of a fit on the same interactions: the same comparisons are made in the same order.
        """
        known, some = self._matrix, changes.customers
        if known is None or some is None:
            everybody = changes.everybody()
            as_of = everybody.now
            matrix, dirty = Matrix.of(read_tastes(everybody, self.signal_)), None
        else:
            as_of = self._as_of
            tastes = read_tastes(some, self.signal_, as_of)
            matrix, was, now = known.replaced(some.codes, tastes, changes.n_customers)
            changed, theirs = differing(was, now)
            # For the adjusted methods one rating moves the customer's mean, and with it all others.
            dirty = matrix.beside(changed if self.options.method == "cosine" else theirs, changes.n_items)
            dirty[theirs] = True
        # What everybody did was read last, and may know of items that came just now.
        n_items = max(changes.n_items, int(matrix.indices.max(initial=-1)) + 1)
        made = copy.copy(self)
        made._matrix, made._as_of = matrix, as_of
        if dirty is None or np.count_nonzero(dirty) * _MANY > n_items or self.options.method.endswith("co_rated"):
            made._learn(self._compare(matrix, n_items, None, threads=1))
            return made
        rows = np.flatnonzero(dirty).astype(np.int32)
        k, n_old = self.options.neighbours, len(self.neighbours_)
        neighbours, similarities = np.full((n_items, k), -1, dtype=np.int32), np.zeros((n_items, k), dtype=np.float32)
        neighbours[:n_old], similarities[:n_old] = self.neighbours_, self.similarities_
        neighbours[rows], similarities[rows] = self._compare(matrix, n_items, rows, threads=1)
        made._learn((neighbours, similarities))
        return made

    def sums(self, customers: Customers) -> Sums:
        """What the customer likes, with the neighbours of each."""
        tastes = self._live.of(customers, self.signal_)
        if self.signal_ == "rating":
            tastes = centred(tastes)
        template = tastes.cause.astype(np.int32)
        if self.signal_ == "rating":
            template += tastes.value < 0
        return Sums(
            self._rows.of(self.neighbours_, self.similarities_),
            _TEMPLATES,
            tastes.indptr,
            tastes.item,
            tastes.value,
            template,
        )

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes most like `item`, best first, and their similarities; empty for an item never seen."""
        if not 0 <= item < len(self.neighbours_):
            return np.empty(0, dtype=np.int32), np.empty(0)
        codes = self.neighbours_[item, :n]
        return codes[codes >= 0], self.similarities_[item, :n][codes >= 0].astype(np.float64)

    def neighbour_table(self, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What was learnt, cut or filled up to `n` neighbours."""
        missing = max(0, n - self.neighbours_.shape[1])
        codes = np.pad(self.neighbours_[:, :n], ((0, 0), (0, missing)), constant_values=-1)
        return codes, np.pad(self.similarities_[:, :n].astype(np.float64), ((0, 0), (0, missing)))

    def _compare(
        self, matrix: Matrix, n_items: int, rows: NDArray[np.int32] | None, threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
        """The table of neighbours, or these rows of it."""
        k = self.options.neighbours
        if self.options.method == "adjusted_cosine_co_rated":
            return kernels.adjusted_cosine_top_k(
                matrix.indptr, matrix.indices, matrix.data, n_items, k, reading="co_rated"
            )
        layout = kernels.item_layout(
            matrix.indptr,
            matrix.indices,
            matrix.data,
            n_items,
            kind="cosine" if self.options.method == "cosine" else "adjusted_cosine",
            shrinkage=self.options.shrinkage,
            threads=threads,
        )
        if rows is None:
            return kernels.similar_items(layout, k, threads=threads)
        return kernels.rows_top_k(layout, rows, k)

    def _learn(self, table: tuple[NDArray[np.int32], NDArray[np.floating[Any]]]) -> None:
        self.neighbours_ = table[0]
        # half the room in the store; seven digits of a similarity are more than its data can bear
        self.similarities_ = table[1].astype(np.float32)
        # read-only as after `restore`: many threads read it
        self.neighbours_.flags.writeable = False
        self.similarities_.flags.writeable = False


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [ItemSimilarity]


__all__ = ["ItemSimilarity", "visavis_scorers"]
