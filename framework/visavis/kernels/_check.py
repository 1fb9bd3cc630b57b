"""What every kernel asks of its arguments before compiled code sees them.

Checked arrays come back as contiguous, aligned, read-only views of the exact type. So a kernel is compiled for
one set of types, not anew for each caller's mixture of read-only and writable arrays, and cannot write to input.
"""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from visavis.errors import FieldViolation, InvalidInput

_READY, _WRITABLE = 0x0101, 0x0400  # NumPy's bits for contiguous and aligned, and for writable
MAX_CODES = 2**31 - 1
"""Codes are int32: the largest number of rows or columns."""


def refuse(field: str, description: str) -> NoReturn:
    """Raise `InvalidInput` for one argument."""
    raise InvalidInput([FieldViolation(field, description)])


def count(field: str, value: object, least: int = 0, most: int = MAX_CODES) -> int:
    """`value` as an int in `least` … `most`."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        refuse(field, f"must be a whole number, not {value!r}")
    if isinstance(value, bool) or not least <= number <= most:
        refuse(field, f"must be a whole number from {least} to {most}, not {value!r}")
    return number


def number(field: str, value: object) -> float:
    """`value` as a finite float, 0 or more."""
    if not isinstance(value, int | float | np.integer | np.floating) or not 0.0 <= value < np.inf:
        refuse(field, f"must be a finite number, 0 or more, not {value!r}")
    return float(value)


def array(
    field: str, values: object, dtype: type[np.generic], *, ndim: int = 1, length: int | None = None
) -> NDArray[Any]:
    """`values` as a read-only view of type `dtype`; others are taken where the cast is safe."""
    if (
        type(values) is np.ndarray
        and (own := values.dtype).type is dtype
        and own.isnative
        and values.ndim == ndim
        and (length is None or len(values) == length)
        and (flags := values.flags.num) & _READY == _READY
    ):
        # Most are as they must be, and the general way takes longer than many a kernel.
        if not flags & _WRITABLE:
            return values
        view = values.view()
        view.setflags(write=False)
        return view
    wanted = np.dtype(dtype)
    if not isinstance(values, np.ndarray):
        refuse(field, f"must be a NumPy array of {wanted}, not {type(values).__name__}")
    if values.ndim != ndim:
        refuse(field, f"must have {ndim} dimension{'s' if ndim > 1 else ''}, not shape {values.shape}")
    if length is not None and len(values) != length:
        refuse(field, f"must have length {length}, not {len(values)}")
    if values.dtype != wanted:
        values = _converted(field, values, wanted)
    # Most arrays are as they should be, and to ask NumPy for it costs more than a small kernel runs.
    if not (values.flags.c_contiguous and values.flags.aligned):
        values = np.require(values, requirements=["C", "A"])
    view = values.view(np.ndarray)
    view.flags.writeable = False
    return view


def finite(field: str, values: object, *, length: int | None = None) -> NDArray[np.float64]:
    """`values` as float64 [n] with neither NaN nor infinity."""
    checked = array(field, values, np.float64, length=length)
    good = np.isfinite(checked)
    if not good.all():
        place = int(np.argmin(good))
        refuse(field, f"must be finite, but entry {place} is {checked[place]}")
    return checked


def not_negative(field: str, values: object) -> None:
    """Refuse NaN, infinity and what is below 0."""
    checked = finite(field, values)
    if len(checked) and checked.min() < 0.0:
        refuse(field, f"must be 0 or more, but entry {int(np.argmin(checked))} is {checked.min()}")


def finite_squares(field: str, squares: NDArray[np.float64]) -> None:
    """Refuse columns whose sum of squares is infinite: no sum over fewer customers can then overflow."""
    bad = ~np.isfinite(squares)
    if bad.any():
        refuse(field, f"is too large: the sum of squares of column {int(np.argmax(bad))} overflows")


def row_starts(field: str, indptr: object, n_entries: int, *, n_rows: int | None = None) -> NDArray[np.int64]:
    """`indptr` as int64 [n_rows + 1]: starts at 0, never falls, ends at `n_entries`."""
    starts = array(field, indptr, np.int64, length=None if n_rows is None else n_rows + 1)
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != n_entries or (np.diff(starts) < 0).any():
        refuse(field, f"must start at 0, never fall and end at the number of entries ({n_entries})")
    if len(starts) - 1 > MAX_CODES:
        refuse(field, f"must hold at most {MAX_CODES} rows, not {len(starts) - 1}")
    return starts


def csr(
    indptr: object, indices: object, data: object, n_columns: object
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], int]:
    """The parts of a CSR matrix with every index in range and rows in ascending order."""
    starts, columns, width = pattern(indptr, indices, n_columns)
    return starts, columns, array("data", data, np.float64, length=len(columns)), width


def pattern(indptr: object, indices: object, n_columns: object) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    """`csr` without the values."""
    width = count("n_columns", n_columns)
    columns = array("indices", indices, np.int32)
    starts = row_starts("indptr", indptr, len(columns))
    if len(columns):
        if columns.min() < 0 or columns.max() >= width:
            refuse("indices", f"must lie in 0 … {width - 1}, but hold {columns.min()} … {columns.max()}")
        falls = np.diff(columns) <= 0
        # A new row may begin anywhere: the step from one row's end to the next row's start is free.
        borders = starts[(starts > 0) & (starts < len(columns))]
        falls[borders - 1] = False
        if falls.any():
            refuse(
                "indices", f"must ascend within a row, but entry {int(np.argmax(falls)) + 1} does not (see build_csr)"
            )
    return starts, columns, width


def table(neighbours: object, similarities: object) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """A neighbour table: int32 and float64 of one shape [n_items, k]."""
    codes = array("neighbours", neighbours, np.int32, ndim=2)
    values = array("similarities", similarities, np.float64, ndim=2)
    if codes.shape != values.shape:
        refuse("similarities", f"must have the shape of neighbours {codes.shape}, not {values.shape}")
    return codes, values


def _converted(field: str, values: NDArray[Any], wanted: np.dtype[Any]) -> NDArray[Any]:
    if np.issubdtype(wanted, np.integer) and np.issubdtype(values.dtype, np.integer):
        limits = np.iinfo(wanted)
        if values.size == 0 or (int(values.min()) >= limits.min and int(values.max()) <= limits.max):
            return values.astype(wanted)
        refuse(field, f"holds {values.min()} … {values.max()}, which does not fit {wanted}")
    if np.issubdtype(wanted, np.integer) or not np.can_cast(values.dtype, wanted, casting="safe"):
        refuse(field, f"must be of type {wanted}, not {values.dtype}")
    return values.astype(wanted)


__all__ = [
    "MAX_CODES",
    "array",
    "count",
    "csr",
    "finite",
    "not_negative",
    "number",
    "pattern",
    "refuse",
    "row_starts",
    "table",
]
