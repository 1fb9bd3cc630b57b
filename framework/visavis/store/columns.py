"""Rows on their way into a table, as columns.

The fastest road into DuckDB that needs neither pyarrow nor pandas, on every batch size: numbers as a registered
dict of NumPy arrays, texts as one parameter a column, joined by a separator and split again inside DuckDB. (An
object array of texts would make DuckDB look for pandas once per value: 160 µs a row where it is not installed.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import duckdb

SEPARATOR = "\x1f"
"""ASCII unit separator. Ids hold no control characters (checked at the door), so it never occurs in a value;
free text that may hold it is refused by `join_texts`."""

Column = np.ndarray[Any, Any] | Sequence[str]


def insert_columns(cursor: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, Column]) -> int:
    """Insert rows given as columns of equal length; an empty text and a NaN become NULL. Answers the row count.

    Texts are sequences of `str`; everything else is a NumPy array (datetime64[us], ints, floats, bools).
    """
    n_rows = len(next(iter(columns.values())))
    if n_rows == 0:
        return 0
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    selects: list[str] = []
    splits: list[str] = []
    # Parameters stand in the statement's order: those of the columns, then those of the sources.
    same: list[str] = []
    joined: list[str] = []
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            if column.dtype.kind == "f" and np.isnan(column).all():
                selects.append("NULL")
            else:
                arrays[name] = column
                selects.append(f"batch_arrays.{name}")
        elif column.count(column[0]) == n_rows:
            # Most columns of texts say nothing, or the same in each row.
            selects.append("nullif(?, '')")
            same.append(join_texts(column[:1]))
        else:
            selects.append(f"nullif(batch_texts.{name}, '')")
            splits.append(f"unnest(string_split(?, chr(31))) AS {name}")
            joined.append(join_texts(column))
    sources = ["batch_arrays"] if arrays else []
    if splits:
        sources.append(f"(SELECT {', '.join(splits)}) batch_texts")
    if not sources:
        sources.append(f"range({n_rows})")
    if arrays:
        cursor.register("batch_arrays", arrays)
    try:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(selects)} "
            f"FROM {' POSITIONAL JOIN '.join(sources)}",
            same + joined,
        )
    finally:
        if arrays:
            cursor.unregister("batch_arrays")
    return n_rows


def join_texts(texts: Sequence[str]) -> str:
    """All texts as one parameter. Raises ValueError if one holds the separator."""
    joined = SEPARATOR.join(texts)
    if joined.count(SEPARATOR) != len(texts) - 1:
        raise ValueError("a text holds the control character U+001F")
    return joined


__all__ = ["SEPARATOR", "Column", "insert_columns", "join_texts"]
