"""Scores from learned weights between items, of which each item has as many as it needs; they may be negative.

The table is CSR by the item that speaks: item i says `values[starts[i]:starts[i+1]]` for the items `targets` alongside
(ascending). The score of item j for a customer is the sum, over his entries (item i, weight w) in the order given, of
w · value of j in row i. Entries of weight 0 and of items that have no row say nothing. An item with no part at all has
no score: NaN, "no opinion". Values may be float32 or float64 and are added up as float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial
from visavis.kernels._marks import _fault, entries_of, marks

Values = NDArray[np.float32] | NDArray[np.float64]


def linear_top(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: Values,
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best items of each customer: `(codes int32 [n_customers, n], scores float64 [n_customers, n])`.

    Customer r's entries are `items[indptr[r]:indptr[r+1]]` with finite `weights` alongside. Left out are items marked
    in `everywhere` (bool, at least as long as the table) and customer r's own
    `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. Best first, ties with the smaller code first, padded with
    −1 and NaN.
    """
    begins, codes, parts = entries_of(indptr, items, weights)
    table = _table(starts, targets, values, codes)
    n_items = len(table[0]) - 1
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    if len(nowhere) < n_items:
        _check.refuse("everywhere", f"must be at least as long as the table ({n_items}), not {len(nowhere)}")
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.array("exclude_indptr", exclude_indptr, np.int64)
    if len(unwanted_starts) != len(begins) or _fault(unwanted_starts, len(unwanted)):
        _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(begins) - 1)
    shape = (len(begins) - 1, _check.count("n", n))
    best, scores = np.full(shape, -1, np.int32), np.full(shape, np.nan)
    mark, stamp, hidden, sums, touched = marks.of(n_items, shape[0])
    _linear_top(
        begins, codes, parts, *table, nowhere, unwanted_starts, unwanted,
        mark, stamp, hidden, sums, touched, best, scores,
    )  # fmt: skip
    return best, scores


def linear_scores(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: Values,
    chosen: NDArray[np.int32],
) -> NDArray[np.float64]:
    """The scores of given items, float64 [n_customers, m] for `chosen` int32 [n_customers, m].

    Bit for bit what `linear_top` gives for the same item. NaN where nothing contributes and for codes below 0 or
    beyond the table.
    """
    begins, codes, parts = entries_of(indptr, items, weights)
    table = _table(starts, targets, values, codes)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(begins) - 1)
    scores = np.full(wanted.shape, np.nan)
    mark, stamp, _, sums, touched = marks.of(len(table[0]) - 1, len(begins) - 1)
    _linear_scores(begins, codes, parts, *table, wanted, mark, stamp, sums, touched, scores)
    return scores


def linear_parts(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: Values,
    chosen: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """What scores are made of: `(part_starts int64 [n_customers · m + 1], entries int64 [c], parts float64 [c])`.

    For customer r and place p of `chosen` (int32 [n_customers, m]) the parts are those at `part_starts[r · m + p]` up
    to the next: entries (places in `items`) and how much each brought, largest first, ties in the order of the entries.
    They add up to the score of `linear_scores` within rounding.
    """
    begins, codes, parts = entries_of(indptr, items, weights)
    table = _table(starts, targets, values, codes)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(begins) - 1)
    part_starts, entries, found = _linear_parts(begins, codes, parts, *table, wanted)
    return part_starts, entries, found


