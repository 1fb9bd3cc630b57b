"""How long ago, counted in baskets, each thing happened to a customer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def basket_ages(indptr: NDArray[np.int64], basket: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row, how many of its customer's baskets are newer: int64 [n_rows]; 0 for rows of the latest.

    Customer r's rows are `indptr[r]:indptr[r+1]`, oldest first. Rows marked in `counted` make the baskets: those with
    one number in `basket` are one, as new as the last of them. Another row belongs to the basket with its number if
    that is still to come; otherwise those count as newer whose last row stands after it.
    """
    baskets = _check.array("basket", basket, np.int64)
    marked = _check.array("counted", counted, np.bool_, length=len(baskets))
    starts = _check.row_starts("indptr", indptr, len(baskets))
    return _basket_ages(starts, baskets, marked)


def youngest(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    age: NDArray[np.int64],
    marked: NDArray[np.bool_],
    entry_indptr: NDArray[np.int64],
    entry_item: NDArray[np.int32],
) -> NDArray[np.int64]:
    """The smallest age of each entry's rows: int64 [n_entries], −1 where no marked row is of that item.

    Customer r's rows are `indptr[r]:indptr[r+1]` of `item`, `age` and `marked`; his entries, items ascending, are
    `entry_indptr[r]:entry_indptr[r+1]` of `entry_item`. Rows of other items are passed over.
    """
    items = _check.array("item", item, np.int32)
    ages = _check.array("age", age, np.int64, length=len(items))
    chosen = _check.array("marked", marked, np.bool_, length=len(items))
    starts = _check.row_starts("indptr", indptr, len(items))
    entries = _check.array("entry_item", entry_item, np.int32)
    entry_starts = _check.row_starts("entry_indptr", entry_indptr, len(entries), n_rows=len(starts) - 1)
    return _youngest(starts, items, ages, chosen, entry_starts, entries)


@serial
def _basket_ages(indptr: NDArray[np.int64], basket: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    ages = np.zeros(len(basket), np.int64)
    for customer in range(len(indptr) - 1):
        first, last = indptr[customer], indptr[customer + 1]
        number = _numbered(basket[first:last])
        # Backwards: a basket is as new as its first row that is met.
        age_of = np.full(last - first, -1, np.int64)
        n_met = 0
        for row in range(last - 1, first - 1, -1):
            own = number[row - first]
            if age_of[own] >= 0:
                ages[row] = age_of[own]
                continue
            ages[row] = n_met
            if counted[row]:
                age_of[own] = n_met
                n_met += 1
    return ages


@serial
def _numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Equal values by one number each, 0 to len(values) − 1."""
    number = np.zeros(len(values), np.int64)
    rises = True
    for place in range(1, len(values)):
        rises &= values[place] >= values[place - 1]
    if rises:
        # As they stand in most histories.
        for place in range(1, len(values)):
            number[place] = number[place - 1] + (values[place] != values[place - 1])
        return number
    order = np.argsort(values)
    for place in range(1, len(values)):
        number[order[place]] = number[order[place - 1]] + (values[order[place]] != values[order[place - 1]])
    return number


@serial
def _youngest(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    age: NDArray[np.int64],
    marked: NDArray[np.bool_],
    entry_indptr: NDArray[np.int64],
    entry_item: NDArray[np.int32],
) -> NDArray[np.int64]:
    found = np.full(len(entry_item), -1, np.int64)
    for customer in range(len(indptr) - 1):
        first, last = entry_indptr[customer], entry_indptr[customer + 1]
        if first == last:
            continue
        for row in range(indptr[customer], indptr[customer + 1]):
            if not marked[row]:
                continue
            place = first + np.searchsorted(entry_item[first:last], item[row])
            if place < last and entry_item[place] == item[row] and not 0 <= found[place] <= age[row]:
                found[place] = age[row]
    return found


__all__ = ["basket_ages", "youngest"]
