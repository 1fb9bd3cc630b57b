"""The best of what was scored, where scores are few and stand in a list for each customer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def best_entries(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best of each customer's entries: `(codes int32 [n_customers, n], scores float64 [n_customers, n])`.

    Customer r's are `items[indptr[r]:indptr[r+1]]`, each item once, with `scores` alongside; NaN: no opinion. Left out
    are items marked in `everywhere` (bool [n_items]), items beyond it, and customer r's own
    `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. Best first, ties with the smaller code first, padded with
    −1 and NaN.
    """
    codes = _check.array("items", items, np.int32)
    values = _check.array("scores", scores, np.float64, length=len(codes))
    starts = _check.row_starts("indptr", indptr, len(codes))
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(starts) - 1)
    shape = (len(starts) - 1, _check.count("n", n))
    best, found = np.full(shape, -1, np.int32), np.full(shape, np.nan)
    _best_entries(starts, codes, values, nowhere, unwanted_starts, unwanted, best, found)
    return best, found


@serial
def _best_entries(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    codes: NDArray[np.int32],
    values: NDArray[np.float64],
) -> None:
    n = codes.shape[1]
    for row in range(len(indptr) - 1):
        hidden = np.sort(exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]])
        n_kept = 0
        for entry in range(indptr[row], indptr[row + 1]):
            item, score = items[entry], scores[entry]
            # Most do not reach the worst that is kept.
            if np.isnan(score) or (n_kept == n and (n == 0 or score < values[row, n - 1])):
                continue
            if n_kept == n and score == values[row, n - 1] and item > codes[row, n - 1]:
                continue
            if item < 0 or item >= len(everywhere) or everywhere[item]:
                continue
            place = np.searchsorted(hidden, item)
            if place < len(hidden) and hidden[place] == item:
                continue
            if n_kept < n:
                n_kept += 1
            place = n_kept - 1
            while place > 0 and (
                score > values[row, place - 1] or (score == values[row, place - 1] and item < codes[row, place - 1])
            ):
                codes[row, place], values[row, place] = codes[row, place - 1], values[row, place - 1]
                place -= 1
            codes[row, place], values[row, place] = item, score


__all__ = ["best_entries"]
