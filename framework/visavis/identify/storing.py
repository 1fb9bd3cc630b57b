"""The last step of an import: codes for ids, purchases for returns, and rows into the store, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.errors import FieldViolation, InvalidInput
from visavis.live import Live
from visavis.live.kinds import MOST_KINDS
from visavis.live.state import now_us
from visavis.model import Progress
from visavis.store import Operation, Store, Transaction
from visavis.store.imports import Checked
from visavis.store.items import ItemRow
from visavis.store.loading import (
    ItemDetails,
    Loaded,
    fresh_customers,
    fresh_items,
    fresh_kinds,
    link_returns,
    list_fresh,
    load_chunk,
    make_ready,
    note_codes,
    note_kinds,
    return_candidates,
)

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

CHUNK_ROWS = 100_000
ENCODE_IDS = 20_000


class _Encoded(NamedTuple):
    """Codes int32 [n] of a page of ids, and how many ids were new."""

    codes: NDArray[np.int32]
    new: int


class Added(NamedTuple):
    """What the step `store` did."""

    rows: int = 0
    without_customer: int = 0
    returns: int = 0
    linked: int = 0
    new_customers: int = 0
    new_items: int = 0


def store_rows(
    store: Store,
    live: Live,
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    checked: Checked,
    source: str,
    fields: Mapping[str, str],
    tell: Callable[[Progress], None],
) -> Added:
    """Give codes to ids, link returns, and load chunk by chunk; memory is brought up to date whatever happens.

    Nothing is committed if no row is new.
    """
    if checked.rows == checked.known + sum(checked.rejected.values()):
        tell(Progress("store", 0, 0))
        return Added()
    new_customers, new_items, kinds = _encode(store, live, cursor, schema, fields.get("kind", "the default"))
    ready = make_ready(cursor, schema)
    if "return" in kinds:
        _link_returns(cursor, schema, live)
    added = Added(new_customers=new_customers, new_items=new_items)
    tell(Progress("store", 0, ready))
    try:
        for start in range(0, ready, CHUNK_ROWS):
            loaded = store.writer.run(_chunk_operation(live, schema, start, checked.sequence, source))
            added = added._replace(
                rows=added.rows + len(loaded.hashes),
                without_customer=added.without_customer + loaded.without_customer,
                returns=added.returns + loaded.returns,
                linked=added.linked + loaded.linked,
            )
            tell(Progress("store", min(start + CHUNK_ROWS, ready), ready))
    finally:
        if added.rows:
            live.rebuild_histories()
    return added


def _encode(
    store: Store, live: Live, cursor: duckdb.DuckDBPyConnection, schema: str, column: str
) -> tuple[int, int, list[str]]:
    """Codes for all ids of the rows to be stored: how many customers and items are new, and the kinds."""
    n_customers, n_items = list_fresh(cursor, schema)
    new_customers = new_items = 0
    # Kinds first: a store takes only so many, and must not be left with customers of rows that it never gets.
    kinds = fresh_kinds(cursor, schema)
    _check_kinds(live, kinds, column)
    note_kinds(cursor, schema, kinds, store.writer.run(_operation(lambda tx: live.kinds.encode(tx, kinds))))
    at = now_us()
    for start in range(0, n_customers, ENCODE_IDS):
        customers = fresh_customers(cursor, schema, start, ENCODE_IDS)
        encoded = store.writer.run(_operation(partial(_encode_customers, live, customers, at)))
        note_codes(cursor, schema, "customer", customers, encoded.codes)
        new_customers += encoded.new
    for start in range(0, n_items, ENCODE_IDS):
        items = fresh_items(cursor, schema, start, ENCODE_IDS)
        encoded = store.writer.run(_operation(partial(_encode_items, live, items, at)))
        note_codes(cursor, schema, "item", [item.item_id for item in items], encoded.codes)
        new_items += encoded.new
    return new_customers, new_items, kinds


def _check_kinds(live: Live, kinds: list[str], column: str) -> None:
    total = len(set(live.kinds.names).union(kinds))
    if total > MOST_KINDS:
        raise InvalidInput(
            [
                FieldViolation(
                    "columns['kind']",
                    f"is {column}, which holds {len(kinds):,} kinds; a store takes {MOST_KINDS:,}; kinds are few words "
                    "such as `view` or `purchase`; name another column",
                )
            ],
            reason="TOO_MANY_KINDS",
        )


def _operation(apply: Callable[[Transaction], T]) -> Operation[T]:
    # Alone in its transaction: it is large, and what is new in it is told by what was committed before.
    return Operation(apply, exclusive=True)


def _chunk_operation(live: Live, schema: str, start: int, since: int, source: str) -> Operation[Loaded]:
    def apply(tx: Transaction) -> Loaded:
        return load_chunk(tx, schema, start, CHUNK_ROWS, since=since, source=source, recorded_at=now_us())

    return Operation(apply, committed=lambda loaded: live.known_ids.add(loaded.hashes), exclusive=True)


def _encode_customers(live: Live, customers: list[str], at: int, tx: Transaction) -> _Encoded:
    new = sum(live.identities.find(customer).identity < 0 for customer in customers)
    return _Encoded(live.identities.encode(tx, customers, at), new)


def _encode_items(live: Live, items: list[ItemDetails], at: int, tx: Transaction) -> _Encoded:
    new = sum(live.catalog.ids.find(item.item_id) < 0 for item in items)
    codes = live.catalog.encode(tx, [item.item_id for item in items], at)
    changed = []
    for code, item in zip(codes.tolist(), items, strict=True):
        row = live.catalog.pending_row(code)
        completed = _complete(row, item)
        if completed != row:
            changed.append(completed)
    live.catalog.replace(tx, changed, at)
    return _Encoded(codes, new)


def _complete(row: ItemRow, item: ItemDetails) -> ItemRow:
    """What the catalogue says stands; the file only fills in what is empty."""
    row = row._replace(
        name=row.name or item.name, category=row.category or item.category, brand=row.brand or item.brand
    )
    if row.price_minor is None and item.price_minor is not None:
        row = row._replace(price_minor=item.price_minor, currency=item.currency)
    return row


def _link_returns(cursor: duckdb.DuckDBPyConnection, schema: str, live: Live) -> None:
    found = return_candidates(cursor, schema, live.identities.owners)
    if not len(found.group):
        return
    reversed_row, _ = kernels.match_returns(found.group, found.is_return, found.quantity, found.price)
    linked = np.flatnonzero(found.is_return & found.is_fresh & (reversed_row >= 0))
    link_returns(cursor, schema, linked, reversed_row[linked])


__all__ = ["CHUNK_ROWS", "ENCODE_IDS", "Added", "store_rows"]
