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
from visavis.store.checking import Checked
from visavis.store.items import ItemRow
from visavis.store.loading import (
    Chunk,
    ItemDetails,
    Loaded,
    chunks,
    fresh_customers,
    fresh_items,
    fresh_kinds,
    list_fresh,
    load_chunk,
    note_codes,
    note_kinds,
    note_others,
)
from visavis.store.returns import link_returns, return_candidates
from visavis.store.watching import watched

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

CHUNK_ROWS = 122_880
"""Rows of a commit: a whole row group of DuckDB, which goes into the file without a detour by the log, in a tenth of a
second or two; a row that is recorded meanwhile waits as long."""
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
        if live.behind:
            _rebuild(live, tell)
        return Added()
    fresh = checked.rows - checked.known - sum(checked.rejected.values())
    with watched(cursor, tell, "list", fresh):
        n_customers, n_items = list_fresh(cursor, schema, known=checked.known)
        # Kinds first: a store takes only so many, and must not be left with customers of rows that it never gets.
        kinds, n_kinds = fresh_kinds(cursor, schema, MOST_KINDS)
    _check_kinds(live, kinds, n_kinds, fields.get("kind", "the default"))
    note_kinds(cursor, schema, kinds, store.writer.run(_operation(lambda tx: live.kinds.encode(tx, kinds))))
    new_customers, new_items = _encode(store, live, cursor, schema, n_customers, n_items, tell)
    if "return" in kinds:
        with watched(cursor, tell, "returns", fresh):
            _link_returns(cursor, schema, live)
    added = Added(new_customers=new_customers, new_items=new_items)
    tell(Progress("store", 0, fresh))
    done = 0
    since, own = checked.sequence, 0
    try:
        for chunk in chunks(cursor, schema, CHUNK_ROWS):
            since = note_others(cursor, schema, after=since, own=own)
            loaded = store.writer.run(_chunk_operation(live, schema, chunk, since, source))
            own = loaded.sequence
            added = added._replace(
                rows=added.rows + len(loaded.hashes),
                without_customer=added.without_customer + loaded.without_customer,
                returns=added.returns + loaded.returns,
                linked=added.linked + loaded.linked,
            )
            done += chunk.rows
            tell(Progress("store", done, fresh))
    finally:
        # Not by what was counted here: who interrupts may do so between a commit and its count.
        if live.behind:
            _rebuild(live, tell)
    return added


def _rebuild(live: Live, tell: Callable[[Progress], None]) -> None:
    """Bring memory up to date; what `tell` raises is raised when that is done, for the rows are stored already."""
    raised: list[BaseException] = []

    def progress(done: int, rows: int) -> None:
        if raised:
            return
        try:
            tell(Progress("build", done, rows))
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    live.rebuild_histories(progress)
    if raised:
        raise raised[0]


def _encode(
    store: Store,
    live: Live,
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    n_customers: int,
    n_items: int,
    tell: Callable[[Progress], None],
) -> tuple[int, int]:
    """Codes for all ids of the rows to be stored: how many customers and items are new."""
    new_customers = new_items = 0
    at = now_us()
    for start in range(0, n_customers, ENCODE_IDS):
        if start:
            tell(Progress("ids", start, n_customers + n_items))
        customers = fresh_customers(cursor, schema, start, ENCODE_IDS)
        encoded = store.writer.run(_operation(partial(_encode_customers, live, customers, at)))
        note_codes(cursor, schema, "customer", customers, encoded.codes)
        new_customers += encoded.new
    for start in range(0, n_items, ENCODE_IDS):
        if start:
            tell(Progress("ids", n_customers + start, n_customers + n_items))
        items = fresh_items(cursor, schema, start, ENCODE_IDS)
        encoded = store.writer.run(_operation(partial(_encode_items, live, items, at)))
        note_codes(cursor, schema, "item", [item.item_id for item in items], encoded.codes)
        new_items += encoded.new
    return new_customers, new_items


def _check_kinds(live: Live, kinds: list[str], count: int, column: str) -> None:
    """`kinds` are the first of the file, `count` how many it has."""
    known = live.kinds.names
    if max(count, len(set(known).union(kinds))) > MOST_KINDS:
        shown = ", ".join([repr(kind) for kind in kinds if kind not in known][:3])
        raise InvalidInput(
            [
                FieldViolation(
                    "columns['kind']",
                    f"is {column}, which holds {count:,} kinds, such as {shown}; a store takes {MOST_KINDS:,} and has "
                    f"{len(known):,}; kinds are few words such as `view` or `purchase`; name another column with "
                    "--kind COLUMN, or one kind for all rows with --kind purchase",
                )
            ],
            reason="TOO_MANY_KINDS",
        )


def _operation(apply: Callable[[Transaction], T]) -> Operation[T]:
    # Alone in its transaction: it is large, and what is new in it is told by what was committed before.
    return Operation(apply, exclusive=True)


def _chunk_operation(live: Live, schema: str, chunk: Chunk, since: int, source: str) -> Operation[Loaded]:
    def apply(tx: Transaction) -> Loaded:
        return load_chunk(tx, schema, chunk, since=since, source=source, recorded_at=now_us())

    def committed(loaded: Loaded) -> None:
        live.known_ids.add(loaded.hashes)
        live.imported = loaded.sequence

    return Operation(apply, committed=committed, exclusive=True)


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
    for found in return_candidates(cursor, schema, live.identities.owners):
        reversed_row, _ = kernels.match_returns(found.group, found.is_return, found.quantity, found.price)
        linked = np.flatnonzero(found.is_return & found.is_fresh & (reversed_row >= 0))
        link_returns(cursor, schema, found.place[linked], found.place[reversed_row[linked]])


__all__ = ["CHUNK_ROWS", "ENCODE_IDS", "Added", "store_rows"]
