"""Rows on their way into a table, as columns: the fastest road into DuckDB that needs neither pyarrow nor pandas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from visavis.store.arrow import ArrowColumns

if TYPE_CHECKING:
    import duckdb

Column = np.ndarray[Any, Any] | Sequence[str]
_Shape = tuple[tuple[str, bytes], ...]


class _Inlet:
    """Stands in DuckDB for columns of one shape, whichever are there at the moment. To register the columns each time
    would cost as much as to write a row."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.name = f"visavis_inlet_{next(self._numbers)}"
        self.columns: ArrowColumns | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if self.columns is None:
            raise ValueError("nothing is being inserted")
        return self.columns.__arrow_c_stream__(requested_schema)


_inlets: WeakKeyDictionary[object, dict[_Shape, _Inlet]] = WeakKeyDictionary()
"""Of each cursor, by shape. A cursor belongs to one thread."""


def insert_columns(cursor: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Column]) -> int:
    """Insert rows given as columns of equal length; an empty text and a NaN become NULL. Answers the row count.

    Texts are sequences of `str`; everything else is a NumPy array (datetime64[us], ints, floats, bools).
    """
    n_rows = len(next(iter(columns.values())))
    if n_rows == 0:
        return 0
    arrow = ArrowColumns(columns)
    inlet = _inlets.setdefault(cursor, {}).setdefault(arrow.shape, _Inlet())
    inlet.columns = arrow
    names = ", ".join(columns)
    try:
        _execute(cursor, inlet, f"INSERT INTO {table} ({names}) SELECT {names} FROM {inlet.name}")
    finally:
        inlet.columns = None
        arrow.close()
    return n_rows


def _execute(cursor: duckdb.DuckDBPyConnection, inlet: _Inlet, statement: str) -> None:
    import duckdb

    with suppress(duckdb.CatalogException):
        cursor.execute(statement)
        return
    # It is new here, or gone with the transaction that it was registered in.
    cursor.register(inlet.name, inlet)
    cursor.execute(statement)


__all__ = ["Column", "insert_columns"]
