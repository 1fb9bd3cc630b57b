"""A sparse row of numbers for each item, checked once, for the kernels that add such rows up at every request."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Values = NDArray[np.float32] | NDArray[np.float64]


class ItemRows(NamedTuple):
    """Row i says how much item i speaks for others: `values[i, :sizes[i]]` for the items `codes[i, :sizes[i]]`.

    `codes` int32 and `values` float32 or float64, both [n_items, k]; `sizes` int32 [n_items]; `largest` is the largest
    absolute value. Made by `item_rows`, which checks them; all arrays are read-only.
    """

    codes: NDArray[np.int32]
    values: Values
    sizes: NDArray[np.int32]
    largest: float

    def __len__(self) -> int:
        """How many items."""
        return len(self.codes)


def item_rows(neighbours: NDArray[np.int32], similarities: Values) -> ItemRows:
    """A table as `ItemRows`: `neighbours` int32 [n_items, k], each row padded with −1, and `similarities` alongside.

    Raises `InvalidInput` for codes that are not those of items of the table, for −1 before a code, and for numbers that
    are not finite.
    """
    codes = _check.array("neighbours", neighbours, np.int32, ndim=2)
    single = isinstance(similarities, np.ndarray) and similarities.dtype == np.float32
    values = _check.array("similarities", similarities, np.float32 if single else np.float64, ndim=2)
    if codes.shape != values.shape:
        _check.refuse("similarities", f"must have the shape of neighbours {codes.shape}, not {values.shape}")
    sizes = np.empty(len(codes), np.int32)
    wrong, row, largest = _sizes(codes, values, sizes)
    if wrong == 1:
        _check.refuse("neighbours", f"must be -1 or 0 … {len(codes) - 1}, -1 behind all others; row {row} is not so")
    if wrong == 2:
        _check.refuse("similarities", f"must be finite, but row {row} is not")
    sizes.flags.writeable = False
    return ItemRows(codes, values, sizes, largest)


@serial
def _sizes(codes: NDArray[np.int32], values: Values, sizes: NDArray[np.int32]) -> tuple[int, int, float]:
    """What is wrong (1: a code, 2: a value) and in which row, or 0; and the largest absolute value."""
    largest = 0.0
    for row in range(len(codes)):
        size = 0
        for place in range(codes.shape[1]):
            code = codes[row, place]
            if code == -1:
                continue
            if code < 0 or code >= len(codes) or size < place:
                return 1, row, largest
            value = abs(float(values[row, place]))
            if not value < np.inf:
                return 2, row, largest
            largest = max(largest, value)
            size += 1
        sizes[row] = size
    return 0, 0, largest


__all__ = ["ItemRows", "item_rows"]
