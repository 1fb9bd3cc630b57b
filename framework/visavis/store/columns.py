"""Rows on their way into a table, as columns: the fastest road into DuckDB that needs neither pyarrow nor pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from visavis.store.arrow import ArrowColumns

if TYPE_CHECKING:
    import duckdb

Column = np.ndarray[Any, Any] | Sequence[str]


def insert_columns(cursor: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Column]) -> int:
    """Insert rows given as columns of equal length; an empty text and a NaN become NULL. Answers the row count.

    Texts are sequences of `str`; everything else is a NumPy array (datetime64[us], ints, floats, bools).
    """
    n_rows = len(next(iter(columns.values())))
    if n_rows == 0:
        return 0
    # DuckDB finds it by the name of the variable. To register it would cost as much as to write a row, and a rollback
    # takes back what was registered.
    visavis_columns = ArrowColumns(columns)
    names = ", ".join(columns)
    try:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM visavis_columns")
    finally:
        visavis_columns.close()
    return n_rows


__all__ = ["Column", "insert_columns"]
