"""What customers' rows say of each item, as one number a pair: the request path's way to read live histories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_NO_TIMES, _NO_NUMBERS = np.empty(0, np.int64), np.empty(0, np.float64)
for _array in (_NO_TIMES, _NO_NUMBERS):
    # What is read-only is one type to the compiler, whatever is given.
    _array.setflags(write=False)
_SIGNALS = {"presence": 0, "weight": 1, "rating": 2}


def tastes_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    quantity: NDArray[np.float64],
    rating: NDArray[np.float64],
    basket: NDArray[np.int64],
    weight_of: NDArray[np.float64],
    cause_of: NDArray[np.int8],
    purchase: int,
    skip: int,
    signal: str,
    time: NDArray[np.int64] | None = None,
    half_life_of: NDArray[np.float64] | None = None,
    now: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int8]]:
    """One entry for each item that a customer has shown a liking for: `(indptr, item, value, cause)`, items ascending.

    Customer r's rows are `indptr[r]:indptr[r+1]` of the columns, oldest first. `weight_of` and `cause_of` [n_kinds]
    say how much a kind counts and what it is called; `purchase` and `skip` are codes of kinds (−1: not there). The
    value is, by `signal`: `presence` the weight of the strongest kind; `weight` log(1 + summed weights), where
    purchases of one basket count once, as of the last of them; `rating` the latest rating. The cause is the largest of
    a kind that spoke (ratings: −1). An item whose purchases are all of quantity 0 or less says nothing unless it was
    rated, and neither does one whose last row that speaks comes before a skip. Rows without an item (−1) are passed
    over.
    With `half_life_of` [n_kinds] (in the unit of `time` and `now`; 0: does not fade) a row's weight is halved after
    each half-life that lies between its `time` and `now`, 900 times at most; what is later than `now` is as of now.
    """
    items = _check.array("item", item, np.int32)
    n_rows = len(items)
    starts = _check.array("indptr", indptr, np.int64)
    kinds = _check.array("kind", kind, np.uint16, length=n_rows)
    left = _check.array("quantity", quantity, np.float64, length=n_rows)
    rated = _check.array("rating", rating, np.float64, length=n_rows)
    baskets = _check.array("basket", basket, np.int64, length=n_rows)
    weights = _check.array("weight_of", weight_of, np.float64)
    causes = _check.array("cause_of", cause_of, np.int8, length=len(weights))
    if signal not in _SIGNALS:
        _check.refuse("signal", f"must be {', '.join(_SIGNALS)}, not {signal!r}")
    if _fault(starts, kinds, len(weights)):
        _check.row_starts("indptr", indptr, n_rows)
        _check.refuse("kind", f"must be 0 to {len(weights) - 1}, but holds {kinds.max()}")
    times, half_lives = _NO_TIMES, _NO_NUMBERS
    if half_life_of is not None:
        half_lives = _check.array("half_life_of", half_life_of, np.float64, length=len(weights))
        times = _check.array("time", time, np.int64, length=n_rows)
    return _tastes_of(
        starts, items, kinds, left, rated, baskets, weights, causes, purchase, skip, _SIGNALS[signal],
        times, half_lives, now,
    )  # fmt: skip


@serial
def _fault(starts: NDArray[np.int64], kinds: NDArray[np.uint16], n_kinds: int) -> bool:
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != len(kinds):
        return True
    for row in range(len(starts) - 1):
        if starts[row] > starts[row + 1]:
            return True
    largest = 0
    for kind in kinds:
        largest = max(largest, kind)
    return len(kinds) > 0 and largest >= n_kinds


@serial
def _tastes_of(
    indptr: NDArray[np.int64],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    quantity: NDArray[np.float64],
    rating: NDArray[np.float64],
    basket: NDArray[np.int64],
    weight_of: NDArray[np.float64],
    cause_of: NDArray[np.int8],
    purchase: int,
    skip: int,
    signal: int,
    time: NDArray[np.int64],
    half_life_of: NDArray[np.float64],
    now: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int8]]:
    starts = np.zeros(len(indptr), np.int64)
    items = np.empty(len(item), np.int32)
    values = np.empty(len(item), np.float64)
    causes = np.empty(len(item), np.int8)
    n_found = 0
    for customer in range(len(indptr) - 1):
        first = indptr[customer]
        order = _by_item(item[first : indptr[customer + 1]])
        end = 0
        while end < len(order):
            begin, code = end, item[first + order[end]]
            while end < len(order) and item[first + order[end]] == code:
                end += 1
            if code < 0:
                continue
            last_word, last_skip, n_bought, n_kept = -1, -1, 0, 0
            strongest, cause = 0.0, -1 if signal == 2 else 0
            for index in range(begin, end):
                row = first + order[index]
                bought = kind[row] == purchase
                kept = bought and quantity[row] > 0
                n_bought += bought
                n_kept += kept
                weight = 0.0
                if not bought or kept:
                    weight = weight_of[kind[row]]
                    if len(half_life_of) > 0:
                        weight *= _faded(time[row], half_life_of[kind[row]], now)
                strongest = max(strongest, weight)
                if (not np.isnan(rating[row])) if signal == 2 else weight > 0:
                    last_word = row
                    if signal != 2:
                        cause = max(cause, cause_of[kind[row]])
                if kind[row] == skip:
                    last_skip = row
            if last_word < 0 or last_word < last_skip or (signal != 2 and n_bought > 0 and n_kept == 0):
                continue
            if signal == 0:
                value = strongest
            elif signal == 1:
                value = np.log1p(
                    _summed(
                        order[begin:end], first, kind, quantity, basket, weight_of, purchase, time, half_life_of, now
                    )
                )
            else:
                value = rating[last_word]
            items[n_found], values[n_found], causes[n_found] = code, value, cause
            n_found += 1
        starts[customer + 1] = n_found
    return starts, items[:n_found], values[:n_found], causes[:n_found]


@serial
def _by_item(item: NDArray[np.int32]) -> NDArray[np.int64]:
    """Places in the order of items; those of one item stay in order."""
    if len(item) > 64:
        return np.argsort(item, kind="mergesort")
    order = np.empty(len(item), np.int64)
    for place in range(len(item)):
        at = place
        while at > 0 and item[order[at - 1]] > item[place]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = place
    return order


@serial
def _faded(time: int, half_life: float, now: int) -> float:
    """What is left of a weight."""
    if half_life <= 0.0 or time >= now:
        return 1.0
    return float(2.0 ** -min((now - time) / half_life, 900.0))


@serial
def _summed(
    places: NDArray[np.int64],
    first: int,
    kind: NDArray[np.uint16],
    quantity: NDArray[np.float64],
    basket: NDArray[np.int64],
    weight_of: NDArray[np.float64],
    purchase: int,
    time: NDArray[np.int64],
    half_life_of: NDArray[np.float64],
    now: int,
) -> float:
    """Summed weights of one item's rows; what was bought in one basket counts once."""
    total, n_bought = 0.0, 0
    bought = np.empty(len(places), np.int64)
    baskets = np.empty(len(places), np.int64)
    for place in places:
        row = first + place
        if kind[row] != purchase:
            weight = weight_of[kind[row]]
            if len(half_life_of) > 0:
                weight *= _faded(time[row], half_life_of[kind[row]], now)
            total += weight
        elif quantity[row] > 0:
            bought[n_bought], baskets[n_bought] = row, basket[row]
            n_bought += 1
    order = np.argsort(baskets[:n_bought], kind="mergesort")
    for index in range(n_bought):
        row = bought[order[index]]
        # The last row of each basket stands for it: rows of one basket stay in order.
        if index == n_bought - 1 or baskets[order[index + 1]] != baskets[order[index]]:
            weight = weight_of[purchase]
            if len(half_life_of) > 0:
                weight *= _faded(time[row], half_life_of[purchase], now)
            total += weight
    return total


__all__ = ["tastes_of"]
