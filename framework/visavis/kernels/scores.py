"""Scores that are sums over what a customer did: the best items for each customer, and the scores of given ones.

The score of item j for a customer is the sum, over the customer's entries (item i, weight w) in the order given, of
w · the value of j in row i of `ItemRows`. Entries with weight 0, and items that have no row, say nothing. An item with
no part at all has no score: NaN, "no opinion".

Values may be float32 or float64 and are added up as float64. Sums lie in memory that each thread keeps for itself,
12 bytes for each item of the largest table that it met. It is NaN all over between two customers: only the places that
one customer's sums took are cleared, for clearing all of it would take longer than the scoring.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import lean, serial
from visavis.kernels.by_item import ItemRows, Values

_NO_GROUPS = np.empty(0, np.int32)
_NO_GROUPS.flags.writeable = False


def top_n(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    rows: ItemRows,
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
    group: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best items of each customer: `(codes int32 [n_customers, n], scores float64 [n_customers, n])`.

    Customer r's entries are `items[indptr[r]:indptr[r+1]]` with finite `weights` alongside. Left out are items marked
    in `everywhere` (bool, at least as long as `rows`) and customer r's own
    `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. `group` (int32, as long as `everywhere`; −1: none): of each
    group only the best item comes. Best first, ties with the smaller code first, padded with −1 and NaN.
    """
    starts = _check.array("indptr", indptr, np.int64)
    codes = _check.array("items", items, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(codes))
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    if len(nowhere) < len(rows):
        _check.refuse("everywhere", f"must be at least as long as the rows ({len(rows)}), not {len(nowhere)}")
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.array("exclude_indptr", exclude_indptr, np.int64)
    groups = _NO_GROUPS if group is None else _check.array("group", group, np.int32, length=len(nowhere))
    shape = (len(starts) - 1, _check.count("n", n))
    if shape[0] < 0:
        _check.row_starts("indptr", indptr, len(codes))
    best, scores = np.empty(shape, np.int32), np.empty(shape, np.float64)
    sums, touched = _scratch.of(len(rows))
    try:
        wrong = _top_n(
            starts, codes, amounts, rows.codes, rows.values, rows.sizes, rows.largest, nowhere, unwanted_starts,
            unwanted, groups, sums, touched, best, scores,
        )  # fmt: skip
    except BaseException:
        _scratch.renew(0)
        raise
    if wrong:
        _refuse(starts, codes, amounts, rows)
        _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=shape[0])
    return best, scores


def score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    rows: ItemRows,
    chosen: NDArray[np.int32],
) -> NDArray[np.float64]:
    """The scores of given items, float64 [n_customers, m] for `chosen` int32 [n_customers, m].

    Bit for bit what `top_n` gives for the same item. NaN where nothing contributes and for codes below 0 or beyond
    the rows. `indptr`, `items` and `weights` are those of `top_n`.
    """
    starts = _check.array("indptr", indptr, np.int64)
    codes = _check.array("items", items, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(codes))
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(starts) - 1)
    scores = np.full(wanted.shape, np.nan, np.float64)
    sums, touched = _scratch.of(len(rows))
    try:
        wrong = _score_items(
            starts, codes, amounts, rows.codes, rows.values, rows.sizes, rows.largest, wanted, sums, touched, scores
        )
    except BaseException:
        _scratch.renew(0)
        raise
    if wrong:
        _refuse(starts, codes, amounts, rows)
    return scores


_LARGEST = 1e150
"""Of summed absolute weights, and of them times the largest value: far from what a float64 can hold."""


def _refuse(indptr: object, items: NDArray[np.int32], weights: NDArray[np.float64], rows: ItemRows) -> None:
    """Say what is wrong with the entries of customers; answers if nothing is."""
    _check.row_starts("indptr", indptr, len(items))
    strength = float(np.abs(_check.finite("weights", weights)).sum())
    if not max(strength, strength * rows.largest) <= _LARGEST:
        _check.refuse("weights", f"are too large to be added up: {strength} together")


