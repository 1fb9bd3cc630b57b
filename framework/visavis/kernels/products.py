"""The product of a matrix with itself, XᵀX: what any two columns have in common, dense."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import fetch_add, in_threads, serial, thread_count
from visavis.kernels.sparse import _transpose

_STEP = 16


def gram(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """XᵀX of a CSR matrix X: float64 [n_columns, n_columns], symmetric bit for bit.

    Sums run over rows in ascending order, whatever the number of threads. Takes 8 bytes for each pair of columns, so
    the caller bounds `n_columns`; time grows with the squared lengths of rows. `threads`: None for one a core.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    n_threads = thread_count() if threads is None else _check.count("threads", threads, least=1)
    owner_starts, owners, own = _transpose(starts, columns, values, width)
    products = np.zeros((width, width))
    counter = np.zeros(1, np.int64)

    def work(_thread: int) -> None:
        _gram(starts, columns, values, owner_starts, owners, own, counter, products)

    in_threads(work, max(1, min(n_threads, width)))
    return products


@serial
def _gram(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float64],
    owner_starts: NDArray[np.int64],
    owners: NDArray[np.int32],
    own: NDArray[np.float64],
    counter: NDArray[np.int64],
    products: NDArray[np.float64],
) -> None:
    n_columns = len(products)
    first = fetch_add(counter, _STEP)
    while first < n_columns:
        for column in range(first, min(first + _STEP, n_columns)):
            line = products[column]
            for place in range(owner_starts[column], owner_starts[column + 1]):
                row, value = owners[place], own[place]
                # Rows ascend, so what lies at or past the column is their end; the rest is the mirror image.
                entry = starts[row + 1] - 1
                while entry >= starts[row] and columns[entry] >= column:
                    line[columns[entry]] += value * values[entry]
                    entry -= 1
            # Each mirrored place belongs to this column alone, so threads never meet.
            for other in range(column + 1, n_columns):
                products[other, column] = line[other]
        first = fetch_add(counter, _STEP)


__all__ = ["gram"]
