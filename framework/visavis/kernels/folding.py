"""The equations that a customer's factors solve, from what he did up to this moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def normal_equations(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    ridge: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each row of a CSR matrix `(A float64 [n_rows, d, d], b float64 [n_rows, d])`:

        A = gram + ridge_r · I + Σ w y yᵀ        b = Σ w y

    over the row's entries, `data` being the weights w and `factors` (float32 [n_columns, d]) holding the y. Sums run in
    the order of the entries.
    """
    table = _check.array("factors", factors, np.float32, ndim=2)
    starts, columns, values, _ = _check.csr(indptr, indices, data, len(table))
    d = table.shape[1]
    shared = _check.array("gram", gram, np.float64, ndim=2)
    if shared.shape != (d, d):
        _check.refuse("gram", f"must have the shape {(d, d)}, not {shared.shape}")
    ridges = _check.array("ridge", ridge, np.float64, length=len(starts) - 1)
    matrices, sides = np.empty((len(ridges), d, d)), np.zeros((len(ridges), d))
    _normal_equations(starts, columns, values, table, shared, ridges, matrices, sides)
    return matrices, sides


@serial
def _normal_equations(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    factors: NDArray[np.float32],
    gram: NDArray[np.float64],
    ridge: NDArray[np.float64],
    matrices: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> None:
    d = factors.shape[1]
    for row in range(len(ridge)):
        matrix, side = matrices[row], sides[row]
        matrix[:] = gram
        for i in range(d):
            matrix[i, i] += ridge[row]
        for entry in range(indptr[row], indptr[row + 1]):
            y = factors[indices[entry]]
            for i in range(d):
                amount = data[entry] * float(y[i])
                side[i] += amount
                for j in range(d):
                    matrix[i, j] += amount * float(y[j])


__all__ = ["normal_equations"]
