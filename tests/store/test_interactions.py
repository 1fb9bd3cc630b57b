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
from visavis.store.interactions import (
    BASKET_SQL,
    count_interactions,
    filled,
    read_id_hashes,
    read_rows,
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
        rows = read_rows(cursor)
        assert read_id_hashes(cursor).tolist() == [text_hash(one) for one in "abcd"]
        assert stored_ids(cursor, [text_hash("a"), text_hash("z")]) == {"a"}
        assert count_interactions(cursor, since=0) == (4, 4)
        assert count_interactions(cursor, since=rows.sequence) == (4, 0)
    assert rows.sequence == shop.store.mark.sequence
    assert rows.currency == "GBP"
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
        rows = read_rows(cursor)
    assert (len(rows.identity), rows.currency) == (0, "")
    assert rows.reverses.dtype == rows.id_hash.dtype == np.uint64


@pytest.mark.parametrize("column", [np.array([1, 2]), np.ma.masked_array([1, 2], [False, False])])
def test_filled(column: np.ndarray) -> None:  # type: ignore[type-arg]
    assert filled(column).tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(filled(np.ma.masked_array([1, 2], [True, False])), [np.nan, 2.0])
