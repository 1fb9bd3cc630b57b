"""Table `items`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb


class ItemRow(NamedTuple):
    """One item as stored; empty texts and a None price are NULL, `attributes` is a JSON object or empty."""

    code: int
    item_id: str
    name: str
    group_id: str
    category: str
    brand: str
    price_minor: int | None
    currency: str
    available: bool
    attributes: str


def insert_items(tx: Transaction, rows: Sequence[ItemRow], at: int) -> None:
    """Add items; `at` in microseconds."""
    if rows:
        tx.insert("items", _columns(rows, at) | {"created_at": np.full(len(rows), at, dtype="datetime64[us]")})


def update_items(tx: Transaction, rows: Sequence[ItemRow], at: int) -> None:
    """Replace items by code; `at` in microseconds."""
    if not rows:
        return
    tx.flush()
    cursor = tx.cursor
    codes = np.array([row.code for row in rows], dtype=np.int32)
    cursor.register("changed_items", {"item_code": codes})
    created = cursor.execute(
        "SELECT i.item_code, i.created_at FROM items i JOIN changed_items USING (item_code)"
    ).fetchnumpy()
    cursor.execute("DELETE FROM items WHERE item_code IN (SELECT item_code FROM changed_items)")
    cursor.unregister("changed_items")
    by_code = dict(zip(created["item_code"].tolist(), created["created_at"], strict=True))
    columns = _columns(rows, at)
    columns["created_at"] = np.array([by_code[row.code] for row in rows], dtype="datetime64[us]")
    tx.insert("items", columns)


def read_items(cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """All items by code, the columns of `ItemRow` and created_at in microseconds."""
    return cursor.execute(
        "SELECT item_code, item_id, coalesce(name, ''), coalesce(group_id, ''), coalesce(category, ''), "
        "coalesce(brand, ''), price_minor, coalesce(currency, ''), available, coalesce(attributes, ''), "
        "epoch_us(created_at) FROM items ORDER BY item_code"
    ).fetchall()


def _columns(rows: Sequence[ItemRow], at: int) -> dict[str, Any]:
    # A float array, because NaN is the one value that DuckDB takes from NumPy as NULL; exact below 2**53.
    price = np.array([np.nan if row.price_minor is None else row.price_minor for row in rows], dtype=np.float64)
    return {
        "item_code": np.array([row.code for row in rows], dtype=np.int32),
        "item_id": [row.item_id for row in rows],
        "name": [row.name for row in rows],
        "group_id": [row.group_id for row in rows],
        "category": [row.category for row in rows],
        "brand": [row.brand for row in rows],
        "price_minor": price,
        "currency": [row.currency for row in rows],
        "available": np.array([row.available for row in rows], dtype=np.bool_),
        "attributes": [row.attributes for row in rows],
        "updated_at": np.full(len(rows), at, dtype="datetime64[us]"),
    }


__all__ = ["ItemRow", "insert_items", "read_items", "update_items"]
