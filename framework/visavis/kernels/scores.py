"""Scores from a neighbour table: what a customer's history says for other items, and which part of it says so.

The score of item j for a customer is the sum, over the customer's history entries (item i, weight w) in the order
given, of w · similarity of j in row i of the table. Entries with weight 0, and items and neighbours that the table
has no row for, say nothing. An item with no part at all has no score: NaN, "no opinion".

Similarities may be float32 or float64 and are added up as float64. Sums and marks lie in memory that each thread
keeps for itself, 24 bytes for each item of the largest table that it met: clearing it anew for every customer would
take longer than the scoring.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Similarities = NDArray[np.float32] | NDArray[np.float64]
_LAST_MARK = 2**31 - 1


def top_n(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: Similarities,
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best items of each customer: `(codes int32 [n_customers, n], scores float64 [n_customers, n])`.

    Customer r's history is `items[indptr[r]:indptr[r+1]]` with finite `weights` alongside. Left out are items marked in
    `everywhere` (bool, at least as long as the table) and customer r's own
    `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. Best first, ties with the smaller code first, padded with
    −1 and NaN.
    """
    starts, codes, amounts = _history(indptr, items, weights)
    table, values = _table(neighbours, similarities)
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    if len(nowhere) < len(table):
        _check.refuse("everywhere", f"must be at least as long as the table ({len(table)}), not {len(nowhere)}")
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.array("exclude_indptr", exclude_indptr, np.int64)
    if len(unwanted_starts) != len(starts) or _fault(unwanted_starts, len(unwanted)):
        _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(starts) - 1)
    rows = len(starts) - 1
    shape = (rows, _check.count("n", n))
    best = np.empty(shape, np.int32)
    scores = np.empty(shape, np.float64)
    mark, stamp, hidden, sums, touched = _scratch.of(len(table), rows)
    _top_n(
        starts, codes, amounts, table, values, nowhere, unwanted_starts, unwanted,
        mark, stamp, hidden, sums, touched, best, scores,
    )  # fmt: skip
    return best, scores


def score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: Similarities,
    chosen: NDArray[np.int32],
) -> NDArray[np.float64]:
    """The scores of given items, float64 [n_customers, m] for `chosen` int32 [n_customers, m].

    Bit for bit what `top_n` gives for the same item. NaN where nothing contributes and for codes below 0 or beyond
    the table. `indptr`, `items` and `weights` are those of `top_n`.
    """
    starts, codes, amounts = _history(indptr, items, weights)
    table, values = _table(neighbours, similarities)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(starts) - 1)
    scores = np.full(wanted.shape, np.nan, np.float64)
    mark, stamp, _, sums, touched = _scratch.of(len(table), len(starts) - 1)
    _score_items(starts, codes, amounts, table, values, wanted, mark, stamp, sums, touched, scores)
    return scores


