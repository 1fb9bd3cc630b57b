"""Tables `identities`, `identity_log`, `customers`, `consents`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.errors import StoreDamaged
from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb


class NewIdentity(NamedTuple):
    """An identity met for the first time, and the customer that it is attached to."""

    code: int
    kind: str
    value: str
    customer: int


class NewCustomer(NamedTuple):
    """A customer made just now."""

    code: int
    customer_id: str


class CustomerDetails(NamedTuple):
    """What is known of a customer beside the id; `attributes` is a JSON object or empty."""

    time_zone: str
    attributes: str


def insert_identities(tx: Transaction, rows: Sequence[NewIdentity], at: int) -> None:
    """Add identities with their first log entry; `at` in microseconds."""
    if not rows:
        return
    codes = np.array([row.code for row in rows], dtype=np.int32)
    times = np.full(len(rows), at, dtype="datetime64[us]")
    tx.insert(
        "identities",
        {
            "identity_code": codes,
            "kind": [row.kind for row in rows],
            "value": [row.value for row in rows],
            "first_seen_at": times,
        },
    )
    tx.insert(
        "identity_log",
        {
            "sequence": np.full(len(rows), tx.sequence, dtype=np.int64),
            "logged_at": times,
            "action": ["attach"] * len(rows),
            "identity_code": codes,
            "customer_code": np.array([row.customer for row in rows], dtype=np.int32),
        },
    )


def insert_customers(tx: Transaction, rows: Sequence[NewCustomer], at: int) -> None:
    """Add customers of whom only the id is known; `at` in microseconds."""
    if not rows:
        return
    times = np.full(len(rows), at, dtype="datetime64[us]")
    tx.insert(
        "customers",
        {
            "customer_code": np.array([row.code for row in rows], dtype=np.int32),
            "customer_id": [row.customer_id for row in rows],
            "created_at": times,
            "updated_at": times,
        },
    )


def update_customers(
    tx: Transaction, codes: Sequence[int], change: Callable[[int, str, str], CustomerDetails], at: int
) -> list[CustomerDetails]:
    """Replace what is known of customers, each named once; `at` in microseconds. Answers what is stored now, by place.

    `change` gets a place in `codes` with the time zone and the attributes as they are in this transaction, which other
    operations of the same commit may have changed already.
    """
    tx.flush()
    cursor = tx.cursor
    cursor.register(
        "changed_customers",
        {"customer_code": np.array(codes, dtype=np.int32), "place": np.arange(len(codes), dtype=np.int32)},
    )
    try:
        old = cursor.execute(
            "SELECT customer_id, coalesce(time_zone, ''), coalesce(attributes, ''), epoch_us(created_at) "
            "FROM customers JOIN changed_customers USING (customer_code) ORDER BY place"
        ).fetchall()
        cursor.execute("DELETE FROM customers WHERE customer_code IN (SELECT customer_code FROM changed_customers)")
    finally:
        cursor.unregister("changed_customers")
    details = [change(place, time_zone, attributes) for place, (_, time_zone, attributes, _) in enumerate(old)]
    tx.insert(
        "customers",
        {
            "customer_code": np.array(codes, dtype=np.int32),
            "customer_id": [row[0] for row in old],
            "time_zone": [one.time_zone for one in details],
            "attributes": [one.attributes for one in details],
            "created_at": np.array([row[3] for row in old], dtype="datetime64[us]"),
            "updated_at": np.full(len(codes), at, dtype="datetime64[us]"),
        },
    )
    return details


def insert_consent(
    tx: Transaction, customer: int, purpose: str, channel: str, granted: bool, source: str, at: datetime
) -> None:
    """Add a customer's word; the one given last on a purpose and channel holds (see `visavis.live.consents`)."""
    tx.cursor.execute(
        "INSERT INTO consents VALUES (?, ?, ?, nullif(?, ''), ?, nullif(?, ''), ?)",
        [tx.sequence, customer, purpose, channel, granted, source, at],
    )


