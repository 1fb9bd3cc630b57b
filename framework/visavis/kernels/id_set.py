"""A growing set of 64-bit hashes in one array: has this id been seen before?

Open addressing with linear probing; a slot of 0 is empty, so the hash 0 is kept as `0x9E3779B97F4A7C15`, and these
two count as one. Two ids with one hash look the same here anyway: a caller for whom that matters looks the id up
when told that it is not new.
Eight bytes a slot, at most 70 % full: 11.4 to 22.9 bytes a hash once past the first growth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_MOST = 2**40
_FOR_ZERO = np.uint64(0x9E3779B97F4A7C15)


def id_set_new(capacity: int) -> NDArray[np.uint64]:
    """An empty table, uint64 with a power of two of slots, that takes `capacity` hashes before it grows."""
    slots = 16
    while _check.count("capacity", capacity, most=_MOST) > _limit(slots):
        slots *= 2
    return np.zeros(slots, np.uint64)


def id_set_add(
    table: NDArray[np.uint64], used: int, hashes: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], int, NDArray[np.bool_]]:
    """Add hashes: `(table, used, is_new bool [n])`. `used` is how many the table holds: 0 at first, then as answered.

    `is_new` is False for a hash that was there, or that stands earlier in the same call. The table given is changed
    in place, or left behind for a larger one; go on with the one answered. Not for several threads at once.
    """
    if not (isinstance(table, np.ndarray) and table.flags.writeable and table.flags.c_contiguous):
        _check.refuse("table", "must be a writable array made by id_set_new")
    slots = len(_table(table))
    held = _check.count("used", used, most=_limit(slots))
    wanted = _check.array("hashes", hashes, np.uint64)
    is_new = np.zeros(len(wanted), np.bool_)
    grown, held = _id_set_add(table, held, wanted, is_new)
    return grown, int(held), is_new


def id_set_contains(table: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """bool [n]: which of the hashes the table holds."""
    slots = _table(table)
    return _id_set_contains(slots, _check.array("hashes", hashes, np.uint64))


def _limit(slots: int) -> int:
    return slots * 7 // 10


def _table(table: object) -> NDArray[np.uint64]:
    if not isinstance(table, np.ndarray) or table.dtype != np.uint64:
        _check.refuse("table", "must be an array of uint64 made by id_set_new")
    slots = _check.array("table", table, np.uint64)
    if len(slots) < 2 or len(slots) & (len(slots) - 1):
        _check.refuse("table", f"must have a power of two of slots (see id_set_new), not {len(slots)}")
    return slots


@serial
def _find(table: NDArray[np.uint64], key: np.uint64) -> np.int64:
    """The slot of `key`, or the empty slot where it belongs; −1 if the table is full."""
    # High bits take part too, so that hashes alike in their low bits do not crowd. Shifts and xor only: a product
    # would overflow with a warning where the compiler is off. Unsigned constants, or numba computes in float.
    mixed = key ^ (key >> np.uint64(32)) ^ (key >> np.uint64(17))
    slot = np.int64(mixed & np.uint64(len(table) - 1))
    for _ in range(len(table)):
        if table[slot] == key or table[slot] == np.uint64(0):
            return slot
        slot = np.int64((slot + 1) & (len(table) - 1))
    return np.int64(-1)


@serial
def _key(value: np.uint64) -> np.uint64:
    return value if value != np.uint64(0) else _FOR_ZERO


@serial
def _id_set_add(
    table: NDArray[np.uint64], used: int, hashes: NDArray[np.uint64], is_new: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], int]:
    for entry in range(len(hashes)):
        key = _key(hashes[entry])
        slot = _find(table, key)
        if slot >= 0 and table[slot] == key:
            continue
        if slot < 0 or (used + 1) * 10 > len(table) * 7:
            larger = np.zeros(2 * len(table), np.uint64)
            for old in table:
                if old != np.uint64(0):
                    larger[_find(larger, old)] = old
            table = larger
            slot = _find(table, key)
        table[slot] = key
        used += 1
        is_new[entry] = True
    return table, used


@serial
def _id_set_contains(table: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    held = np.zeros(len(hashes), np.bool_)
    for entry in range(len(hashes)):
        key = _key(hashes[entry])
        slot = _find(table, key)
        held[entry] = slot >= 0 and table[slot] == key
    return held


__all__ = ["id_set_add", "id_set_contains", "id_set_new"]
