"""What customers buy, each item as one number that grows with every basket and fades with newer ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_Habits = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]


def habits_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    age: NDArray[np.int64],
    counted: NDArray[np.bool_],
    basket_decay: float,
    group_decay: float,
    n_groups: int,
) -> _Habits:
    """Temporal item frequencies: `(indptr, item, value, times)`, one entry for each item a customer bought, ascending.

    Customer r's rows are `indptr[r]:indptr[r+1]`; those marked in `counted` were bought, in the basket that is `age`
    (0 … n − 1, of n baskets, each of them there) baskets old; other rows and rows without an item (−1) are passed over.
    The baskets are cut, oldest first, into m = `n_groups` runs of equal length (the later ones longer by one where that
    does not work out; n runs where there are fewer baskets), numbered g = 0, 1, …. The value of an item is

        Σ over the baskets that hold it of basket_decay ** age · group_decay ** (m − 1 − g) / (length of g · runs)

    and `times` says how many those are. Source: Hu, He, Gao and Zhang, "Modeling personalized item frequency
    information for next-basket recommendation", SIGIR 2020, as their own program has it.
    """
    items = _check.array("item", item, np.int32)
    ages = _check.array("age", age, np.int64, length=len(items))
    marked = _check.array("counted", counted, np.bool_, length=len(items))
    starts = _check.row_starts("indptr", indptr, len(items))
    if len(ages) and (ages.min() < 0 or ages.max() >= len(ages)):
        _check.refuse("age", f"must lie in 0 … {len(ages) - 1}, but holds {ages.min()} … {ages.max()}")
    fades = _check.number("basket_decay", basket_decay), _check.number("group_decay", group_decay)
    return _habits_of(starts, items, ages, marked, *fades, _check.count("n_groups", n_groups, least=1))


@serial
def _habits_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    age: NDArray[np.int64],
    counted: NDArray[np.bool_],
    basket_decay: float,
    group_decay: float,
    n_groups: int,
) -> _Habits:
    starts = np.zeros(len(indptr), np.int64)
    items, values, times = np.empty(len(item), np.int32), np.empty(len(item)), np.empty(len(item), np.int64)
    n_found = 0
    for customer in range(len(indptr) - 1):
        first, last = indptr[customer], indptr[customer + 1]
        n_rows, n_baskets = 0, 0
        for row in range(first, last):
            if counted[row] and item[row] >= 0:
                n_rows += 1
                n_baskets = max(n_baskets, age[row] + 1)
        # Item and age in one number, so that one sort brings an item's baskets together and equal ones side by side.
        keys = np.empty(n_rows, np.int64)
        place = 0
        for row in range(first, last):
            if counted[row] and item[row] >= 0:
                keys[place] = item[row] * n_baskets + age[row]
                place += 1
        keys.sort()
        shares = _shares(n_baskets, basket_decay, group_decay, n_groups)
        for place in range(n_rows):
            if place > 0 and keys[place] == keys[place - 1]:
                continue
            code, own_age = keys[place] // n_baskets, keys[place] % n_baskets
            if n_found == starts[customer] or items[n_found - 1] != code:
                items[n_found], values[n_found], times[n_found] = code, 0.0, 0
                n_found += 1
            values[n_found - 1] += shares[own_age]
            times[n_found - 1] += 1
        starts[customer + 1] = n_found
    return starts, items[:n_found].copy(), values[:n_found].copy(), times[:n_found].copy()


@serial
def _shares(n_baskets: int, basket_decay: float, group_decay: float, n_groups: int) -> NDArray[np.float64]:
    """What each of so many baskets counts, by its age."""
    shares = np.empty(n_baskets)
    runs = min(n_baskets, n_groups)
    if runs == 0:
        return shares
    length = n_baskets // runs
    # So many runs at the end are longer by one.
    longer = n_baskets - length * runs
    number = 0
    for group in range(runs):
        size = length + (group >= runs - longer)
        for _ in range(size):
            age = n_baskets - 1 - number
            shares[age] = basket_decay**age * group_decay ** (n_groups - 1 - group) / (size * runs)
            number += 1
    return shares


__all__ = ["habits_of"]
