"""Scores from a neighbour table: what a customer's history says for other items, and which part of it says so.

The score of item j for a customer is the sum, over the customer's history entries (item i, weight w) in the order
given, of w · similarity of j in row i of the table. Entries with weight 0, and items and neighbours that the table
has no row for, say nothing. An item with no part at all has no score: NaN, "no opinion".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.errors import NotFound
from visavis.kernels import _check
from visavis.kernels._jit import serial


def top_n(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
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
    table, values = _check.table(neighbours, similarities)
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    if len(nowhere) < len(table):
        _check.refuse("everywhere", f"must be at least as long as the table ({len(table)}), not {len(nowhere)}")
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(starts) - 1)
    shape = (len(starts) - 1, _check.count("n", n))
    best = np.full(shape, -1, np.int32)
    scores = np.full(shape, np.nan, np.float64)
    _top_n(starts, codes, amounts, table, values, nowhere, unwanted_starts, unwanted, best, scores)
    return best, scores


def score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    chosen: NDArray[np.int32],
) -> NDArray[np.float64]:
    """The scores of given items, float64 [n_customers, m] for `chosen` int32 [n_customers, m].

    Bit for bit what `top_n` gives for the same item. NaN where nothing contributes and for codes below 0 or beyond
    the table. `indptr`, `items` and `weights` are those of `top_n`.
    """
    starts, codes, amounts = _history(indptr, items, weights)
    table, values = _check.table(neighbours, similarities)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(starts) - 1)
    scores = np.full(wanted.shape, np.nan, np.float64)
    _score_items(starts, codes, amounts, table, values, wanted, scores)
    return scores


def contributions(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    customer: int,
    item: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """What one score is made of: `(causes int32 [c], amounts float64 [c])`, largest first, ties smaller code first.

    `customer` is a row of `indptr`, `item` any code. Entries of the same item are one cause; amounts add up to the
    score of `score_items` within rounding. Empty where the score is NaN.
    Raises NotFound for a customer that `indptr` has no row for.
    """
    starts, codes, amounts = _history(indptr, items, weights)
    table, values = _check.table(neighbours, similarities)
    row = _check.count("customer", customer)
    if row >= len(starts) - 1:
        raise NotFound(f"customer: there is no row {row}, only {len(starts) - 1} rows")
    code = _check.count("item", item, least=-1)
    history = slice(starts[row], starts[row + 1])
    causes, parts = _contributions(codes[history], amounts[history], table, values, code)
    order = np.lexsort((causes, -parts))
    return causes[order], parts[order]


def _history(
    indptr: object, items: object, weights: object
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    codes = _check.array("items", items, np.int32)
    amounts = _check.finite("weights", weights, length=len(codes))
    return _check.row_starts("indptr", indptr, len(codes)), codes, amounts


@serial
def _accumulate(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    mark: int,
    stamp: NDArray[np.int64],
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
            if stamp[other] != mark:
                stamp[other] = mark
                sums[other] = 0.0
                touched[n_touched] = other
                n_touched += 1
            sums[other] += weight * similarities[item, place]
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
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_items = len(neighbours)
    sums = np.empty(n_items, np.float64)
    touched = np.empty(n_items, np.int32)
    stamp = np.full(n_items, -1, np.int64)
    excluded = np.full(n_items, -1, np.int64)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        n_touched = _accumulate(
            items[start:stop], weights[start:stop], neighbours, similarities, row, stamp, sums, touched
        )
        for entry in range(exclude_indptr[row], exclude_indptr[row + 1]):
            if 0 <= exclude_items[entry] < n_items:
                excluded[exclude_items[entry]] = row
        n_kept = 0
        for index in range(n_touched):
            item = touched[index]
            # A NaN similarity leaves no opinion, and would break the order of all others.
            if not everywhere[item] and excluded[item] != row and not np.isnan(sums[item]):
                n_kept = _keep(codes[row], scores[row], n_kept, item, sums[item])
        _best_first(codes[row], scores[row], n_kept)


@serial
def _score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    chosen: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_items = len(neighbours)
    sums = np.empty(n_items, np.float64)
    touched = np.empty(n_items, np.int32)
    stamp = np.full(n_items, -1, np.int64)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        _accumulate(items[start:stop], weights[start:stop], neighbours, similarities, row, stamp, sums, touched)
        for place in range(chosen.shape[1]):
            item = chosen[row, place]
            if 0 <= item < n_items and stamp[item] == row:
                scores[row, place] = sums[item]


@serial
def _contributions(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    wanted: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    n_items = len(neighbours)
    causes = np.empty(len(items), np.int32)
    amounts = np.empty(len(items), np.float64)
    n_causes = 0
    if wanted < 0 or wanted >= n_items:
        return causes[:0].copy(), amounts[:0].copy()
    for entry in range(len(items)):
        item = items[entry]
        if item < 0 or item >= n_items or weights[entry] == 0.0:
            continue
        for place in range(neighbours.shape[1]):
            if neighbours[item, place] != wanted:
                continue
            if np.isnan(similarities[item, place]):
                return causes[:0].copy(), amounts[:0].copy()
            index = 0
            while index < n_causes and causes[index] != item:
                index += 1
            if index == n_causes:
                causes[index] = item
                amounts[index] = 0.0
                n_causes += 1
            amounts[index] += weights[entry] * similarities[item, place]
    return causes[:n_causes].copy(), amounts[:n_causes].copy()


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


__all__ = ["contributions", "score_items", "top_n"]
