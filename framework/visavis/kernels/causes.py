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
    places, causes, parts = np.empty(256, np.int32), np.empty(256, np.int64), np.empty(256, np.float64)
    before, n_parts = np.empty(m, np.int32), 0
    for row in range(len(indptr) - 1):
        mark = first_mark + row
        for place in range(m):
            item = chosen[row, place]
            if 0 <= item < n_items:
                # An item that was chosen twice: the later place leads to the earlier one.
                before[place] = slot[item] if stamp[item] == mark else -1
                stamp[item], slot[item] = mark, place
        first, last = indptr[row], indptr[row + 1]
        n_found = _find(
            items, weights, first, last, neighbours, similarities, mark, stamp, slot, before, places, causes, parts
        )
        if n_found > len(places):
            places, causes = np.empty(2 * n_found, np.int32), np.empty(2 * n_found, np.int64)
            parts = np.empty(2 * n_found, np.float64)
            _find(
                items, weights, first, last, neighbours, similarities, mark, stamp, slot, before, places, causes, parts
            )
        while n_parts + n_found > len(entries):
            entries = np.append(entries, np.empty_like(entries))
            amounts = np.append(amounts, np.empty_like(amounts))
        own = starts[row * m : (row + 1) * m + 1]
        own[0] = n_parts
        _lay_out(places[:n_found], causes[:n_found], parts[:n_found], own, entries, amounts)
        n_parts = int(own[m])
    return starts, entries[:n_parts], amounts[:n_parts]


@serial
def _find(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    first: int,
    last: int,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
    mark: int,
    stamp: NDArray[np.int32],
    slot: NDArray[np.int32],
    before: NDArray[np.int32],
    places: NDArray[np.int32],
    causes: NDArray[np.int64],
    parts: NDArray[np.float64],
) -> int:
    """How many parts one customer's history has for places whose items bear the mark; those that there is room for."""
    n_items, n_found = len(neighbours), 0
    for entry in range(first, last):
        cause, weight = items[entry], weights[entry]
        if cause < 0 or cause >= n_items or weight == 0.0:
            continue
        for neighbour in range(neighbours.shape[1]):
            item = neighbours[cause, neighbour]
            if item < 0 or item >= n_items or stamp[item] != mark:
                continue
            place = slot[item]
            while place >= 0:
                if n_found < len(places):
                    places[n_found], causes[n_found] = place, entry
                    parts[n_found] = weight * float(similarities[cause, neighbour])
                n_found += 1
                place = before[place]
    return n_found


@serial
def _lay_out(
    places: NDArray[np.int32],
    causes: NDArray[np.int64],
    parts: NDArray[np.float64],
    starts: NDArray[np.int64],
    entries: NDArray[np.int64],
    amounts: NDArray[np.float64],
) -> None:
    """Put parts behind `starts[0]`, place by place and the largest first, and say where each place starts."""
    m = len(starts) - 1
    free = np.zeros(m + 1, np.int64)
    spoilt = np.zeros(m, np.bool_)
    for index in range(len(places)):
        free[places[index]] += 1
        if np.isnan(parts[index]):
            spoilt[places[index]] = True
    for place in range(m):
        size = 0 if spoilt[place] else free[place]
        free[place] = starts[place]
        starts[place + 1] = starts[place] + size
    for index in range(len(places)):
        place = places[index]
        if spoilt[place]:
            continue
        begin, end, amount = starts[place], free[place], parts[index]
        free[place] += 1
        # Sorted as they come, while there are few; many are sorted below.
        if starts[place + 1] - begin <= 64:
            while end > begin and amounts[end - 1] < amount:
                entries[end], amounts[end] = entries[end - 1], amounts[end - 1]
                end -= 1
        entries[end], amounts[end] = causes[index], amount
    for place in range(m):
        begin, end = starts[place], starts[place + 1]
        if end - begin > 64:
            order = np.argsort(-amounts[begin:end], kind="mergesort")
            entries[begin:end] = entries[begin:end][order]
            amounts[begin:end] = amounts[begin:end][order]


__all__ = ["contributions"]
