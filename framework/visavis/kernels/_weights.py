"""What an entry of the matrix of customers and items weighs before items are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels._jit import serial


def tf_idf_weights(indptr: NDArray[np.int64], data: NDArray[np.float64], n_columns: int) -> NDArray[np.float64]:
    """√x_ui · idf_u."""
    return np.asarray(np.sqrt(data) * _rarity(indptr, n_columns))


def bm25_weights(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    k1: float,
    b: float,
) -> NDArray[np.float64]:
    """x_ui (k1 + 1) / (x_ui + k1 (1 − b + b · L_i / L̄)) · idf_u."""
    lengths = np.bincount(indices, weights=data, minlength=n_columns)
    mean = lengths.mean() if n_columns else 0.0
    held_down = k1 * (1.0 - b + b * lengths / (mean if mean > 0.0 else 1.0))[indices]
    share = np.divide(data * (k1 + 1.0), data + held_down, out=np.zeros(len(data)), where=data > 0.0)
    return np.asarray(share * _rarity(indptr, n_columns))


def _rarity(indptr: NDArray[np.int64], n_columns: int) -> NDArray[np.float64]:
    """idf of each entry's customer: ln n_items − ln(1 + n_u)."""
    lengths = np.diff(indptr)
    return np.repeat(np.log(max(n_columns, 1)) - np.log1p(lengths), lengths)


def centred(indptr: NDArray[np.int64], data: NDArray[np.float64]) -> NDArray[np.float64]:
    """r_ui − r̄_u, exactly 0 where the two are equal up to rounding."""
    return _centred(indptr, data)


@serial
def _centred(indptr: NDArray[np.int64], data: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = np.empty(len(data), np.float64)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        mean, rounding = _mean(data, start, stop)
        for entry in range(start, stop):
            difference = data[entry] - mean
            centred[entry] = difference if abs(difference) > rounding else 0.0
    return centred


@serial
def _mean(data: NDArray[np.float64], start: int, stop: int) -> tuple[float, float]:
    """The mean of a row, and how far it may be off."""
    total = 0.0
    largest = 0.0
    for entry in range(start, stop):
        total += data[entry]
        largest = max(largest, abs(data[entry]))
    # The mean of 0.1, 0.2, 0.3 is not quite 0.2: without this bound on the error of a plain sum, an item
    # rated 0.2 would have a direction made of rounding alone, and similarities of ±1.
    return total / max(stop - start, 1), largest * 2.220446049250313e-16 * (stop - start)


__all__ = ["bm25_weights", "centred", "tf_idf_weights"]
