"""Sums of sparse rows: what neighbours, or the features of a profile, say together for each item.

Marks and sums lie in memory that each thread keeps (`_marks`).
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial
from visavis.kernels._marks import marks

Parts = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]

_NO_VALUES = np.empty(0, np.float64)
_NO_VALUES.setflags(write=False)


def add_rows(
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    table_indptr: NDArray[np.int64],
    table_items: NDArray[np.int32],
    table_values: NDArray[np.float64] | None,
    n_items: int,
) -> Parts:
    """For each customer the weighted sum of rows of a table: CSR parts, one row a customer, items ascending.

    Customer r adds up the table's rows `rows[indptr[r]:indptr[r+1]]` times their `weights`, in this order; rows that
    the table does not have (below 0 or beyond it) add nothing. Row t of the table has
    `table_items[table_indptr[t]:table_indptr[t+1]]` with `table_values` alongside (None: 1 each). What was met is in
    the answer even if its sum is 0.
    """
    starts, wanted, amounts = _rows(indptr, rows, weights)
    table, items, values = _table(table_indptr, table_items, table_values)
    width = _check.count("n_items", n_items)
    mark, stamp, _, sums, touched = marks.of(width, len(starts) - 1)
    found = _add_rows(
        starts, wanted, amounts, table, items, values, width, table_values is not None, mark, stamp, sums, touched
    )
    if found[0][-1] < 0:
        _refuse_table(len(items), width)
    return found


def top_of_rows(
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    table_indptr: NDArray[np.int64],
    table_items: NDArray[np.int32],
    table_values: NDArray[np.float64] | None,
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    n: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n largest sums of `add_rows` for each customer: `(codes int32 [n_customers, n], sums float64)`.

    Left out are items marked in `everywhere` (bool [n_items]) and customer r's own
    `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`. Best first, ties with the smaller code first, padded with
    −1 and NaN.
    """
    starts, wanted, amounts = _rows(indptr, rows, weights)
    table, items, values = _table(table_indptr, table_items, table_values)
    nowhere = _check.array("everywhere", everywhere, np.bool_)
    unwanted = _check.array("exclude_items", exclude_items, np.int32)
    unwanted_starts = _check.row_starts("exclude_indptr", exclude_indptr, len(unwanted), n_rows=len(starts) - 1)
    shape = (len(starts) - 1, _check.count("n", n))
    best, scores = np.empty(shape, np.int32), np.empty(shape, np.float64)
    mark, stamp, hidden, sums, touched = marks.of(len(nowhere), len(starts) - 1)
    if not _top_of_rows(
        starts, wanted, amounts, table, items, values, table_values is not None, nowhere, unwanted_starts, unwanted,
        mark, stamp, hidden, sums, touched, best, scores,
    ):  # fmt: skip
        _refuse_table(len(items), len(nowhere))
    return best, scores


