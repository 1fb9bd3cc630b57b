"""The inverse of a symmetric matrix, in place: half the arithmetic and half the memory of the general one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALL = 256


def invert(matrix: NDArray[np.float64]) -> None:
    """Put the inverse of a symmetric positive definite matrix, float64 [n, n], in its place.

    By halves, with D's Schur complement S = D − BᵀA⁻¹B:

        [A  B]⁻¹   [A⁻¹ + T S⁻¹ Tᵀ   −T S⁻¹]
        [Bᵀ D]   = [   (−T S⁻¹)ᵀ       S⁻¹ ]     T = A⁻¹B

    Beside the matrix it takes three quarters of its memory. Raises `numpy.linalg.LinAlgError` for a singular one.
    """
    n = len(matrix)
    if n <= _SMALL:
        matrix[:] = np.linalg.inv(matrix)
        return
    half = n // 2
    a, b, d = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    invert(a)
    t = a @ b
    d -= b.T @ t
    invert(d)
    u = t @ d
    a += u @ t.T
    np.negative(u, out=b)
    matrix[half:, :half] = b.T


__all__ = ["invert"]
