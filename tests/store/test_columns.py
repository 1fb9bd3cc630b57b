"""Columns into a table: every text comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.store.columns import SEPARATOR, insert_columns, join_texts

texts = st.text(st.characters(exclude_characters="\x00" + SEPARATOR, exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t (a VARCHAR, b VARCHAR, n DOUBLE, i BIGINT, k USMALLINT, h UBIGINT, moment TIMESTAMP, "
            "yes BOOLEAN)"
        )
        yield connection


@settings(max_examples=100, derandomize=True, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts, st.one_of(st.none(), st.integers(-(2**53), 2**53))), max_size=8))
def test_what_goes_in_comes_out(cursor: duckdb.DuckDBPyConnection, rows: list[tuple[str, str, int | None]]) -> None:
    count = len(rows)
    cursor.execute("DELETE FROM t")
    columns = {
        "b": [b for _, b, _ in rows],
        "i": np.array([np.nan if i is None else i for _, _, i in rows], dtype=np.float64),
        "a": [a for a, _, _ in rows],
        "k": np.arange(count, dtype=np.uint16),
        "h": np.full(count, 2**64 - 1, dtype=np.uint64),
        "moment": np.full(count, 1_700_000_000_000_001, dtype="datetime64[us]"),
        "yes": np.ones(count, dtype=np.bool_),
    }
    assert insert_columns(cursor, "t", columns) == count
    found = cursor.execute("SELECT a, b, i, h, epoch_us(moment), yes, n FROM t ORDER BY k").fetchall()
    assert found == [(a or None, b or None, i, 2**64 - 1, 1_700_000_000_000_001, True, None) for a, b, i in rows]


def test_texts_alone_and_numbers_alone(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("DELETE FROM t")
    assert insert_columns(cursor, "t", {"a": ["x"], "b": [""]}) == 1
    assert insert_columns(cursor, "t", {"n": np.array([1.5, np.nan])}) == 2
    assert cursor.execute("SELECT a, b, n FROM t ORDER BY n, a").fetchall() == [
        (None, None, 1.5),
        ("x", None, None),
        (None, None, None),
    ]


def test_a_text_with_the_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="U\\+001F"):
        join_texts(["a", f"b{SEPARATOR}c"])
    assert join_texts(["a", "", "b"]) == f"a{SEPARATOR}{SEPARATOR}b"
