"""How much pairs of rows have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def overlaps(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    n_columns: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
) -> NDArray[np.int64]:
    """int64 [n_pairs]: how many columns row `left[p]` and row `right[p]` of a CSR share (both int32 [n_pairs]).

    Raises InvalidInput for what is no CSR and for a row that is not there.
    """
    starts, columns, _ = _check.pattern(indptr, indices, n_columns)
    first = _check.array("left", left, np.int32)
    second = _check.array("right", right, np.int32, length=len(first))
    for field, rows in (("left", first), ("right", second)):
        outside = (rows < 0) | (rows >= len(starts) - 1)
        if outside.any():
            entry = int(np.argmax(outside))
            _check.refuse(field, f"must be 0 to {len(starts) - 2}, but entry {entry} is {rows[entry]}")
    return _overlaps(starts, columns, first, second)


@serial
def _overlaps(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], left: NDArray[np.int32], right: NDArray[np.int32]
) -> NDArray[np.int64]:
    shared = np.zeros(len(left), np.int64)
    for pair in range(len(left)):
        a, a_end = indptr[left[pair]], indptr[left[pair] + 1]
        b, b_end = indptr[right[pair]], indptr[right[pair] + 1]
        while a < a_end and b < b_end:
            first, second = indices[a], indices[b]
            shared[pair] += first == second
            a += first <= second
            b += second <= first
    return shared


__all__ = ["overlaps"]
