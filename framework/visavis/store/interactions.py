"""Table `interactions` and the vocabulary of kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.store.writer import Transaction

if TYPE_CHECKING:
    import duckdb

BASKET_SQL = "(md5_number_lower(order_id) >> 1)::BIGINT"
"""A number for an order id, the same as `text_hash(order_id) >> 1`."""


@dataclass(frozen=True, slots=True)
class InteractionColumns:
    """Interactions by column, ready to be written. Codes −1 for none, NaN for no number, empty text for none.

    `occurred_at` int64 microseconds; `amount`, `rating` float64; the rest lists of texts.
    """

    interaction_id: list[str]
    id_hash: NDArray[np.uint64]
    identity: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    occurred_at: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.float64]
    currency: list[str]
    rating: NDArray[np.float64]
    order_id: list[str]
    touchpoint: list[str]
    decision_id: list[str]
    reverses_id: list[str]


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Interactions as read back, in order of recording. `basket` is the order's number, −1 for none.

    `currency` is the one that most rows have; `foreign` int64: the places of the rows that have another.
    `id_hash` and `reverses` are `text_hash` of the row's own id and of the id that a return names (0: none).
    """

    sequence: int
    identity: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]
    id_hash: NDArray[np.uint64]
    reverses: NDArray[np.uint64]
    currency: str
    foreign: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def text_hash(text: str) -> int:
    """The lower half of the text's MD5, as DuckDB's md5_number_lower gives it. Not for secrets."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "little")


def insert_interactions(tx: Transaction, rows: InteractionColumns, recorded_at: int) -> None:
    """Add interactions; `recorded_at` in microseconds."""
    count = len(rows.interaction_id)
    if not count:
        return
    tx.insert(
        "interactions",
        {
            "sequence": np.full(count, tx.sequence, dtype=np.int64),
            "interaction_id": rows.interaction_id,
            "id_hash": rows.id_hash,
            "identity_code": rows.identity,
            "item_code": rows.item,
            "kind_code": rows.kind,
            "occurred_at": rows.occurred_at.view("datetime64[us]"),
            "quantity": rows.quantity,
            "amount_minor": rows.amount,
            "currency": rows.currency,
            "rating": rows.rating,
            "order_id": rows.order_id,
            "touchpoint": rows.touchpoint,
            "decision_id": rows.decision_id,
            "reverses_id": rows.reverses_id,
            "recorded_at": np.full(count, recorded_at, dtype="datetime64[us]"),
        },
    )


def insert_kinds(tx: Transaction, kinds: Iterable[tuple[int, str]]) -> None:
    """Add kinds by code."""
    rows = list(kinds)
    if rows:
        tx.insert(
            "kinds",
            {"kind_code": np.array([code for code, _ in rows], dtype=np.uint16), "kind": [kind for _, kind in rows]},
        )


def read_kinds(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """All kinds by code."""
    return [kind for (kind,) in cursor.execute("SELECT kind FROM kinds ORDER BY kind_code").fetchall()]


def stored_ids(cursor: duckdb.DuckDBPyConnection, hashes: Sequence[int]) -> set[str]:
    """The ids in the store whose hash is one of these: one scan, whatever the number."""
    cursor.register("asked_hashes", {"id_hash": np.array(hashes, dtype=np.uint64)})
    try:
        rows = cursor.execute(
            "SELECT interaction_id FROM interactions WHERE id_hash IN (SELECT id_hash FROM asked_hashes)"
        ).fetchall()
    finally:
        cursor.unregister("asked_hashes")
    return {interaction_id for (interaction_id,) in rows}


def read_id_hashes(cursor: duckdb.DuckDBPyConnection) -> NDArray[np.uint64]:
    """The hash of every interaction id."""
    return np.asarray(cursor.execute("SELECT id_hash FROM interactions").fetchnumpy()["id_hash"], dtype=np.uint64)


class Counts(NamedTuple):
    """How many interactions there are, and how many of them came after a commit."""

    all: int
    later: int


def count_interactions(cursor: duckdb.DuckDBPyConnection, *, since: int) -> Counts:
    """Interactions in the store, and those of commits after `since`."""
    return Counts(
        *cursor.execute("SELECT count(*), count(*) FILTER (sequence > ?) FROM interactions", [since]).fetchall()[0]
    )


def read_rows(cursor: duckdb.DuckDBPyConnection) -> StoredRows:
    """Every interaction, as of one commit."""
    cursor.execute("BEGIN")
    try:
        sequence = int(cursor.execute("SELECT sequence FROM store_state").fetchall()[0][0])
        named = cursor.execute(
            "SELECT currency FROM interactions WHERE currency IS NOT NULL "
            "GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1"
        ).fetchall()
        currency = named[0][0] if named else ""
        columns = cursor.execute(
            "SELECT identity_code, item_code, kind_code, epoch_us(occurred_at) AS occurred, quantity, "
            f"amount_minor::DOUBLE AS amount, rating, coalesce({BASKET_SQL}, -1) AS basket, "
            "coalesce(md5_number_lower(reverses_id), 0::UBIGINT) AS reverses, id_hash, "
            "coalesce(currency <> ?, false) AS is_foreign FROM interactions",
            [currency],
        ).fetchnumpy()
    finally:
        cursor.execute("ROLLBACK")
    return StoredRows(
        sequence=sequence,
        identity=np.asarray(columns["identity_code"], dtype=np.int32),
        item=np.asarray(columns["item_code"], dtype=np.int32),
        kind=np.asarray(columns["kind_code"], dtype=np.uint16),
        time=np.asarray(columns["occurred"], dtype=np.int64),
        quantity=filled(columns["quantity"]),
        amount=filled(columns["amount"]),
        rating=filled(columns["rating"]),
        basket=np.asarray(columns["basket"], dtype=np.int64),
        id_hash=np.asarray(columns["id_hash"], dtype=np.uint64),
        reverses=np.asarray(columns["reverses"], dtype=np.uint64),
        currency=currency,
        foreign=np.flatnonzero(columns["is_foreign"]),
    )


def filled(column: Any) -> NDArray[np.float64]:
    """A numeric column as float64, NULL as NaN."""
    return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan), dtype=np.float64)


__all__ = [
    "BASKET_SQL",
    "Counts",
    "InteractionColumns",
    "StoredRows",
    "count_interactions",
    "filled",
    "insert_interactions",
    "insert_kinds",
    "read_id_hashes",
    "read_kinds",
    "read_rows",
    "stored_ids",
    "text_hash",
]