def _table(
    starts: object, targets: object, values: object, items: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    codes = _check.array("targets", targets, np.int32)
    single = isinstance(values, np.ndarray) and values.dtype == np.float32
    numbers = _check.array("values", values, np.float32 if single else np.float64, length=len(codes))
    begins = _check.array("starts", starts, np.int64)
    # A table may have as many rows as there are items: what is read of it is checked, not all.
    if len(begins) == 0 or begins[0] != 0 or begins[-1] != len(codes) or _astray(items, begins, len(codes)):
        _check.refuse("starts", f"must start at 0, never fall and end at the number of values ({len(codes)})")
    return begins, codes, numbers


@serial
def _astray(items: NDArray[np.int32], starts: NDArray[np.int64], n_values: int) -> bool:
    """Whether the row of one of these items is no part of so many values."""
    astray = False
    for item in items:
        if 0 <= item < len(starts) - 1:
            astray |= not 0 <= starts[item] <= starts[item + 1] <= n_values
    return astray


@serial
def _add_up(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: NDArray[np.float64],
    mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
) -> int:
    """Sum one customer's entries into `sums`; a place is valid where `stamp` is `mark`. Answers how many."""
    n_items, n_touched = len(starts) - 1, 0
    for entry in range(len(items)):
        item, weight = items[entry], weights[entry]
        if item < 0 or item >= n_items or weight == 0.0:
            continue
        for place in range(starts[item], starts[item + 1]):
            target = targets[place]
            if target < 0 or target >= n_items:
                continue
            part = weight * float(values[place])
            if stamp[target] != mark:
                stamp[target] = mark
                sums[target] = part
                touched[n_touched] = target
                n_touched += 1
            else:
                sums[target] += part
    return n_touched


@serial
def _linear_top(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: NDArray[np.float64],
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
    n_items = len(starts) - 1
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        first, last = indptr[row], indptr[row + 1]
        n_touched = _add_up(items[first:last], weights[first:last], starts, targets, values, mark, stamp, sums, touched)
        for entry in range(exclude_indptr[row], exclude_indptr[row + 1]):
            if 0 <= exclude_items[entry] < n_items:
                excluded[exclude_items[entry]] = mark
        n_kept = 0
        for index in range(n_touched):
            item = touched[index]
            if not everywhere[item] and excluded[item] != mark:
                n_kept = _insert(codes[row], scores[row], n_kept, item, sums[item])


@serial
def _insert(codes: NDArray[np.int32], values: NDArray[np.float64], n_kept: int, code: int, value: float) -> int:
    """Put an item at its place among the best, which stand best first; answers how many there are now."""
    place = n_kept
    if place == len(codes):
        if place == 0 or not (value > values[place - 1] or (value == values[place - 1] and code < codes[place - 1])):
            return n_kept
        place -= 1
    elif np.isnan(value):
        return n_kept
    else:
        n_kept += 1
    while place > 0 and (value > values[place - 1] or (value == values[place - 1] and code < codes[place - 1])):
        codes[place], values[place] = codes[place - 1], values[place - 1]
        place -= 1
    codes[place], values[place] = code, value
    return n_kept


@serial
def _linear_scores(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: NDArray[np.float64],
    chosen: NDArray[np.int32],
    first_mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    n_items = len(starts) - 1
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        first, last = indptr[row], indptr[row + 1]
        _add_up(items[first:last], weights[first:last], starts, targets, values, mark, stamp, sums, touched)
        for place in range(chosen.shape[1]):
            item = chosen[row, place]
            if 0 <= item < n_items and stamp[item] == mark:
                scores[row, place] = sums[item]


@serial
def _linear_parts(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int64],
    targets: NDArray[np.int32],
    values: NDArray[np.float64],
    chosen: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    n_items, m = len(starts) - 1, chosen.shape[1]
    part_starts = np.zeros((len(indptr) - 1) * m + 1, np.int64)
    entries, parts = np.empty(256, np.int64), np.empty(256, np.float64)
    n_parts = 0
    for row in range(len(indptr) - 1):
        first, last = indptr[row], indptr[row + 1]
        if n_parts + m * (last - first) > len(entries):
            room = 2 * (n_parts + m * (last - first))
            entries = np.append(entries, np.empty(room - len(entries), np.int64))
            parts = np.append(parts, np.empty(room - len(parts), np.float64))
        for place in range(m):
            target = chosen[row, place]
            begun = n_parts
            if 0 <= target < n_items:
                for entry in range(first, last):
                    item = items[entry]
                    if item < 0 or item >= n_items or weights[entry] == 0.0:
                        continue
                    begin, end = starts[item], starts[item + 1]
                    found = begin + np.searchsorted(targets[begin:end], target)
                    if found < end and targets[found] == target:
                        entries[n_parts], parts[n_parts] = entry, weights[entry] * float(values[found])
                        n_parts += 1
            if n_parts - begun > 1:
                order = np.argsort(-parts[begun:n_parts], kind="mergesort")
                entries[begun:n_parts] = entries[begun:n_parts][order]
                parts[begun:n_parts] = parts[begun:n_parts][order]
            part_starts[row * m + place + 1] = n_parts
    return part_starts, entries[:n_parts], parts[:n_parts]


__all__ = ["linear_parts", "linear_scores", "linear_top"]
