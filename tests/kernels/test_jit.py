"""The intrinsics that look at many integers at once, beside NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visavis.kernels._jit import LANES, bit_count, largest, lowest_bit, reaching, serial


@serial
def _looked_at(array: Any, place: np.uint64, least: int) -> tuple[np.uint64, int, np.uint64, np.uint64]:
    bits = reaching(array, place, least)
    return bits, largest(array, place), lowest_bit(bits), bit_count(bits)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("place", [0, 1, 37])
def test_lanes_are_looked_at_as_numpy_would(rng: np.random.Generator, dtype: Any, place: int) -> None:
    limits = np.iinfo(dtype)
    array = rng.integers(limits.min, limits.max, LANES + 40, dtype, endpoint=True)
    lanes = array[place : place + LANES]
    for least in (limits.min, lanes[5], lanes[63], lanes.max()):
        bits, most, lowest, count = _looked_at(array, np.uint64(place), least)
        good = lanes >= least
        assert [bool(int(bits) >> n & 1) for n in range(LANES)] == good.tolist()
        assert (int(most), int(lowest), int(count)) == (lanes.max(), np.argmax(good), good.sum())
