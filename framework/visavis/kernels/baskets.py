"""Which items lie in one basket: rows of purchases turned into a matrix of baskets and items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def basket_items(
    customer: NDArray[np.int32], basket: NDArray[np.int64], item: NDArray[np.int32], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The items of each basket, once each: `(indptr int64 [n_baskets + 1], items int32)`, ascending within a basket.

    All arguments [n_rows], rows of one customer together. Counted are rows that are `chosen` and have an item (0 or
    more). A number in `basket` names a basket of one customer: the same number with another customer is another basket.
    Baskets stand customer by customer, and ascend by number.
    """
    owners = _check.array("customer", customer, np.int32)
    n_rows = len(owners)
    numbers = _check.array("basket", basket, np.int64, length=n_rows)
    items = _check.array("item", item, np.int32, length=n_rows)
    return _basket_items(owners, numbers, items, _check.array("chosen", chosen, np.bool_, length=n_rows))


@serial
def _basket_items(
    customer: NDArray[np.int32], basket: NDArray[np.int64], item: NDArray[np.int32], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    n_kept = 0
    for row in range(len(item)):
        n_kept += chosen[row] and item[row] >= 0
    starts = np.zeros(n_kept + 1, np.int64)
    found = np.empty(n_kept, np.int32)
    n_baskets, n_found, end = 0, 0, 0
    while end < len(item):
        begin, owner = end, customer[end]
        n_own, sorted_already = 0, True
        while end < len(item) and customer[end] == owner:
            n_own += chosen[end] and item[end] >= 0
            end += 1
        numbers, items = np.empty(n_own, np.int64), np.empty(n_own, np.int32)
        place = 0
        for row in range(begin, end):
            if chosen[row] and item[row] >= 0:
                numbers[place], items[place] = basket[row], item[row]
                sorted_already = sorted_already and (place == 0 or numbers[place - 1] <= numbers[place])
                place += 1
        if not sorted_already:
            order = np.argsort(numbers, kind="mergesort")
            numbers, items = numbers[order], items[order]
        stop = 0
        while stop < n_own:
            start = stop
            while stop < n_own and numbers[stop] == numbers[start]:
                stop += 1
            lines = np.sort(items[start:stop])
            for line in range(len(lines)):
                if line == 0 or lines[line] != lines[line - 1]:
                    found[n_found] = lines[line]
                    n_found += 1
            n_baskets += 1
            starts[n_baskets] = n_found
    return starts[: n_baskets + 1].copy(), found[:n_found].copy()


__all__ = ["basket_items"]
