"""Sums of sparse rows: what neighbours, or the features of a profile, say together for each item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial
from visavis.kernels.scores import _scratch

Parts = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


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
    wanted = _check.array("rows", rows, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(wanted))
    starts = _check.row_starts("indptr", indptr, len(wanted))
    items = _check.array("table_items", table_items, np.int32)
    # The table may be large: where its rows lie is looked at when they are read.
    table_starts = _check.array("table_indptr", table_indptr, np.int64)
    values = amounts[:0]
    if table_values is not None:
        values = _check.array("table_values", table_values, np.float64, length=len(items))
    width = _check.count("n_items", n_items)
    mark, stamp, _, sums, touched = _scratch.of(width, len(starts) - 1)
    found_starts, found, totals = _add_rows(
        starts,
        wanted,
        amounts,
        table_starts,
        items,
        values,
        width,
        table_values is not None,
        mark,
        stamp,
        sums,
        touched,
    )
    if found_starts[-1] < 0:
        _check.refuse("table_indptr", f"must never fall, within 0 … {len(items)}, and lead to items 0 … {width - 1}")
    return found_starts, found, totals


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
        mark, n_touched = first_mark + customer, 0
        for entry in range(indptr[customer], indptr[customer + 1]):
            row, weight = rows[entry], weights[entry]
            if row < 0 or row >= len(table_indptr) - 1:
                continue
            first, last = table_indptr[row], table_indptr[row + 1]
            if not 0 <= first <= last <= len(table_items):
                starts[-1] = -1
                return starts, items[:0], totals[:0]
            for place in range(first, last):
                item = table_items[place]
                if item < 0 or item >= n_items:
                    starts[-1] = -1
                    return starts, items[:0], totals[:0]
                amount = weight * table_values[place] if valued else weight
                if stamp[item] != mark:
                    stamp[item], sums[item], touched[n_touched] = mark, amount, item
                    n_touched += 1
                else:
                    sums[item] += amount
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


__all__ = ["add_rows"]
