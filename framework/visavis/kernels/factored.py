"""Scores as products of factors: every item for every customer, of which only the best are kept.

Factors of items stand by factor, float32 [d, n_items], so that one pass serves many items at once. The score is the sum
of vector_k · factors[k, item] for k in ascending order, as float64, in whatever company. A vector of NaN is that of a
customer of whom nothing is known: no score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_BLOCK = 512


def factor_top(
    vectors: NDArray[np.float64],
    factors: NDArray[np.float32],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best items of each customer: `(codes int32 [n_customers, n], scores float64 [n_customers, n])`.

    `vectors` are float64 [n_customers, d]. Left out are items marked in `everywhere` (bool, at least one for each item)
    and customer r's own `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. Best first, ties with the smaller code
    first, padded with −1 and NaN.
    """
    users, items = _vectors(vectors, factors)
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    if len(nowhere) < items.shape[1]:
        _check.refuse(
            "everywhere", f"must be at least as long as there are items ({items.shape[1]}), not {len(nowhere)}"
        )
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(users))
    shape = (len(users), _check.count("n", n))
    best, scores = np.full(shape, -1, np.int32), np.full(shape, np.nan)
    _factor_top(users, items, nowhere, unwanted_starts, unwanted.copy(), best, scores)
    return best, scores


def factor_scores(
    vectors: NDArray[np.float64], factors: NDArray[np.float32], chosen: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The scores of given items, float64 [n_customers, m] for `chosen` int32 [n_customers, m].

    Bit for bit what `factor_top` gives for the same item. NaN for codes below 0 or beyond the items.
    """
    users, items = _vectors(vectors, factors)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(users))
    scores = np.full(wanted.shape, np.nan)
    _factor_scores(users, items, wanted, scores)
    return scores


def _vectors(vectors: object, factors: object) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    users = _check.array("vectors", vectors, np.float64, ndim=2)
    items = _check.array("factors", factors, np.float32, ndim=2)
    if users.shape[1] != len(items):
        _check.refuse("vectors", f"must have {len(items)} columns, one for each factor, not {users.shape[1]}")
    return users, items


@serial
def _factor_top(
    vectors: NDArray[np.float64],
    factors: NDArray[np.float32],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_rows, d = vectors.shape
    n_items, n = factors.shape[1], codes.shape[1]
    for row in range(n_rows):
        exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]].sort()
    sums, n_kept = np.empty(_BLOCK), np.zeros(n_rows, np.int64)
    # A block of items for all customers, then the next one, so that it stays in the cache.
    for first in range(0, n_items, _BLOCK):
        size = min(_BLOCK, n_items - first)
        for row in range(n_rows):
            sums[:size] = 0.0
            for k in range(d):
                amount, line = vectors[row, k], factors[k, first : first + size]
                for j in range(size):
                    sums[j] += amount * float(line[j])
            for j in range(size):
                value, item = sums[j], first + j
                if np.isnan(value) or everywhere[item]:
                    continue
                # Codes ascend, so of equal scores the one that came first stays before.
                if n_kept[row] == n and (n == 0 or value <= scores[row, n - 1]):
                    continue
                hidden = exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]]
                place = np.searchsorted(hidden, item)
                if place < len(hidden) and hidden[place] == item:
                    continue
                if n_kept[row] < n:
                    n_kept[row] += 1
                place = n_kept[row] - 1
                while place > 0 and value > scores[row, place - 1]:
                    codes[row, place], scores[row, place] = codes[row, place - 1], scores[row, place - 1]
                    place -= 1
                codes[row, place], scores[row, place] = item, value


@serial
def _factor_scores(
    vectors: NDArray[np.float64],
    factors: NDArray[np.float32],
    chosen: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    d, n_items = factors.shape
    for row in range(len(vectors)):
        for place in range(chosen.shape[1]):
            item = chosen[row, place]
            if 0 <= item < n_items:
                total = 0.0
                for k in range(d):
                    total += vectors[row, k] * float(factors[k, item])
                scores[row, place] = total


__all__ = ["factor_scores", "factor_top"]
