"""Taking returns off the purchases that they bring back.

One rule for the whole store and for the rows of one customer, so that memory and a rebuilt store agree: a return
that names its purchase is taken off that one; what is left of it, and one that names none, is taken off the latest
earlier purchases of the same item by the same customer, those at the return's own unit price first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis import kernels

_PLACES = 9
"""Decimals of a quantity: what floating point leaves of 0.3 − 0.1 − 0.2 is nothing."""


def net_quantities(
    customer: NDArray[np.int32],
    item: NDArray[np.int32],
    kind: NDArray[np.uint16],
    time: NDArray[np.int64],
    quantity: NDArray[np.float64],
    amount: NDArray[np.float64],
    id_hash: NDArray[np.uint64],
    reverses: NDArray[np.uint64],
    purchase: int,
    returned: int,
) -> NDArray[np.float64]:
    """What is left of each row [n]: of a purchase what was not returned, of a return what found no purchase.

    All columns [n], rows of one moment in order of recording; `quantity` as recorded, `reverses` the hash of the id of
    the purchase that a return names (0: none). `purchase` and `returned` are the codes of these kinds (−1: not there).
    """
    back = np.flatnonzero((kind == returned) & (customer >= 0) & (item >= 0))
    if returned < 0 or purchase < 0 or len(back) == 0:
        return quantity
    left = quantity.copy()
    bought = (kind == purchase) & (customer >= 0) & (item >= 0)
    _take_named(left, back, bought, customer, item, id_hash, reverses)
    searching = back[left[back] > 0]
    if len(searching):
        group = customer.astype(np.int64) * (np.int64(item.max()) + 1) + item
        rows = np.flatnonzero(np.isin(group, group[searching]) & (bought | ((kind == returned) & (left > 0))))
        rows = rows[(customer[rows] >= 0) & (item[rows] >= 0)]
        rows = rows[np.lexsort((time[rows], group[rows]))]
        price = np.round(amount[rows] / quantity[rows], 6)
        _, remaining = kernels.match_returns(group[rows], ~bought[rows], left[rows], price)
        left[rows] = np.round(remaining, _PLACES)
    return left


def _take_named(
    left: NDArray[np.float64],
    back: NDArray[np.int64],
    bought: NDArray[np.bool_],
    customer: NDArray[np.int32],
    item: NDArray[np.int32],
    id_hash: NDArray[np.uint64],
    reverses: NDArray[np.uint64],
) -> None:
    """Take returns off the purchases that they name; several that name one share it in proportion."""
    target = _rows_of(reverses[back], id_hash)
    linked, target = back[target >= 0], target[target >= 0]
    honest = bought[target] & (customer[target] == customer[linked]) & (item[target] == item[linked])
    linked, target = linked[honest], target[honest]
    wanted = np.bincount(target, weights=left[linked], minlength=len(left))
    taken = np.minimum(wanted, left)
    share = np.divide(taken, wanted, out=np.zeros(len(left)), where=wanted > 0)
    left[linked] = np.round(left[linked] * (1.0 - share[target]), _PLACES)
    sold = np.unique(target)
    left[sold] = np.round(left[sold] - taken[sold], _PLACES)


def _rows_of(wanted: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each wanted hash (0: none) the first row that has it, else −1."""
    found = np.full(len(wanted), -1, dtype=np.int64)
    asking = np.flatnonzero(wanted)
    candidates = np.flatnonzero(np.isin(hashes, wanted[asking]))
    if len(candidates):
        order = candidates[np.argsort(hashes[candidates], kind="stable")]
        place = np.minimum(np.searchsorted(hashes[order], wanted[asking]), len(order) - 1)
        hit = hashes[order[place]] == wanted[asking]
        found[asking[hit]] = order[place[hit]]
    return found


__all__ = ["net_quantities"]
