"""Table `interactions` and the vocabulary of kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

BASKET_SQL = "(md5_number_lower(order_id) >> 1)::BIGINT"
"""A number for an order id, the same as `text_hash(order_id) >> 1`."""

PIECE_ROWS = 500_000
"""Rows that are read at once: about 35 MB."""


@dataclass(frozen=True, slots=True)
class InteractionColumns:
    """Interactions by column, ready to be written. Codes −1 for none, NaN for no number, empty text for none.

    `occurred_at` int64 microseconds; `amount`, `rating` float64; the rest texts, as a list or as `Texts`. For memory,
    not written: `basket` is `text_hash(order_id) >> 1` (−1: no order), `reverses` `text_hash(reverses_id)` (0: none).
    """

    interaction_id: Sequence[str]
    id_hash: NDArray[np.uint64]
    identity: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    occurred_at: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.float64]
    currency: Sequence[str]
    rating: NDArray[np.float64]
    order_id: Sequence[str]
    touchpoint: Sequence[str]
    decision_id: Sequence[str]
    reverses_id: Sequence[str]
    basket: NDArray[np.int64]
    reverses: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Interactions as read back, in order of recording. `basket` is the order's number, −1 for none.

    `sequence` int64: the commit of each row. `foreign` bool: its amount is in another currency than most rows' of the
    store. `id_hash` and `reverses` uint64 are `text_hash` of its own id and of the id that a return names (0: none).
    """

    sequence: NDArray[np.int64]
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
    foreign: NDArray[np.bool_]


class Recorded(NamedTuple):
    """All interactions as of commit `sequence`: `currency` is the one that most of them have.

    `per_identity` int64 [n]: rows of each identity code; `nobodys`: rows of nobody. `pieces` reads them in order of
    recording; read it before the cursor does anything else.
    """

    sequence: int
    currency: str
    per_identity: NDArray[np.int64]
    nobodys: int
    pieces: Iterator[StoredRows]

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.per_identity.sum()) + self.nobodys


class Fingerprint(NamedTuple):
    """What tells rows apart from other rows, found in a glance: how many there are, and their id hashes combined."""

    rows: int
    hashes: int


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


def read_id_hashes(cursor: duckdb.DuckDBPyConnection, *, after: int) -> NDArray[np.uint64]:
    """The hash of the id of every interaction that was recorded after commit `after`."""
    columns = cursor.execute("SELECT id_hash FROM interactions WHERE sequence > ?", [after]).fetchnumpy()
    return np.asarray(columns["id_hash"], dtype=np.uint64)


def read_fingerprint(cursor: duckdb.DuckDBPyConnection, *, until: int) -> Fingerprint:
    """The fingerprint of the interactions up to commit `until`."""
    return Fingerprint(
        *cursor.execute(
            "SELECT count(*), coalesce(bit_xor(id_hash), 0::UBIGINT) FROM interactions WHERE sequence <= ?", [until]
        ).fetchall()[0]
    )


class Counts(NamedTuple):
    """How many interactions there are, and how many of them came after a commit."""

    all: int
    later: int


def count_interactions(cursor: duckdb.DuckDBPyConnection, *, since: int) -> Counts:
    """Interactions in the store, and those of commits after `since`."""
    return Counts(
        *cursor.execute("SELECT count(*), count(*) FILTER (sequence > ?) FROM interactions", [since]).fetchall()[0]
    )


@contextmanager
def reading(cursor: duckdb.DuckDBPyConnection, *, piece_rows: int = PIECE_ROWS) -> Iterator[Recorded]:
    """Every interaction, as of one commit, in pieces, so that memory does not grow with the store."""
    cursor.execute("BEGIN")
    try:
        sequence = int(cursor.execute("SELECT sequence FROM store_state").fetchall()[0][0])
        counts = cursor.execute("SELECT identity_code, count(*) AS many FROM interactions GROUP BY ALL").fetchnumpy()
        codes, many = counts["identity_code"], counts["many"]
        per_identity = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
        per_identity[codes[codes >= 0]] = many[codes >= 0]
        currency = read_currency(cursor)
        pieces = _pieces(cursor, currency, piece_rows)
        yield Recorded(sequence, currency, per_identity, int(many[codes < 0].sum()), pieces)
    finally:
        cursor.execute("ROLLBACK")


def read_currency(cursor: duckdb.DuckDBPyConnection) -> str:
    """The currency that most interactions have; empty if none has one."""
    named = cursor.execute(
        "SELECT currency FROM interactions WHERE currency IS NOT NULL "
        "GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1"
    ).fetchall()
    return named[0][0] if named else ""


def read_later(cursor: duckdb.DuckDBPyConnection, *, after: int) -> StoredRows:
    """The interactions recorded after commit `after`, in order of recording; `foreign` is not told (False)."""
    return _rows(cursor, "WHERE sequence > ?", "", [after])


def _pieces(cursor: duckdb.DuckDBPyConnection, currency: str, rows: int) -> Iterator[StoredRows]:
    # By row id, which DuckDB finds without reading the rest; gaps only make a piece smaller.
    ((first, last),) = cursor.execute("SELECT min(rowid), max(rowid) FROM interactions").fetchall()
    for start in range(first or 0, -1 if last is None else last + 1, rows):
        yield _rows(cursor, "WHERE rowid >= ? AND rowid < ?", currency, [start, start + rows])


def _rows(cursor: duckdb.DuckDBPyConnection, where: str, currency: str, values: Sequence[object]) -> StoredRows:
    columns = cursor.execute(
        "SELECT sequence, identity_code, item_code, kind_code, occurred_at, quantity, "
        f"amount_minor::DOUBLE AS amount, rating, coalesce({BASKET_SQL}, -1) AS basket, "
        "coalesce(md5_number_lower(reverses_id), 0::UBIGINT) AS reverses, id_hash, "
        f"coalesce(? <> '' AND currency <> ?, false) AS is_foreign FROM interactions {where}",
        [currency, currency, *values],
    ).fetchnumpy()
    return StoredRows(
        sequence=np.asarray(columns["sequence"], dtype=np.int64),
        identity=np.asarray(columns["identity_code"], dtype=np.int32),
        item=np.asarray(columns["item_code"], dtype=np.int32),
        kind=np.asarray(columns["kind_code"], dtype=np.uint16),
        time=np.asarray(columns["occurred_at"], dtype="datetime64[us]").view(np.int64),
        quantity=filled(columns["quantity"]),
        amount=filled(columns["amount"]),
        rating=filled(columns["rating"]),
        basket=np.asarray(columns["basket"], dtype=np.int64),
        id_hash=np.asarray(columns["id_hash"], dtype=np.uint64),
        reverses=np.asarray(columns["reverses"], dtype=np.uint64),
        foreign=np.asarray(columns["is_foreign"], dtype=np.bool_),
    )


def filled(column: Any) -> NDArray[np.float64]:
    """A numeric column as float64, NULL as NaN."""
    return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan), dtype=np.float64)


__all__ = [
    "BASKET_SQL",
    "PIECE_ROWS",
    "Counts",
    "Fingerprint",
    "InteractionColumns",
    "Recorded",
    "StoredRows",
    "count_interactions",
    "filled",
    "insert_interactions",
    "insert_kinds",
    "read_currency",
    "read_fingerprint",
    "read_id_hashes",
    "read_kinds",
    "read_later",
    "reading",
    "stored_ids",
    "text_hash",
]
