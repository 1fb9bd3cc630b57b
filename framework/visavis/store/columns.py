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
    names = list(columns)
    n_rows = len(columns[names[0]])
    if n_rows == 0:
        return 0
    arrays = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
    texts = {name: column for name, column in columns.items() if not isinstance(column, np.ndarray)}
    selects = ", ".join(
        (f"nullif(batch_texts.{name}, '')" if name in texts else f"batch_arrays.{name}") for name in names
    )
    sources = []
    if arrays:
        cursor.register("batch_arrays", dict(arrays))
        sources.append("batch_arrays")
    if texts:
        splits = ", ".join(f"unnest(string_split(?, chr(31))) AS {name}" for name in texts)
        sources.append(f"(SELECT {splits}) batch_texts")
    try:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {selects} FROM {' POSITIONAL JOIN '.join(sources)}",
            [join_texts(column) for column in texts.values()],
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
