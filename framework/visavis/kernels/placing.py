"""Putting rows at their places group by group: the inner step of a counting sort that sees its rows in pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def place_rows(group: NDArray[np.int32], free: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row goes: int64 [n]. Rows of one group go to places one after the other, in the order given.

    `group` [n] numbers each row's group, 0 to n_groups − 1. `free` int64 [n_groups] is the next free place of each
    group, and is moved on in place, so that the next piece of rows goes on where this one ended. Start with the
    running total of the groups' sizes for a stable sort by group.
    Raises InvalidInput for a group outside, and for a `free` that cannot be written.
    """
    groups = _check.array("group", group, np.int32)
    if not (isinstance(free, np.ndarray) and free.dtype == np.int64 and free.ndim == 1 and free.flags.writeable):
        _check.refuse("free", "must be a writable array of int64 [n_groups]")
    outside = (groups < 0) | (groups >= len(free))
    if outside.any():
        entry = int(np.argmax(outside))
        _check.refuse("group", f"must be 0 to {len(free) - 1}, but entry {entry} is {groups[entry]}")
    places = np.empty(len(groups), np.int64)
    _place_rows(groups, free, places)
    return places


@serial
def _place_rows(group: NDArray[np.int32], free: NDArray[np.int64], places: NDArray[np.int64]) -> None:
    for row in range(len(group)):
        places[row] = free[group[row]]
        free[group[row]] += 1


__all__ = ["place_rows"]
