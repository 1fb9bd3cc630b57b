"""Rows of some customers out of all: what they did, and which of their items must stay hidden."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Rows = tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.uint16],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.int64],
]


def rows_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    quantity: NDArray[np.float64],
    rating: NDArray[np.float64],
    basket: NDArray[np.int64],
    codes: NDArray[np.int32],
    purchase: int,
) -> Rows:
    """The rows of the customers `codes` [n], one after the other: `(indptr [n + 1], item, kind, …, basket)`.

    Customer c's rows are `indptr[c]:indptr[c+1]` of the columns; a code outside has none. Rows of kind `purchase` with
    nothing left (a quantity of 0 or less) are left out.
    """
    items = _check.array("item", item, np.int32)
    n_rows = len(items)
    wanted = _check.array("codes", codes, np.int32)
    # `indptr` may be as long as there are customers: what is read of it is checked where it is read.
    starts = _check.array("indptr", indptr, np.int64)
    kinds = _check.array("kind", kind, np.uint16, length=n_rows)
    times = _check.array("time", time, np.int64, length=n_rows)
    left = _check.array("quantity", quantity, np.float64, length=n_rows)
    ratings = _check.array("rating", rating, np.float64, length=n_rows)
    baskets = _check.array("basket", basket, np.int64, length=n_rows)
    taken = _count(starts, kinds, left, wanted, purchase)
    if taken[-1] < 0:
        _check.refuse("indptr", f"must never fall and stay within 0 … {n_rows}")
    return _rows_of(starts, items, kinds, times, left, ratings, baskets, wanted, purchase, taken)


def items_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    wanted: NDArray[np.bool_],
    n_items: int,
    time: NDArray[np.int64] | None = None,
    after: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The items 0 … n_items − 1 of rows whose kind is marked in `wanted` [n_kinds]: `(indptr, items)`, customer by
    customer in the order of the rows. Kinds beyond `wanted` are not marked. With `after` [n_kinds], only rows whose
    `time` is later than that of their kind."""
    items = _check.array("item", item, np.int32)
    kinds = _check.array("kind", kind, np.uint16, length=len(items))
    starts = _check.array("indptr", indptr, np.int64)
    marked = _check.array("wanted", wanted, np.bool_)
    times, earliest = starts[:0], starts[:0]
    if after is not None:
        earliest = _check.array("after", after, np.int64, length=len(marked))
        times = _check.array("time", time, np.int64, length=len(items))
    found_starts, found = _items_of(starts, items, kinds, marked, _check.count("n_items", n_items), times, earliest)
    if found_starts[-1] < 0:
        _check.row_starts("indptr", indptr, len(items))
    return found_starts, found


@serial
def _count(
    indptr: NDArray[np.int64],
    kind: NDArray[np.uint16],
    quantity: NDArray[np.float64],
    codes: NDArray[np.int32],
    purchase: int,
) -> NDArray[np.int64]:
    """Row starts of the answer; the last one is −1 if `indptr` is wrong for one of these customers."""
    starts = np.zeros(len(codes) + 1, np.int64)
    for place in range(len(codes)):
        starts[place + 1] = starts[place]
        if 0 <= codes[place] < len(indptr) - 1:
            first, last = indptr[codes[place]], indptr[codes[place] + 1]
            if not 0 <= first <= last <= len(kind):
                starts[-1] = -1
                break
            for row in range(first, last):
                starts[place + 1] += kind[row] != purchase or quantity[row] > 0
    return starts


@serial
def _rows_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    quantity: NDArray[np.float64],
    rating: NDArray[np.float64],
    basket: NDArray[np.int64],
    codes: NDArray[np.int32],
    purchase: int,
    starts: NDArray[np.int64],
) -> Rows:
    n_rows = starts[-1]
    items, kinds, times = np.empty(n_rows, np.int32), np.empty(n_rows, np.uint16), np.empty(n_rows, np.int64)
    left, ratings, baskets = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows, np.int64)
    to = 0
    for code in codes:
        if code < 0 or code >= len(indptr) - 1:
            continue
        for row in range(indptr[code], indptr[code + 1]):
            if kind[row] != purchase or quantity[row] > 0:
                items[to], kinds[to], times[to] = item[row], kind[row], time[row]
                left[to], ratings[to], baskets[to] = quantity[row], rating[row], basket[row]
                to += 1
    return starts, items, kinds, times, left, ratings, baskets


@serial
def _items_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    wanted: NDArray[np.bool_],
    n_items: int,
    time: NDArray[np.int64],
    after: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    starts = np.zeros(len(indptr), np.int64)
    found = np.empty(len(item), np.int32)
    n_found = 0
    if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(item):
        return np.full(1, -1, np.int64), found
    for customer in range(len(indptr) - 1):
        if indptr[customer] > indptr[customer + 1]:
            return np.full(1, -1, np.int64), found
        for row in range(indptr[customer], indptr[customer + 1]):
            if kind[row] < len(wanted) and wanted[kind[row]] and 0 <= item[row] < n_items:
                if len(after) > 0 and time[row] <= after[kind[row]]:
                    continue
                found[n_found] = item[row]
                n_found += 1
        starts[customer + 1] = n_found
    return starts, found[:n_found]


__all__ = ["items_of", "rows_of"]
