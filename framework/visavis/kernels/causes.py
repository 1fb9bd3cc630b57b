"""Which part of a customer's history says how much for an item: what the scores of `scores` are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial
from visavis.kernels.scores import Similarities, _history, _scratch, _table


def contributions(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: Similarities,
    chosen: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """What scores are made of: `(starts int64 [n_customers · m + 1], entries int64 [c], amounts float64 [c])`.

    For customer r and place p of `chosen` (int32 [n_customers, m]) the parts are those at `starts[r · m + p]` up to
    the next start: entries of the history (places in `items`) and how much each brought, largest first, ties in the
    order of the history. Amounts add up to the score of `score_items` within rounding. No parts where the score is NaN.
    """
    begins, codes, parts = _history(indptr, items, weights)
    table, values = _table(neighbours, similarities)
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(begins) - 1)
    mark, stamp, *_ = _scratch.of(len(table), len(begins) - 1)
    return _contributions(begins, codes, parts, table, values, wanted, mark, stamp, _scratch.slots)


@serial
def _contributions(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    chosen: NDArray[np.int32],
    first_mark: int,
    stamp: NDArray[np.int32],
    slot: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    n_items, m = len(neighbours), chosen.shape[1]
    starts = np.zeros((len(indptr) - 1) * m + 1, np.int64)
    entries, amounts = np.empty(256, np.int64), np.empty(256, np.float64)
    # The parts of one customer as they are found: the place that each is for, its entry and its amount.
    found_place, found_entry, found_amount = np.empty(256, np.int32), np.empty(256, np.int64), np.empty(256)
    before, size, spoilt = np.empty(m, np.int32), np.zeros(m, np.int64), np.zeros(m, np.bool_)
    n_parts = 0
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        for place in range(m):
            item = chosen[row, place]
            size[place], spoilt[place] = 0, False
            if 0 <= item < n_items:
                # An item that was chosen twice: the later place leads to the earlier one.
                before[place] = slot[item] if stamp[item] == mark else -1
                stamp[item], slot[item] = mark, place
        n_found = 0
        for entry in range(indptr[row], indptr[row + 1]):
            cause = items[entry]
            if cause < 0 or cause >= n_items or weights[entry] == 0.0:
                continue
            for neighbour in range(neighbours.shape[1]):
                item = neighbours[cause, neighbour]
                if item < 0 or item >= n_items or stamp[item] != mark:
                    continue
                amount = weights[entry] * float(similarities[cause, neighbour])
                place = slot[item]
                while place >= 0:
                    if n_found == len(found_entry):
                        found_place = np.append(found_place, np.empty_like(found_place))
                        found_entry = np.append(found_entry, np.empty_like(found_entry))
                        found_amount = np.append(found_amount, np.empty_like(found_amount))
                    found_place[n_found], found_entry[n_found], found_amount[n_found] = place, entry, amount
                    n_found += 1
                    size[place] += 1
                    if np.isnan(amount):
                        spoilt[place] = True
                    place = before[place]
        while n_parts + n_found > len(entries):
            entries = np.append(entries, np.empty_like(entries))
            amounts = np.append(amounts, np.empty_like(amounts))
        first = row * m
        starts[first] = n_parts
        for place in range(m):
            if spoilt[place]:
                size[place] = 0
            starts[first + place + 1] = starts[first + place] + size[place]
            size[place] = 0
        for index in range(n_found):
            place = found_place[index]
            if spoilt[place]:
                continue
            # Sorted as they come, while there are few; many are sorted below.
            begin, end = starts[first + place], starts[first + place] + size[place]
            size[place] += 1
            if starts[first + place + 1] - begin <= 64:
                while end > begin and amounts[end - 1] < found_amount[index]:
                    entries[end], amounts[end] = entries[end - 1], amounts[end - 1]
                    end -= 1
            entries[end], amounts[end] = found_entry[index], found_amount[index]
        for place in range(m):
            begin, end = starts[first + place], starts[first + place + 1]
            if end - begin > 64:
                order = np.argsort(-amounts[begin:end], kind="mergesort")
                entries[begin:end] = entries[begin:end][order]
                amounts[begin:end] = amounts[begin:end][order]
        n_parts = starts[first + m]
    return starts, entries[:n_parts].copy(), amounts[:n_parts].copy()


__all__ = ["contributions"]
