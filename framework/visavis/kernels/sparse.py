"""Sparse matrices by rows: building one from entries in any order, and turning rows into columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_Parts = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


def build_csr(
    rows: NDArray[np.integer[Any]],
    columns: NDArray[np.integer[Any]],
    values: NDArray[np.float64],
    n_rows: int,
    n_columns: int,
) -> _Parts:
    """Collect entries (row, column, value), in any order, into CSR parts `(indptr, indices, data)`.

    `rows`, `columns`: integers [n]; an entry with a negative row or column is skipped. `values`: float64 [n].
    Entries of one place are summed in the order given (a sum may be 0 or NaN and is kept).
    Raises InvalidInput for a row ≥ `n_rows` or a column ≥ `n_columns`.
    """
    height = _check.count("n_rows", n_rows)
    width = _check.count("n_columns", n_columns)
    row = _check.array("rows", rows, np.int32)
    column = _check.array("columns", columns, np.int32, length=len(row))
    value = _check.array("values", values, np.float64, length=len(row))
    for field, codes, limit in (("rows", row, height), ("columns", column, width)):
        if len(codes) and codes.max() >= limit:
            _check.refuse(field, f"must be below {limit}, but entry {int(np.argmax(codes))} is {codes.max()}")
    return _build_csr(row, column, value, height, width)


def transpose(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_columns: int
) -> _Parts:
    """The same matrix by columns: CSR parts with `n_columns` rows; within a row, old rows ascend."""
    return _transpose(*_check.csr(indptr, indices, data, n_columns))


@serial
def _build_csr(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: NDArray[np.float64], n_rows: int, n_columns: int
) -> _Parts:
    # Two stable counting sorts, by column and then by row, leave columns ascending within rows and
    # entries of one place in the order given.
    by_column = np.zeros(n_columns + 1, np.int64)
    by_row = np.zeros(n_rows + 1, np.int64)
    kept = 0
    for entry in range(len(rows)):
        if rows[entry] >= 0 and columns[entry] >= 0:
            by_column[columns[entry] + 1] += 1
            by_row[rows[entry] + 1] += 1
            kept += 1
    for column in range(n_columns):
        by_column[column + 1] += by_column[column]
    for row in range(n_rows):
        by_row[row + 1] += by_row[row]

    order = np.empty(kept, np.int64)
    for entry in range(len(rows)):
        if rows[entry] >= 0 and columns[entry] >= 0:
            place = by_column[columns[entry]]
            by_column[columns[entry]] = place + 1
            order[place] = entry
    fill = by_row[:-1].copy()
    indices = np.empty(kept, np.int32)
    data = np.empty(kept, np.float64)
    for place in range(kept):
        entry = order[place]
        target = fill[rows[entry]]
        fill[rows[entry]] = target + 1
        indices[target] = columns[entry]
        data[target] = values[entry]

    indptr = np.zeros(n_rows + 1, np.int64)
    end = 0
    for row in range(n_rows):
        for place in range(by_row[row], by_row[row + 1]):
            if end > indptr[row] and indices[end - 1] == indices[place]:
                data[end - 1] += data[place]
            else:
                indices[end] = indices[place]
                data[end] = data[place]
                end += 1
        indptr[row + 1] = end
    return indptr, indices[:end].copy(), data[:end].copy()


@serial
def _transpose(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_columns: int
) -> _Parts:
    starts = np.zeros(n_columns + 1, np.int64)
    for entry in range(len(indices)):
        starts[indices[entry] + 1] += 1
    for column in range(n_columns):
        starts[column + 1] += starts[column]
    fill = starts[:-1].copy()
    rows = np.empty(len(indices), np.int32)
    values = np.empty(len(indices), np.float64)
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            place = fill[indices[entry]]
            fill[indices[entry]] = place + 1
            rows[place] = row
            values[place] = data[entry]
    return starts, rows, values


__all__ = ["build_csr", "transpose"]
