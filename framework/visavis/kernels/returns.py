"""Laying returns on the purchases that they reverse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def match_returns(
    group: NDArray[np.int64],
    is_return: NDArray[np.bool_],
    quantity: NDArray[np.float64],
    price: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lay each return on the latest earlier purchases of its group that still have quantity left.

    Rows [n] are sorted by `group` (what can reverse what: a customer and an item), and by time within it.
    `quantity` is 0 or more for purchases and returns alike. Purchases of exactly the return's unit `price` come first,
    then the others (NaN equals nothing); a return may span several, and all of them are reduced.

    Answers `(reversed_row int64 [n], remaining float64 [n])`: the first purchase that a return was laid on (−1: none,
    and for purchases); the quantity left of a purchase, or what of a return found no purchase.
    Raises InvalidInput for rows not sorted by group and for negative or non-finite quantities.
    """
    groups = _check.array("group", group, np.int64)
    returned = _check.array("is_return", is_return, np.bool_, length=len(groups))
    amounts = _check.finite("quantity", quantity, length=len(groups))
    prices = _check.array("price", price, np.float64, length=len(groups))
    falls = groups[1:] < groups[:-1]
    if falls.any():
        _check.refuse("group", f"must be sorted, but entry {int(np.argmax(falls)) + 1} is smaller than the one before")
    if (amounts < 0).any():
        place = int(np.argmax(amounts < 0))
        _check.refuse(
            "quantity", f"must be 0 or more (is_return says the direction), but entry {place} is {amounts[place]}"
        )
    reversed_row = np.full(len(groups), -1, np.int64)
    remaining = amounts.copy()
    _match_returns(groups, returned, prices, reversed_row, remaining)
    return reversed_row, remaining


@serial
def _match_returns(
    group: NDArray[np.int64],
    is_return: NDArray[np.bool_],
    price: NDArray[np.float64],
    reversed_row: NDArray[np.int64],
    remaining: NDArray[np.float64],
) -> None:
    # Purchases with quantity left form a chain from the newest back; used up ones are unlinked, so that a
    # customer who returns everything does not make the search slow.
    older = np.full(len(group), -1, np.int64)
    newest = -1
    for row in range(len(group)):
        if row > 0 and group[row] != group[row - 1]:
            newest = -1
        if not is_return[row]:
            if remaining[row] > 0.0:
                older[row] = newest
                newest = row
            continue
        for any_price in (False, True):
            newer = -1
            purchase = newest
            while purchase >= 0 and remaining[row] > 0.0:
                after = older[purchase]
                if any_price or price[purchase] == price[row]:
                    taken = min(remaining[row], remaining[purchase])
                    remaining[row] -= taken
                    remaining[purchase] -= taken
                    if reversed_row[row] < 0:
                        reversed_row[row] = purchase
                if remaining[purchase] > 0.0:
                    newer = purchase
                elif newer < 0:
                    newest = after
                else:
                    older[newer] = after
                purchase = after


__all__ = ["match_returns"]