class StoredIdentities(NamedTuple):
    """All identities by code, and the texts of those that are no customer's own id.

    `is_own` bool [n]: the identity is a customer id. `first_owner`, `owner` int32 [n]: the customer that it was made
    for and the one that it belongs to now (the last log entry wins). `others` int32: the codes of the rest, ascending,
    with `kinds` and `values` alongside.
    """

    is_own: NDArray[np.bool_]
    first_owner: NDArray[np.int32]
    owner: NDArray[np.int32]
    others: NDArray[np.int32]
    kinds: list[str]
    values: list[str]


def read_identities(cursor: duckdb.DuckDBPyConnection, own_kind: str) -> StoredIdentities:
    """Read all identities. `own_kind` is the kind of those that are customer ids; their texts are in `customers`."""
    is_own = cursor.execute(
        "SELECT kind = ? AS is_own FROM identities ORDER BY identity_code", [own_kind]
    ).fetchnumpy()["is_own"]
    log = cursor.execute("SELECT identity_code, customer_code FROM identity_log ORDER BY sequence, rowid").fetchnumpy()
    codes, customers = (np.asarray(log[name], dtype=np.int32) for name in ("identity_code", "customer_code"))
    if len(codes) < len(is_own) or codes.max(initial=-1) >= len(is_own):
        raise StoreDamaged(
            f"{len(is_own):,} identities do not agree with their log of {len(codes):,} entries; was an old write-ahead "
            "log put beside the file? `visavis doctor` says more"
        )
    made_for, owner = (np.full(len(is_own), -1, dtype=np.int32) for _ in range(2))
    # Where a code stands several times, what is assigned last stays.
    made_for[codes[::-1]] = customers[::-1]
    owner[codes] = customers
    rest = cursor.execute(
        "SELECT identity_code, kind, value FROM identities WHERE kind <> ? ORDER BY identity_code", [own_kind]
    ).fetchnumpy()
    return StoredIdentities(
        np.asarray(is_own, dtype=np.bool_),
        made_for,
        owner,
        np.asarray(rest["identity_code"], dtype=np.int32),
        rest["kind"].tolist(),
        rest["value"].tolist(),
    )


def read_customer_ids(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """All customer ids by code."""
    ids: list[str] = (
        cursor.execute("SELECT customer_id FROM customers ORDER BY customer_code").fetchnumpy()["customer_id"].tolist()
    )
    return ids


def read_customer_details(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Code, time zone and attributes as JSON of the customers of whom either is known (empty: not known)."""
    return cursor.execute(
        "SELECT customer_code, coalesce(time_zone, ''), coalesce(attributes, '') FROM customers "
        "WHERE time_zone IS NOT NULL OR attributes IS NOT NULL"
    ).fetchall()


def read_consents(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str, bool, str, datetime]]:
    """Every word given: customer, purpose, channel, granted, source, time.

    Oldest first by the time at which it was given, not by the commit: a word may arrive late. Of one moment the
    objection is last, else what was recorded last.
    """
    return cursor.execute(
        "SELECT customer_code, purpose, coalesce(channel, ''), granted, coalesce(source, ''), given_at FROM consents "
        "ORDER BY given_at, granted DESC, sequence, rowid"
    ).fetchall()


def read_owners(cursor: duckdb.DuckDBPyConnection, value: str) -> list[int]:
    """Codes of the customers who have this id or an identifier of this value, of any kind.

    Capitals and outer spaces make no difference, as they make none to a mailbox. One scan.
    """
    rows = cursor.execute(
        "SELECT DISTINCT arg_max(customer_code, sequence) AS customer FROM identity_log "
        "WHERE identity_code IN (SELECT identity_code FROM identities WHERE lower(trim(value)) = lower(trim(?))) "
        "GROUP BY identity_code ORDER BY customer",
        [value],
    ).fetchall()
    return [customer for (customer,) in rows]


__all__ = [
    "CustomerDetails",
    "NewCustomer",
    "NewIdentity",
    "StoredIdentities",
    "insert_consent",
    "insert_customers",
    "insert_identities",
    "read_consents",
    "read_customer_details",
    "read_customer_ids",
    "read_identities",
    "read_owners",
    "update_customers",
]