def _history(
    indptr: object, items: object, weights: object
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    codes = _check.array("items", items, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(codes))
    starts = _check.array("indptr", indptr, np.int64)
    if _fault(starts, len(codes)) or not _all_finite(amounts):
        # Something is wrong, and these say what.
        _check.row_starts("indptr", indptr, len(codes))
        _check.finite("weights", weights)
    return starts, codes, amounts


def _table(neighbours: object, similarities: object) -> tuple[NDArray[np.int32], NDArray[Any]]:
    codes = _check.array("neighbours", neighbours, np.int32, ndim=2)
    single = isinstance(similarities, np.ndarray) and similarities.dtype == np.float32
    values = _check.array("similarities", similarities, np.float32 if single else np.float64, ndim=2)
    if codes.shape != values.shape:
        _check.refuse("similarities", f"must have the shape of neighbours {codes.shape}, not {values.shape}")
    return codes, values


class _Scratch(threading.local):
    """One thread's memory for scoring. What an entry holds counts only where its stamp is the mark of the customer
    at hand; marks only grow, so nothing is cleared between customers."""

    def __init__(self) -> None:
        self._renew(0)

    def _renew(self, n_items: int) -> None:
        self._n_items = n_items
        self._next = 0
        self._stamp = np.full(n_items, -1, np.int32)
        self._excluded = np.full(n_items, -1, np.int32)
        self.slots = np.empty(n_items, np.int32)
        """Beside the marks, a number for each item that means nothing without one."""
        self._sums = np.empty(n_items, np.float64)
        self._touched = np.empty(n_items, np.int32)

    def of(
        self, n_items: int, rows: int
    ) -> tuple[int, NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
        """The first of `rows` marks, and the arrays: at least [n_items] each. The two of marks hold no mark
        of these rows."""
        if n_items > self._n_items or self._next > _LAST_MARK - rows:
            self._renew(max(n_items, self._n_items))
        mark = self._next
        self._next += rows
        return mark, self._stamp, self._excluded, self._sums, self._touched


_scratch = _Scratch()


@serial
def _fault(starts: NDArray[np.int64], n_entries: int) -> bool:
    """Whether these are no row starts of so many entries."""
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != n_entries:
        return True
    falls = False
    for row in range(len(starts) - 1):
        falls |= starts[row] > starts[row + 1]
    return falls


@serial
def _all_finite(values: NDArray[np.float64]) -> bool:
    finite = True
    for value in values:
        finite &= np.isfinite(value)
    return finite


@serial
def _accumulate(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
) -> int:
    """Sum one customer's history into `sums`; a place is valid where `stamp` is `mark`. Answers how many."""
    n_items = len(neighbours)
    n_touched = 0
    for entry in range(len(items)):
        item = items[entry]
        weight = weights[entry]
        if item < 0 or item >= n_items or weight == 0.0:
            continue
        for place in range(neighbours.shape[1]):
            other = neighbours[item, place]
            if other < 0 or other >= n_items:
                continue
            amount = weight * float(similarities[item, place])
            if stamp[other] != mark:
                stamp[other] = mark
                sums[other] = amount
                touched[n_touched] = other
                n_touched += 1
            else:
                sums[other] += amount
    return n_touched


@serial
def _top_n(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    first_mark: int,
    stamp: NDArray[np.int32],
    excluded: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_items = len(neighbours)
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        start, stop = indptr[row], indptr[row + 1]
        n_touched = _accumulate(
            items[start:stop], weights[start:stop], neighbours, similarities, mark, stamp, sums, touched
        )
        for entry in range(exclude_indptr[row], exclude_indptr[row + 1]):
            if 0 <= exclude_items[entry] < n_items:
                excluded[exclude_items[entry]] = mark
        best, values, n_kept = codes[row], scores[row], 0
        n = len(best)
        for index in range(n_touched):
            item = touched[index]
            value = sums[item]
            # Most do not reach the worst that is kept. A NaN similarity leaves no opinion, and would break the order.
            if np.isnan(value) or (n_kept == n and (n == 0 or value < values[0])):
                continue
            if not everywhere[item] and excluded[item] != mark:
                n_kept = _keep(best, values, n_kept, item, value)
        _best_first(best, values, n_kept)
        for place in range(n_kept, codes.shape[1]):
            codes[row, place] = -1
            scores[row, place] = np.nan


@serial
def _score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    chosen: NDArray[np.int32],
    first_mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_items = len(neighbours)
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        start, stop = indptr[row], indptr[row + 1]
        _accumulate(items[start:stop], weights[start:stop], neighbours, similarities, mark, stamp, sums, touched)
        for place in range(chosen.shape[1]):
            item = chosen[row, place]
            if 0 <= item < n_items and stamp[item] == mark:
                scores[row, place] = sums[item]


# The three functions below are also in similarity.py, letter for letter (a test compares them): a compiled helper must
# live in its kernel's file. They keep the best len(codes) pairs as a heap with the worst one on top.


@serial
def _sift_down(codes: NDArray[np.int32], values: NDArray[np.float64], top: int, end: int) -> None:
    code, value = codes[top], values[top]
    while 2 * top + 1 < end:
        child = 2 * top + 1
        right = child + 1
        if right < end and (
            values[right] < values[child] or (values[right] == values[child] and codes[right] > codes[child])
        ):
            child = right
        if value < values[child] or (value == values[child] and code > codes[child]):
            break
        codes[top], values[top] = codes[child], values[child]
        top = child
    codes[top], values[top] = code, value


@serial
def _keep(codes: NDArray[np.int32], values: NDArray[np.float64], n_kept: int, code: int, value: float) -> int:
    if n_kept < len(codes):
        codes[n_kept], values[n_kept] = code, value
        n_kept += 1
        if n_kept == len(codes):
            for top in range(n_kept // 2 - 1, -1, -1):
                _sift_down(codes, values, top, n_kept)
    elif n_kept > 0 and (value > values[0] or (value == values[0] and code < codes[0])):
        codes[0], values[0] = code, value
        _sift_down(codes, values, 0, n_kept)
    return n_kept


@serial
def _best_first(codes: NDArray[np.int32], values: NDArray[np.float64], n_kept: int) -> None:
    if n_kept < len(codes):
        for top in range(n_kept // 2 - 1, -1, -1):
            _sift_down(codes, values, top, n_kept)
    for end in range(n_kept - 1, 0, -1):
        codes[0], codes[end] = codes[end], codes[0]
        values[0], values[end] = values[end], values[0]
        _sift_down(codes, values, 0, end)


__all__ = ["score_items", "top_n"]
