"""Hashes of many texts at once: the lower half of the MD5 of each, which is what DuckDB's md5_number_lower gives.

MD5 by RFC 1321. It stands for "is this id known", and is no secret and no seal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_MASK = np.uint64(0xFFFFFFFF)
_SINES = np.floor(np.abs(np.sin(np.arange(1, 65))) * 2.0**32).astype(np.uint64)
"""The 64 constants of RFC 1321, section 3.4."""
_TURNS = np.array([[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]], np.uint64)
_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476], np.uint64)


def text_hashes(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """uint64 [n]: the hash of each text; text i is `data[begins[i]:ends[i]]` (int64 [n] each), UTF-8.

    Raises InvalidInput for a text that lies outside of `data`.
    """
    content = _check.array("data", data, np.uint8)
    first = _check.array("begins", begins, np.int64)
    last = _check.array("ends", ends, np.int64, length=len(first))
    outside = (first < 0) | (last < first) | (last > len(content))
    if outside.any():
        entry = int(np.argmax(outside))
        _check.refuse(
            "ends", f"must lie in begins … {len(content)}, but text {entry} is {first[entry]} … {last[entry]}"
        )
    hashes = np.empty(len(first), np.uint64)
    _text_hashes(content, first, last, _SINES, _TURNS, _START, hashes)
    return hashes


@serial
def _mix(
    words: NDArray[np.uint64], state: NDArray[np.uint64], sines: NDArray[np.uint64], turns: NDArray[np.uint64]
) -> None:
    """Take a block of 16 words into the state. All are 32-bit numbers in 64 bits, so that no sum overflows."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    for step in range(64):
        if step < 16:
            mixed = (b & c) | ((b ^ _MASK) & d)
            word = step
        elif step < 32:
            mixed = (d & b) | ((d ^ _MASK) & c)
            word = (5 * step + 1) & 15
        elif step < 48:
            mixed = b ^ c ^ d
            word = (3 * step + 5) & 15
        else:
            mixed = c ^ (b | (d ^ _MASK))
            word = (7 * step) & 15
        total = (a + mixed + sines[step] + words[word]) & _MASK
        turn = turns[step >> 4, step & 3]
        a, d, c = d, c, b
        b = (b + ((total << turn) | (total >> (np.uint64(32) - turn)))) & _MASK
    state[0] = (state[0] + a) & _MASK
    state[1] = (state[1] + b) & _MASK
    state[2] = (state[2] + c) & _MASK
    state[3] = (state[3] + d) & _MASK


@serial
def _text_hashes(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    sines: NDArray[np.uint64],
    turns: NDArray[np.uint64],
    start: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
) -> None:
    words = np.empty(16, np.uint64)
    state = np.empty(4, np.uint64)
    for text in range(len(begins)):
        state[:] = start
        length = ends[text] - begins[text]
        # The text, one bit, zeroes, and the length in bits fill whole blocks of 64 bytes.
        for block in range((length + 8) // 64 + 1):
            words[:] = np.uint64(0)
            at = begins[text] + 64 * block
            for place in range(min(64, max(0, ends[text] - at))):
                words[place >> 2] |= np.uint64(data[at + place]) << np.uint64(8 * (place & 3))
            after = ends[text] - at
            if 0 <= after < 64:
                words[after >> 2] |= np.uint64(0x80) << np.uint64(8 * (after & 3))
            if after < 56:
                bits = np.uint64(8 * length)
                words[14] = bits & _MASK
                words[15] = bits >> np.uint64(32)
            _mix(words, state, sines, turns)
        hashes[text] = state[2] | (state[3] << np.uint64(32))


__all__ = ["text_hashes"]