class _Scratch(threading.local):
    """One thread's memory for scoring; all NaN between two calls."""

    def __init__(self) -> None:
        self.renew(0)

    def renew(self, n_items: int) -> None:
        """Memory that no call has touched; also for what a call that failed left behind."""
        self._sums = np.full(n_items, np.nan)
        self._touched = np.empty(n_items + 1, np.int32)

    def of(self, n_items: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """A sum for each item, and room for all items and one more."""
        if n_items > len(self._sums):
            self.renew(n_items)
        return self._sums, self._touched


_scratch = _Scratch()


@lean
def _is_row(indptr: NDArray[np.int64], n_entries: int, row: int) -> bool:
    """Whether the starts of a row and of the next one are what they must be, the first and the last one, too."""
    start, stop = indptr[row], indptr[row + 1]
    whole = (row > 0 or start == 0) and (row < len(indptr) - 2 or stop == n_entries)
    return 0 <= start <= stop <= n_entries and whole


@lean
def _are_fine(weights: NDArray[np.float64], largest: float) -> bool:
    """Whether weights are finite, and so small that no sum of them can overflow."""
    strength = 0.0
    for weight in weights:
        strength += abs(weight)
    # Written so that a NaN is not fine.
    return strength <= _LARGEST and strength * largest <= _LARGEST


@lean
def _accumulate(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    codes: NDArray[np.int32],
    values: Values,
    sizes: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
) -> int:
    """Sum one customer's entries into `sums`, where NaN stands for nothing. Answers how many places were touched.

    Whether a place is new is chance, so nothing branches on it: each code is put behind those touched so far, and stays
    there if it was new.
    """
    n_touched = 0
    for entry in range(len(items)):
        item, weight = items[entry], weights[entry]
        if item < 0 or item >= len(sizes) or weight == 0.0:
            continue
        for place in range(sizes[item]):
            code = np.uint64(codes[item, place])  # not below 0: the compiler need not look
            amount = weight * float(values[item, place])
            before = sums[code]
            new = before != before
            touched[np.uint64(n_touched)] = codes[item, place]
            n_touched += new
            sums[code] = amount if new else before + amount
    return n_touched


@lean
def _clear(sums: NDArray[np.float64], touched: NDArray[np.int32], n_touched: int) -> None:
    for index in range(n_touched):
        sums[np.uint64(touched[index])] = np.nan


@lean
def _select(
    touched: NDArray[np.int32],
    n_touched: int,
    sums: NDArray[np.float64],
    everywhere: NDArray[np.bool_],
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> int:
    """The best of what was touched, best first; what is −∞ or marked in `everywhere` is passed over."""
    n, n_kept = len(codes), 0
    if n == 0:
        return 0
    worst = -_LARGEST * 2
    for index in range(n_touched):
        item = touched[index]
        value = sums[np.uint64(item)]
        # Most do not reach the worst that is kept.
        if value < worst or everywhere[item]:
            continue
        n_kept = _keep(codes, scores, n_kept, item, value)
        if n_kept == n:
            worst = scores[0]
    _best_first(codes, scores, n_kept)
    return n_kept


@lean
def _one_a_group(
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
    n_ranked: int,
    group: NDArray[np.int32],
    best: NDArray[np.int32],
    best_scores: NDArray[np.float64],
) -> int:
    """Of ranked items the first of each group, as many as there is room for."""
    n_kept = 0
    for index in range(n_ranked):
        if n_kept == len(best):
            break
        item, known = codes[index], False
        if group[item] >= 0:
            for place in range(n_kept):
                known |= group[best[place]] == group[item]
        if not known:
            best[n_kept], best_scores[n_kept] = item, scores[index]
            n_kept += 1
    return n_kept


@serial
def _top_n(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    codes: NDArray[np.int32],
    values: Values,
    sizes: NDArray[np.int32],
    largest: float,
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    group: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    best: NDArray[np.int32],
    best_scores: NDArray[np.float64],
) -> bool:
    """Whether something is wrong with the rows of a customer."""
    if len(exclude_indptr) != len(indptr):
        return True
    n = best.shape[1]
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if not (_is_row(indptr, len(items), row) and _is_row(exclude_indptr, len(exclude_items), row)):
            return True
        if not _are_fine(weights[start:stop], largest):
            return True
        n_touched = _accumulate(items[start:stop], weights[start:stop], codes, values, sizes, sums, touched)
        for entry in range(exclude_indptr[row], exclude_indptr[row + 1]):
            item = exclude_items[entry]
            if 0 <= item < len(sizes) and sums[item] == sums[item]:
                sums[item] = -np.inf
        n_kept = 0
        if len(group) == 0:
            n_kept = _select(touched, n_touched, sums, everywhere, best[row], best_scores[row])
        else:
            asked = n
            while True:
                ranked, ranked_scores = np.empty(asked, np.int32), np.empty(asked, np.float64)
                n_ranked = _select(touched, n_touched, sums, everywhere, ranked, ranked_scores)
                n_kept = _one_a_group(ranked, ranked_scores, n_ranked, group, best[row], best_scores[row])
                # Variants of a group may crowd the list: then there is more to choose from.
                if n_kept == n or n_ranked < asked or asked >= n_touched:
                    break
                asked = min(4 * asked, n_touched)
        _clear(sums, touched, n_touched)
        for place in range(n_kept, n):
            best[row, place] = -1
            best_scores[row, place] = np.nan
    return False


@serial
def _score_items(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    codes: NDArray[np.int32],
    values: Values,
    sizes: NDArray[np.int32],
    largest: float,
    chosen: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> bool:
    """Whether something is wrong with the rows of a customer."""
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if not _is_row(indptr, len(items), row) or not _are_fine(weights[start:stop], largest):
            return True
        n_touched = _accumulate(items[start:stop], weights[start:stop], codes, values, sizes, sums, touched)
        for place in range(chosen.shape[1]):
            if 0 <= chosen[row, place] < len(sizes):
                scores[row, place] = sums[chosen[row, place]]
        _clear(sums, touched, n_touched)
    return False


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
