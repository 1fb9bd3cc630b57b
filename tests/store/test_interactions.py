"""Hashes and rows as memory reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis import Interaction, Money
from visavis.engine import Engine
from visavis.store import Operation
from visavis.store.interactions import (
    BASKET_SQL,
    count_interactions,
    filled,
    read_fingerprint,
    read_id_hashes,
    read_later,
    reading,
    stored_ids,
    text_hash,
)

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=50)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(text=TEXTS)
def test_python_and_duckdb_hash_alike(text: str) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT md5_number_lower(order_id), {BASKET_SQL} FROM (SELECT ?::VARCHAR AS order_id)", [text]
        ).fetchall()
    assert found == [(text_hash(text), text_hash(text) >> 1)]


def test_rows_come_back_in_order_of_recording(shop: Engine) -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    shop.identify.record(
        [
            Interaction("purchase", "ann", "tea", "a", at, 2.0, Money(700, "GBP"), order_id="o"),
            Interaction("return", "ann", "tea", "b", at, 1.0, reverses_id="a"),
            Interaction("rating", "bob", "tea", "c", at, rating=4.0),
            Interaction("search", interaction_id="d", occurred_at=at),
        ]
    )
    with shop.store.cursor() as cursor:
        with reading(cursor) as recorded:
            (rows,) = recorded.pieces
        assert read_id_hashes(cursor, after=0).tolist() == [text_hash(one) for one in "abcd"]
        assert stored_ids(cursor, [text_hash("a"), text_hash("z")]) == {"a"}
        assert count_interactions(cursor, since=0) == (4, 4)
        assert count_interactions(cursor, since=recorded.sequence) == (4, 0)
        assert len(read_id_hashes(cursor, after=recorded.sequence)) == 0
    assert recorded.sequence == shop.store.mark.sequence
    assert rows.sequence.tolist() == [recorded.sequence] * 4
    assert (recorded.currency, recorded.rows, recorded.nobodys) == ("GBP", 4, 1)
    assert recorded.per_identity.tolist() == [2, 1]
    assert rows.identity.tolist() == [0, 0, 1, -1]
    assert rows.item.tolist() == [0, 0, 0, -1]
    assert rows.quantity.tolist() == [2.0, 1.0, 1.0, 1.0]
    np.testing.assert_array_equal(rows.amount, [700.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(rows.rating, [np.nan, np.nan, 4.0, np.nan])
    assert rows.basket.tolist() == [text_hash("o") >> 1, -1, -1, -1]
    assert rows.id_hash.tolist() == [text_hash(one) for one in "abcd"]
    assert rows.reverses.tolist() == [0, text_hash("a"), 0, 0]
    assert rows.time.tolist() == [int(at.timestamp()) * 1_000_000] * 4


def test_an_empty_store_has_no_rows(shop: Engine) -> None:
    with shop.store.cursor() as cursor:
        with reading(cursor) as recorded:
            assert list(recorded.pieces) == []
        assert read_fingerprint(cursor, until=9) == (0, 0)
        rows = read_later(cursor, after=0)
    assert (recorded.rows, recorded.currency) == (0, "")
    assert rows.reverses.dtype == rows.id_hash.dtype == np.uint64


@pytest.mark.parametrize("piece_rows", [1, 2, 3, 100])
def test_pieces_are_all_rows_once_though_some_were_deleted(shop: Engine, piece_rows: int) -> None:
    for number in range(5):
        shop.identify.record([Interaction("view", "ann", f"i{number}", interaction_id=f"n{number}")])
    shop.store.writer.run(
        Operation(lambda tx: tx.cursor.execute("DELETE FROM interactions WHERE interaction_id IN ('n0', 'n3')"))
    )
    with shop.store.cursor() as cursor:
        with reading(cursor, piece_rows=piece_rows) as recorded:
            pieces = list(recorded.pieces)
        later = read_later(cursor, after=2)
        assert read_fingerprint(cursor, until=2) == (1, text_hash("n1"))
        assert read_fingerprint(cursor, until=99) == (3, text_hash("n1") ^ text_hash("n2") ^ text_hash("n4"))
    assert recorded.rows == 3
    assert [item for piece in pieces for item in piece.item.tolist()] == [1, 2, 4]
    assert max(len(piece.item) for piece in pieces) <= piece_rows
    assert later.item.tolist() == [2, 4]


@pytest.mark.parametrize("column", [np.array([1, 2]), np.ma.masked_array([1, 2], [False, False])])
def test_filled(column: np.ndarray) -> None:  # type: ignore[type-arg]
    assert filled(column).tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(filled(np.ma.masked_array([1, 2], [True, False])), [np.nan, 2.0])
