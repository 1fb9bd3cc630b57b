"""What customers bought, in one walk over their rows: sums for each customer, and the last row of each pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_Totals = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def purchase_totals(
    customer: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    basket: NDArray[np.int64],
    amount: NDArray[np.float64],
    sign: NDArray[np.int8],
    n_customers: int,
) -> _Totals:
    """For each customer `(orders, first, last, money)`: int64, int64, int64 and float64, each [n_customers].

    Rows [n] are sorted by customer (−1: nobody's, passed over), then time. `sign` int8 [n_kinds] is 1 for kinds that
    are purchases, −1 for returns, 0 for others. `orders` counts the different baskets of purchases; `first` and `last`
    are the times of the earliest and the latest purchase, 0 where there is none; `money` is what was bought less what
    was returned, where a NaN in `amount` counts as 0.
    Raises InvalidInput for rows not sorted by customer, a customer ≥ `n_customers` and a kind without a sign.
    """
    height = _check.count("n_customers", n_customers)
    owners = _sorted("customer", customer, height)
    n_rows = len(owners)
    kinds = _check.array("kind", kind, np.uint16, length=n_rows)
    times = _check.array("time", time, np.int64, length=n_rows)
    baskets = _check.array("basket", basket, np.int64, length=n_rows)
    amounts = _check.array("amount", amount, np.float64, length=n_rows)
    signs = _check.array("sign", sign, np.int8)
    if n_rows and int(kinds.max()) >= len(signs):
        _check.refuse("kind", f"must be 0 to {len(signs) - 1}, but entry {int(np.argmax(kinds))} is {kinds.max()}")
    return _purchase_totals(owners, kinds, times, baskets, amounts, signs, height)


def last_of_pairs(
    customer: NDArray[np.int32], item: NDArray[np.int32], chosen: NDArray[np.bool_], n_items: int
) -> NDArray[np.int64]:
    """The last chosen row of each pair of customer and item: int64, ascending.

    Rows [n] are sorted by customer; those of nobody (−1) and those without an item (−1) are passed over.
    Raises InvalidInput for rows not sorted by customer and an item ≥ `n_items`.
    """
    width = _check.count("n_items", n_items)
    owners = _sorted("customer", customer, _check.MAX_CODES)
    items = _check.array("item", item, np.int32, length=len(owners))
    taken = _check.array("chosen", chosen, np.bool_, length=len(owners))
    if len(items) and items.max() >= width:
        _check.refuse("item", f"must be below {width}, but entry {int(np.argmax(items))} is {items.max()}")
    return _last_of_pairs(owners, items, taken, width)


def _sorted(field: str, customer: object, n_customers: int) -> NDArray[np.int32]:
    owners: NDArray[np.int32] = _check.array(field, customer, np.int32)
    falls = owners[1:] < owners[:-1]
    if falls.any():
        _check.refuse(field, f"must be sorted, but entry {int(np.argmax(falls)) + 1} is smaller than the one before")
    if len(owners) and owners[-1] >= n_customers:
        _check.refuse(field, f"must be below {n_customers}, but the last entry is {owners[-1]}")
    return owners


@serial
def _purchase_totals(
    customer: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    basket: NDArray[np.int64],
    amount: NDArray[np.float64],
    sign: NDArray[np.int8],
    n_customers: int,
) -> _Totals:
    orders = np.zeros(n_customers, np.int64)
    first = np.zeros(n_customers, np.int64)
    last = np.zeros(n_customers, np.int64)
    money = np.zeros(n_customers, np.float64)
    found = np.empty(16, np.int64)
    end = 0
    while end < len(customer):
        start, owner = end, customer[end]
        while end < len(customer) and customer[end] == owner:
            end += 1
        if owner < 0:
            continue
        if end - start > len(found):
            found = np.empty(2 * (end - start), np.int64)
        count = 0
        bought, returned = 0.0, 0.0
        for row in range(start, end):
            way = sign[kind[row]]
            if way == 0:
                continue
            value = 0.0 if np.isnan(amount[row]) else amount[row]
            if way < 0:
                returned += value
                continue
            bought += value
            if count == 0:
                first[owner] = time[row]
            last[owner] = time[row]
            found[count] = basket[row]
            count += 1
        money[owner] = bought - returned
        orders[owner] = _different(found[:count])
    return orders, first, last, money


@serial
def _different(values: NDArray[np.int64]) -> int:
    """How many different values there are; sorts them in place where they do not stand in runs."""
    rises, falls, changes = True, True, 0
    for place in range(1, len(values)):
        rises = rises and values[place] >= values[place - 1]
        falls = falls and values[place] <= values[place - 1]
        changes += values[place] != values[place - 1]
    if not rises and not falls:
        values.sort()
        changes = 0
        for place in range(1, len(values)):
            changes += values[place] != values[place - 1]
    return changes + 1 if len(values) else 0


@serial
def _last_of_pairs(
    customer: NDArray[np.int32], item: NDArray[np.int32], chosen: NDArray[np.bool_], n_items: int
) -> NDArray[np.int64]:
    # Backwards, so that the first row of a pair that is met is its last; what was met last of an item tells whether
    # it was this customer.
    met_by = np.full(n_items, -1, np.int32)
    rows = np.empty(len(customer), np.int64)
    place = len(rows)
    for row in range(len(customer) - 1, -1, -1):
        owner, code = customer[row], item[row]
        if owner < 0:
            break
        if chosen[row] and code >= 0 and met_by[code] != owner:
            met_by[code] = owner
            place -= 1
            rows[place] = row
    return rows[place:].copy()


__all__ = ["last_of_pairs", "purchase_totals"]
