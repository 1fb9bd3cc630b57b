"""One half of a step of alternating least squares: the factors of all rows, those of the columns being given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import fetch_add, in_threads, serial, summing, thread_count

_STEP = 16
_SOLVED = 1e-20


def improve_factors(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    others: NDArray[np.float32],
    gram: NDArray[np.float32],
    ridge: NDArray[np.float32],
    factors: NDArray[np.float32],
    n_steps: int,
    *,
    threads: int | None = None,
) -> None:
    """Bring each row x of `factors` (float32 [n_rows, d], in place) nearer to the solution of

        (gram + ridge_r · I + Σ w y yᵀ) x = Σ w y

    by `n_steps` steps of conjugate gradients from where it stands, d of which would solve it. Sums are over the row's
    entries: CSR, `data` (float32, 0 or more) are the weights w, and `others` (float32 [n_columns, d]) holds the y. A
    row without entries becomes 0. `gram` is symmetric and positive semidefinite, `ridge` above 0. Rows do not depend
    on one another, nor on the number of threads (None for one a core).
    """
    across = _check.array("others", others, np.float32, ndim=2)
    starts, columns, _ = _check.pattern(indptr, indices, len(across))
    weights = _check.array("data", data, np.float32, length=len(columns))
    n_rows, d = len(starts) - 1, across.shape[1]
    shared = _check.array("gram", gram, np.float32, ndim=2)
    if shared.shape != (d, d):
        _check.refuse("gram", f"must have the shape {(d, d)}, not {shared.shape}")
    ridges = _check.array("ridge", ridge, np.float32, length=n_rows)
    if not (isinstance(factors, np.ndarray) and factors.dtype == np.float32 and factors.flags.carray):
        _check.refuse("factors", "must be a writable array of float32")
    if factors.shape != (n_rows, d):
        _check.refuse("factors", f"must have the shape {(n_rows, d)}, not {factors.shape}")
    steps = _check.count("n_steps", n_steps)
    n_threads = thread_count() if threads is None else _check.count("threads", threads, least=1)
    counter = np.zeros(1, np.int64)

    def work(_thread: int) -> None:
        _improve(
            starts, columns, weights, across, shared, ridges, factors, steps, counter, *np.empty((3, d), np.float32)
        )

    in_threads(work, max(1, min(n_threads, n_rows)))


@serial
def _improve(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    others: NDArray[np.float32],
    gram: NDArray[np.float32],
    ridge: NDArray[np.float32],
    factors: NDArray[np.float32],
    n_steps: int,
    counter: NDArray[np.int64],
    left: NDArray[np.float32],
    direction: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    n_rows, d = factors.shape
    first = fetch_add(counter, _STEP)
    while first < n_rows:
        for row in range(first, min(first + _STEP, n_rows)):
            x = factors[row]
            begin, end = indptr[row], indptr[row + 1]
            if begin == end:
                x[:] = 0.0
                continue
            # What is left of the right side once x is put in.
            _times(indices, data, others, gram, ridge[row], begin, end, x, left)
            for j in range(d):
                left[j] = -left[j]
            for entry in range(begin, end):
                weight, y = data[entry], others[indices[entry]]
                for j in range(d):
                    left[j] += weight * y[j]
            direction[:] = left
            rest = _dot(left, left)
            for _ in range(n_steps):
                if rest < _SOLVED:
                    break
                _times(indices, data, others, gram, ridge[row], begin, end, direction, product)
                length = rest / _dot(direction, product)
                for j in range(d):
                    x[j] += length * direction[j]
                    left[j] -= length * product[j]
                before, rest = rest, _dot(left, left)
                turn = rest / before
                for j in range(d):
                    direction[j] = left[j] + turn * direction[j]
        first = fetch_add(counter, _STEP)


@serial
def _times(
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    others: NDArray[np.float32],
    gram: NDArray[np.float32],
    ridge: float,
    begin: int,
    end: int,
    vector: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    d = len(vector)
    for j in range(d):
        product[j] = ridge * vector[j]
    for i in range(d):
        amount = vector[i]
        for j in range(d):
            product[j] += amount * gram[i, j]
    for entry in range(begin, end):
        y = others[indices[entry]]
        amount = data[entry] * _dot(y, vector)
        for j in range(d):
            product[j] += amount * y[j]


@summing
def _dot(left: NDArray[np.float32], right: NDArray[np.float32]) -> np.float32:
    total = np.float32(0.0)
    for j in range(len(left)):
        total += left[j] * right[j]
    return total


__all__ = ["improve_factors"]