def _rows(
    indptr: object, rows: object, weights: object
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    wanted = _check.array("rows", rows, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(wanted))
    return _check.row_starts("indptr", indptr, len(wanted)), wanted, amounts


def _table(indptr: object, items: object, values: object) -> Parts:
    """The table may be large: where its rows lie, and what they lead to, is looked at when they are read."""
    codes = _check.array("table_items", items, np.int32)
    if values is None:
        return _check.array("table_indptr", indptr, np.int64), codes, _NO_VALUES
    return (
        _check.array("table_indptr", indptr, np.int64),
        codes,
        _check.array("table_values", values, np.float64, length=len(codes)),
    )


def _refuse_table(n_entries: int, n_items: int) -> NoReturn:
    _check.refuse("table_indptr", f"must never fall, within 0 … {n_entries}, and lead to items 0 … {n_items - 1}")


@serial
def _add_rows(
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    table_indptr: NDArray[np.int64],
    table_items: NDArray[np.int32],
    table_values: NDArray[np.float64],
    n_items: int,
    valued: bool,
    first_mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
) -> Parts:
    starts = np.zeros(len(indptr), np.int64)
    items, totals = np.empty(1024, np.int32), np.empty(1024, np.float64)
    n_found = 0
    for customer in range(len(indptr) - 1):
        mark = first_mark + customer
        n_touched = _add_up(
            rows[indptr[customer] : indptr[customer + 1]], weights[indptr[customer] : indptr[customer + 1]],
            table_indptr, table_items, table_values, valued, n_items, mark, stamp, sums, touched,
        )  # fmt: skip
        if n_touched < 0:
            starts[-1] = -1
            return starts, items[:0], totals[:0]
        if n_found + n_touched > len(items):
            room = max(2 * len(items), n_found + n_touched)
            more_items, more_totals = np.empty(room, np.int32), np.empty(room, np.float64)
            more_items[:n_found], more_totals[:n_found] = items[:n_found], totals[:n_found]
            items, totals = more_items, more_totals
        # Many are found faster by looking through all items than by sorting those that were met.
        if n_touched * 16 > n_items:
            for item in range(n_items):
                if stamp[item] == mark:
                    items[n_found], totals[n_found] = item, sums[item]
                    n_found += 1
        else:
            ordered = np.sort(touched[:n_touched])
            for item in ordered:
                items[n_found], totals[n_found] = item, sums[item]
                n_found += 1
        starts[customer + 1] = n_found
    return starts, items[:n_found], totals[:n_found]


@serial
def _top_of_rows(
    indptr: NDArray[np.int64],
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    table_indptr: NDArray[np.int64],
    table_items: NDArray[np.int32],
    table_values: NDArray[np.float64],
    valued: bool,
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
) -> bool:
    """False if the table leads out of itself."""
    n_items, n = len(everywhere), codes.shape[1]
    for customer in range(len(indptr) - 1):
        mark = first_mark + customer
        n_touched = _add_up(
            rows[indptr[customer] : indptr[customer + 1]], weights[indptr[customer] : indptr[customer + 1]],
            table_indptr, table_items, table_values, valued, n_items, mark, stamp, sums, touched,
        )  # fmt: skip
        if n_touched < 0:
            return False
        for entry in range(exclude_indptr[customer], exclude_indptr[customer + 1]):
            if 0 <= exclude_items[entry] < n_items:
                excluded[exclude_items[entry]] = mark
        best, values, n_kept = codes[customer], scores[customer], 0
        for index in range(n_touched):
            item = touched[index]
            value = sums[item]
            # Most do not reach the worst that is kept. A NaN is no opinion, and would break the order.
            if np.isnan(value) or (n_kept == n and (n == 0 or value < values[0])):
                continue
            if not everywhere[item] and excluded[item] != mark:
                n_kept = _keep(best, values, n_kept, item, value)
        _best_first(best, values, n_kept)
        for place in range(n_kept, n):
            codes[customer, place] = -1
            scores[customer, place] = np.nan
    return True


@serial
def _add_up(
    rows: NDArray[np.int32],
    weights: NDArray[np.float64],
    table_indptr: NDArray[np.int64],
    table_items: NDArray[np.int32],
    table_values: NDArray[np.float64],
    valued: bool,
    n_items: int,
    mark: int,
    stamp: NDArray[np.int32],
    sums: NDArray[np.float64],
    touched: NDArray[np.int32],
) -> int:
    """Add up one customer's rows into `sums`, valid where `stamp` is `mark`: how many items were met, or −1."""
    n_touched = 0
    for entry in range(len(rows)):
        row, weight = rows[entry], weights[entry]
        if row < 0 or row >= len(table_indptr) - 1:
            continue
        first, last = table_indptr[row], table_indptr[row + 1]
        if not 0 <= first <= last <= len(table_items):
            return -1
        for place in range(first, last):
            item = table_items[place]
            if item < 0 or item >= n_items:
                return -1
            amount = weight * table_values[place] if valued else weight
            if stamp[item] != mark:
                stamp[item], sums[item], touched[n_touched] = mark, amount, item
                n_touched += 1
            else:
                sums[item] += amount
    return n_touched


# The three functions below are also in scores.py, letter for letter (a test compares them).


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


__all__ = ["add_rows", "top_of_rows"]
