"""The lists of one request while they are filled, one a customer."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Lists(NamedTuple):
    """`items` int32 (−1: free, behind all others) and `scores` float64 (NaN: free) [n_customers, n]; alongside `by`
    int8, the number of the scorer that placed the item; `counts` int64 [n_customers, n_scorers]: how many each did."""

    items: NDArray[np.int32]
    scores: NDArray[np.float64]
    by: NDArray[np.int8]
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, n_customers: int, n: int, n_scorers: int) -> Self:
        """Nothing placed yet."""
        return cls(
            np.full((n_customers, n), -1, dtype=np.int32),
            np.full((n_customers, n), np.nan),
            np.zeros((n_customers, n), dtype=np.int8),
            np.zeros((n_customers, n_scorers), dtype=np.int64),
        )

    @classmethod
    def begun(
        cls,
        n_customers: int,
        n_scorers: int,
        rows: NDArray[np.int64],
        items: NDArray[np.int32],
        scores: NDArray[np.float64],
    ) -> Self:
        """With what the scorer asked for, number 0, answered for the customers `rows`: `items` and `scores` [rows, n].

        If they are all, the arrays become those of the lists.
        """
        if len(rows) == n_customers:
            lists = cls(
                items, scores, np.zeros(items.shape, dtype=np.int8), np.zeros((n_customers, n_scorers), dtype=np.int64)
            )
        else:
            lists = cls.empty(n_customers, items.shape[1], n_scorers)
            lists.items[rows], lists.scores[rows] = items, scores
        # Of most lists no place is free.
        full = items.shape[1] > 0 and bool((items[:, -1] >= 0).all())
        lists.counts[rows, 0] = items.shape[1] if full else np.count_nonzero(items >= 0, axis=1)
        return lists

    def free(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Which of these lists (default: of all) have room, as their numbers."""
        if rows is None:
            return np.flatnonzero(self.items[:, -1] < 0)
        own: NDArray[np.int64] = rows[self.items[rows, -1] < 0]
        return own


__all__ = ["Lists"]
