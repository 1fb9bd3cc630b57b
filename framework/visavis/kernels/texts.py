"""Texts as one array of UTF-8: text i is `data[ends[i]:ends[i + 1]]`, `ends` int64 [n + 1] begins with 0.

Taking some, checking all, and finding the number of a text among many, without a Python value for any of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Bytes = NDArray[np.uint8]
_MASK = np.uint64(0xFFFFFFFF)
_MOST = 2**31 - 2


def take_texts(data: Bytes, ends: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Bytes, NDArray[np.int64]]:
    """The texts at `places` int64 [m], in that order: `(data, ends)`. Raises InvalidInput for a place outside."""
    content, cuts = _texts(data, ends)
    wanted = _check.array("places", places, np.int64)
    _within(wanted, len(cuts) - 1)
    taken = np.zeros(len(wanted) + 1, np.int64)
    lengths = cuts[1:][wanted] - cuts[:-1][wanted]
    np.cumsum(lengths, out=taken[1:])
    copied = np.empty(int(taken[-1]), np.uint8)
    _take_texts(content, cuts, wanted, copied, taken)
    return copied, taken


def texts_fit(data: Bytes, ends: NDArray[np.int64], longest: int) -> NDArray[np.bool_]:
    """bool [n]: which texts have 1 to `longest` characters, none of them a control character (below U+0020, U+007F)."""
    content, cuts = _texts(data, ends)
    fit = np.zeros(len(cuts) - 1, np.bool_)
    _texts_fit(content, cuts, _check.count("longest", longest), fit)
    return fit


def text_index_new(capacity: int) -> NDArray[np.uint64]:
    """An empty index, uint64 with a power of two of slots, that takes `capacity` texts before it grows."""
    slots = 16
    while _check.count("capacity", capacity, most=_MOST) > slots // 2:
        slots *= 2
    return np.zeros(slots, np.uint64)


def text_index_add(
    index: NDArray[np.uint64], data: Bytes, ends: NDArray[np.int64], first: int, key: int
) -> NDArray[np.uint64]:
    """Take the texts from number `first` on into the index, which holds those before; all differ. Answers the index.

    The index given is changed in place, or left behind for a larger one. `key` (64 bits) stays the same for an index:
    who does not know it cannot make texts that crowd.
    """
    if not (isinstance(index, np.ndarray) and index.flags.writeable and index.flags.c_contiguous):
        _check.refuse("index", "must be a writable array made by text_index_new")
    slots = len(_index(index))
    content, cuts = _check.array("data", data, np.uint8), _check.array("ends", ends, np.int64)
    begin = _check.count("first", first, most=min(len(cuts) - 1, _MOST))
    if len(cuts) - 1 > _MOST:
        _check.refuse("ends", f"must hold at most {_MOST} texts, not {len(cuts) - 1}")
    low, high = _halves(key)
    if len(cuts) - 1 > slots // 2:
        index, begin = text_index_new(2 * (len(cuts) - 1)), 0
    # Those before were looked at when they came, and may be millions.
    came = cuts[begin:]
    if came[0] < 0 or came[-1] > len(content) or (came[1:] < came[:-1]).any():
        _check.refuse("ends", f"must never fall and end within the bytes ({len(content)})")
    _text_index_add(index, content, cuts, begin, low, high)
    return index


def text_index_find(
    index: NDArray[np.uint64],
    data: Bytes,
    ends: NDArray[np.int64],
    wanted: Bytes,
    wanted_ends: NDArray[np.int64],
    places: NDArray[np.int64],
    key: int,
) -> NDArray[np.int32]:
    """int32 [m]: the number in `data`, `ends` of each text of `wanted`, `wanted_ends` at `places` int64 [m], or −1.

    `index` was made of `data`, `ends` with the same key.
    """
    slots = _index(index)
    content, cuts = _check.array("data", data, np.uint8), _check.array("ends", ends, np.int64)
    asked, asked_cuts = _texts(wanted, wanted_ends)
    at = _check.array("places", places, np.int64)
    _within(at, len(asked_cuts) - 1)
    low, high = _halves(key)
    numbers = np.empty(len(at), np.int32)
    _text_index_find(slots, content, cuts, asked, asked_cuts, at, low, high, numbers)
    return numbers


def _texts(data: object, ends: object) -> tuple[Bytes, NDArray[np.int64]]:
    content, cuts = _check.array("data", data, np.uint8), _check.array("ends", ends, np.int64)
    if len(cuts) == 0 or cuts[0] != 0 or cuts[-1] != len(content) or (cuts[1:] < cuts[:-1]).any():
        _check.refuse("ends", f"must start at 0, never fall and end at the number of bytes ({len(content)})")
    return content, cuts


def _within(places: NDArray[np.int64], n: int) -> None:
    if len(places) and (places.min() < 0 or places.max() >= n):
        _check.refuse("places", f"must lie in 0 … {n - 1}, but hold {places.min()} … {places.max()}")


def _index(index: object) -> NDArray[np.uint64]:
    slots = _check.array("index", index, np.uint64)
    if len(slots) < 2 or len(slots) & (len(slots) - 1):
        _check.refuse("index", f"must have a power of two of slots (see text_index_new), not {len(slots)}")
    return slots


def _halves(key: int) -> tuple[np.uint64, np.uint64]:
    _check.count("key", key, most=2**64 - 1)
    return np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)


@serial
def _take_texts(
    data: Bytes, ends: NDArray[np.int64], places: NDArray[np.int64], copied: Bytes, taken: NDArray[np.int64]
) -> None:
    for entry in range(len(places)):
        begin, start = ends[places[entry]], taken[entry]
        for place in range(taken[entry + 1] - start):
            copied[start + place] = data[begin + place]


@serial
def _texts_fit(data: Bytes, ends: NDArray[np.int64], longest: int, fit: NDArray[np.bool_]) -> None:
    for text in range(len(fit)):
        characters, good = 0, True
        for place in range(ends[text], ends[text + 1]):
            byte = data[place]
            good &= byte >= 0x20 and byte != 0x7F
            characters += (byte & 0xC0) != 0x80
        fit[text] = good and 1 <= characters <= longest


@serial
def _turned(value: np.uint64, by: int) -> np.uint64:
    return ((value << np.uint64(by)) | (value >> np.uint64(32 - by))) & _MASK


@serial
def _round(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a = (a + b) & _MASK
    b = _turned(b, 5) ^ a
    a = _turned(a, 16)
    c = (c + d) & _MASK
    d = _turned(d, 8) ^ c
    a = (a + d) & _MASK
    d = _turned(d, 7) ^ a
    c = (c + b) & _MASK
    b = _turned(b, 13) ^ c
    c = _turned(c, 16)
    return a, b, c, d


@serial
def _hash(data: Bytes, begin: int, end: int, low: np.uint64, high: np.uint64) -> np.uint64:
    """HalfSipHash-1-3 of 32 bits (Aumasson and Bernstein); all are 32-bit numbers in 64 bits: no sum overflows."""
    a, b, c, d = low, high, np.uint64(0x6C796765) ^ low, np.uint64(0x74656462) ^ high
    word = np.uint64(0)
    for place in range(end - begin):
        word |= np.uint64(data[begin + place]) << np.uint64(8 * (place & 3))
        if place & 3 == 3:
            d ^= word
            a, b, c, d = _round(a, b, c, d)
            a ^= word
            word = np.uint64(0)
    word |= np.uint64((end - begin) & 0xFF) << np.uint64(24)
    d ^= word
    a, b, c, d = _round(a, b, c, d)
    a ^= word
    c ^= np.uint64(0xFF)
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    return b ^ d


@serial
def _text_index_add(
    index: NDArray[np.uint64], data: Bytes, ends: NDArray[np.int64], first: int, low: np.uint64, high: np.uint64
) -> None:
    last = np.uint64(len(index) - 1)
    for text in range(first, len(ends) - 1):
        hashed = _hash(data, ends[text], ends[text + 1], low, high)
        slot = np.int64(hashed & last)
        for _ in range(len(index)):
            if index[slot] == np.uint64(0):
                index[slot] = (hashed << np.uint64(32)) | np.uint64(text + 1)
                break
            slot = np.int64(np.uint64(slot + 1) & last)


@serial
def _same(data: Bytes, first: int, last: int, wanted: Bytes, begin: int, end: int) -> bool:
    if last - first != end - begin or first < 0 or last > len(data):
        return False
    place = 0
    while place < end - begin and data[first + place] == wanted[begin + place]:
        place += 1
    return place == end - begin


@serial
def _text_index_find(
    index: NDArray[np.uint64],
    data: Bytes,
    ends: NDArray[np.int64],
    wanted: Bytes,
    wanted_ends: NDArray[np.int64],
    places: NDArray[np.int64],
    low: np.uint64,
    high: np.uint64,
    numbers: NDArray[np.int32],
) -> None:
    last = np.uint64(len(index) - 1)
    for entry in range(len(places)):
        begin, end = wanted_ends[places[entry]], wanted_ends[places[entry] + 1]
        hashed = _hash(wanted, begin, end, low, high)
        slot = np.int64(hashed & last)
        number = np.int64(-1)
        for _ in range(len(index)):
            held = index[slot]
            if held == np.uint64(0):
                break
            if held >> np.uint64(32) == hashed:
                text = np.int64(held & _MASK) - 1
                # An index of other texts would lead outside.
                if text < len(ends) - 1 and _same(data, ends[text], ends[text + 1], wanted, begin, end):
                    number = text
                    break
            slot = np.int64(np.uint64(slot + 1) & last)
        numbers[entry] = number


__all__ = ["take_texts", "text_index_add", "text_index_find", "text_index_new", "texts_fit"]
