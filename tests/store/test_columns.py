"""Columns into a table: every text comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.store import arrow
from visavis.store.columns import insert_columns

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


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
    given = {
        "b": [b for _, b, _ in rows],
        "i": np.array([np.nan if i is None else i for _, _, i in rows], dtype=np.float64),
        "a": [a for a, _, _ in rows],
        "k": np.arange(count, dtype=np.uint16),
        "h": np.full(count, 2**64 - 1, dtype=np.uint64),
        "moment": np.full(count, 1_700_000_000_000_001, dtype="datetime64[us]"),
        "yes": np.ones(count, dtype=np.bool_),
    }
    assert insert_columns(cursor, "t", given) == count
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


def test_many_rows_of_any_length_and_script(cursor: duckdb.DuckDBPyConnection) -> None:
    """More than fit in one of DuckDB's vectors, with texts that fit in 12 bytes and texts that do not."""
    cursor.execute("DELETE FROM t")
    a = ["x" * (n % 30) for n in range(10_000)]
    b = ["é🍵" * (n % 9) for n in range(10_000)]
    n = np.where(np.arange(10_000) % 3 == 0, np.nan, np.arange(10_000) / 2)
    yes = np.arange(10_000) % 5 == 0
    assert insert_columns(cursor, "t", {"a": a, "i": np.arange(10_000), "b": b, "n": n, "yes": yes}) == 10_000
    found = cursor.execute("SELECT a, b, n, yes FROM t ORDER BY i").fetchall()
    expected = zip(a, b, n.tolist(), yes.tolist(), strict=True)
    assert found == [(a or None, b or None, None if n != n else n, yes) for a, b, n, yes in expected]


def test_a_type_that_no_table_has_is_refused(cursor: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(TypeError, match="complex128"):
        insert_columns(cursor, "t", {"n": np.zeros(1, dtype=np.complex128)})


def test_what_a_rollback_takes_back_does_not_stand_in_the_way(cursor: duckdb.DuckDBPyConnection) -> None:
    with cursor.cursor() as fresh:
        for end, count in (("ROLLBACK", 0), ("COMMIT", 1), ("COMMIT", 2)):
            fresh.execute("BEGIN")
            fresh.execute("DELETE FROM t WHERE a IS NOT NULL OR i IS NOT NULL")
            assert insert_columns(fresh, "t", {"yes": np.ones(1, np.bool_), "b": ["x"]}) == 1
            fresh.execute(end)
            assert fresh.execute("SELECT count(*) FROM t WHERE b = 'x' AND yes").fetchall() == [(count,)]


def test_a_transaction_goes_on_with_columns_of_another_shape(cursor: duckdb.DuckDBPyConnection) -> None:
    """DuckDB 2 gives a transaction up at its first error, so none may be met on the way."""
    with cursor.cursor() as fresh:
        fresh.execute("BEGIN")
        fresh.execute("DELETE FROM t")
        assert insert_columns(fresh, "t", {"a": ["x"]}) == 1
        assert insert_columns(fresh, "t", {"a": ["y"], "i": np.array([7])}) == 1
        assert insert_columns(fresh, "t", {"a": ["z"]}) == 1
        fresh.execute("COMMIT")
        assert fresh.execute("SELECT a, i FROM t ORDER BY a").fetchall() == [("x", None), ("y", 7), ("z", None)]


def test_a_table_that_is_not_there_is_told(cursor: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        insert_columns(cursor, "nowhere", {"a": ["x"]})


def test_rows_that_do_not_fit_leave_nothing_behind(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute("DELETE FROM t")
    with pytest.raises(duckdb.ConversionException):
        insert_columns(cursor, "t", {"k": np.array([1, 70_000])})
    with pytest.raises(UnicodeEncodeError):
        insert_columns(cursor, "t", {"a": ["a", "\ud800"]})
    assert insert_columns(cursor, "t", {"k": np.array([1, 7])}) == 2
    assert cursor.execute("SELECT k FROM t ORDER BY k").fetchall() == [(1,), (7,)]
    assert not arrow._open
