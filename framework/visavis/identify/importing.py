"""Import of a file: read it, check each row, store what is new, and tell what became of every row.

A killed import leaves whole chunks behind; importing the same file again stores the rest, because a row's id is made
of the source's name, the row itself and its number among equal rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.config import Settings
from visavis.errors import StoreUnwritable
from visavis.identify.checks import Violations, check_id, check_word, shorten
from visavis.identify.columns import Layout, lay_out
from visavis.live import Live
from visavis.live.state import now_us
from visavis.model import ImportReport, Progress, RejectedRow
from visavis.money import is_currency
from visavis.store import Operation, Store, Transaction
from visavis.store.imports import (
    Checked,
    check_rows,
    is_time_zone,
    make_plan,
    profile_columns,
    rejected_samples,
    staging,
    write_rejects,
)
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
from visavis.store.sources import FORMATS, Staged, stage

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

CHUNK_ROWS = 100_000
ENCODE_IDS = 20_000
SAMPLES = 20
_FORMAT_WORDS = {"json": "jsonl", "ndjson": "jsonl", "tsv": "csv"}
_DELIMITER_WORDS = {"tab": "\t", "\\t": "\t"}
_MINUTE = 60_000_000
_SALES = frozenset({"quantity", "price", "amount", "order", "kind"})


class _Options(NamedTuple):
    """What the caller said, checked; empty where he left it to the file."""

    source: str
    kind: str
    currency: str
    time_zone: str
    format: str
    delimiter: str


class _Encoded(NamedTuple):
    """Codes int32 [n] of a page of ids, and how many ids were new."""

    codes: NDArray[np.int32]
    new: int


class _Added(NamedTuple):
    """What the step `store` did."""

    rows: int = 0
    without_customer: int = 0
    returns: int = 0
    linked: int = 0
    new_customers: int = 0
    new_items: int = 0


def import_file(
    store: Store,
    live: Live,
    settings: Settings,
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    source: str = "",
    kind: str = "",
    currency: str = "",
    time_zone: str = "",
    format: str = "",
    delimiter: str = "",
    progress: Callable[[Progress], None] | None = None,
    rejects_path: Path | None = None,
) -> ImportReport:
    """Import a file of interactions. Blocks for seconds a million rows; any number may run at once.

    `columns` maps roles (see `columns.NAMES`) to columns of the file, an empty one switches a role off; the others
    are guessed. `kind`, `currency`, `time_zone` hold where no column says otherwise. `source` is part of each row's
    id and defaults to the file's name. `progress` hears of the steps `read`, `check` and `store`, in rows.
    Raises `NotFound` or `InvalidInput` (reason FILE_UNREADABLE) for a file that cannot be read, `InvalidInput` for
    options and columns; the store is then as it was. Refused rows go to `rejects_path`, by default a file in the
    folder `rejects` beside the store.
    """
    started = time.monotonic()
    path = Path(path)
    tell = progress or (lambda _: None)
    with store.cursor() as cursor:
        options = _check_options(cursor, settings, path, source, kind, currency, time_zone, format, delimiter)
        with staging(store, cursor) as (schema, link):
            tell(Progress("read", 0, 0))
            staged = stage(cursor, schema, path, link, format=options.format, delimiter=options.delimiter)
            total = staged.rows + staged.broken
            tell(Progress("read", total, total))
            layout = lay_out(profile_columns(cursor, schema, staged.columns), columns or {})
            fields = {role: staged.columns[place] for role, place in layout.places.items()}
            tell(Progress("check", 0, total))
            checked, notes = _check(cursor, schema, staged, layout, options, settings)
            samples: tuple[RejectedRow, ...] = ()
            written = ""
            if checked.rejected:
                samples = rejected_samples(cursor, schema, SAMPLES, fields)
                target = rejects_path or _default_rejects(store, options.source)
                _make_writable(target)
                write_rejects(cursor, schema, staged.columns, fields, target)
                written = str(target)
            tell(Progress("check", total, total))
            added = _store(store, live, cursor, schema, checked, options.source, tell)
    rejected = sum(checked.rejected.values())
    return ImportReport(
        source=options.source,
        rows=total,
        interactions=added.rows - added.returns - added.without_customer,
        returns=added.returns,
        without_customer=added.without_customer,
        already_known=total - rejected - added.rows,
        rejected=rejected,
        rejected_by_reason=checked.rejected,
        returns_linked=added.linked,
        new_customers=added.new_customers,
        new_items=added.new_items,
        columns=fields,
        guessed=layout.guessed,
        notes=(*staged.notes, *notes),
        rejects_path=written,
        samples=samples,
        seconds=time.monotonic() - started,
    )


def _check_options(
    cursor: duckdb.DuckDBPyConnection,
    settings: Settings,
    path: Path,
    source: str,
    kind: str,
    currency: str,
    time_zone: str,
    format_: str,
    delimiter: str,
) -> _Options:
    bad = Violations()
    source = check_id(bad, "source", source or path.name)
    if kind:
        check_word(bad, "kind", kind)
    currency = currency or settings["currency"]
    if not is_currency(currency):
        bad.add("currency", f"is {shorten(currency)}; give an ISO 4217 code such as EUR")
    time_zone = time_zone or settings["time_zone"]
    if not is_time_zone(cursor, time_zone):
        bad.add("time_zone", f"is {shorten(time_zone)}; give an IANA time zone such as Europe/London")
    format_ = _FORMAT_WORDS.get(format_.lower(), format_.lower())
    if format_ and format_ not in FORMATS:
        bad.add("format", f"is {shorten(format_)}; give one of {', '.join(FORMATS)}")
    delimiter = _DELIMITER_WORDS.get(delimiter, delimiter)
    if len(delimiter) > 1 or delimiter in {'"', "\n", "\r", "\0"}:
        bad.add("delimiter", f"is {shorten(delimiter)}; give one character such as ; or the word tab")
    bad.check()
    return _Options(source, kind, currency, time_zone, format_, delimiter)


def _check(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    staged: Staged,
    layout: Layout,
    options: _Options,
    settings: Settings,
) -> tuple[Checked, tuple[str, ...]]:
    now = now_us()
    kind = options.kind or "purchase"
    notes: tuple[str, ...] = ()
    if not options.kind and "rating" in layout.places and not layout.places.keys() & _SALES:
        kind = "rating"
        notes = ("rows were read as ratings, because there is a column of ratings and none of sales",)
    plan = make_plan(
        cursor,
        schema,
        staged.columns,
        layout.places,
        source=options.source,
        kind=kind,
        currency=options.currency,
        time_zone=options.time_zone,
        now=now,
        latest=now + int(settings["future_tolerance_minutes"] * _MINUTE),
    )
    return check_rows(cursor, schema, plan), notes + plan.notes


def _store(
    store: Store,
    live: Live,
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    checked: Checked,
    source: str,
    tell: Callable[[Progress], None],
) -> _Added:
    """Give codes to ids, link returns, and load chunk by chunk; memory is brought up to date whatever happens."""
    new_customers, new_items, kinds = _encode(store, live, cursor, schema)
    ready = make_ready(cursor, schema)
    if "return" in kinds:
        _link_returns(cursor, schema, live)
    added = _Added(new_customers=new_customers, new_items=new_items)
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


def _encode(store: Store, live: Live, cursor: duckdb.DuckDBPyConnection, schema: str) -> tuple[int, int, list[str]]:
    """Codes for all ids of the rows to be stored: how many customers and items are new, and the kinds."""
    n_customers, n_items = list_fresh(cursor, schema)
    new_customers = new_items = 0
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
    kinds = fresh_kinds(cursor, schema)
    note_kinds(cursor, schema, kinds, store.writer.run(_operation(lambda tx: live.kinds.encode(tx, kinds))))
    return new_customers, new_items, kinds


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


def _default_rejects(store: Store, source: str) -> Path:
    folder = store.folder / "rejects"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', source)[:80]}-{stamp}.csv"


def _make_writable(target: Path) -> None:
    """Make the file of rejects, for its owner only, before anything is stored."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.open("ab").close()
    except OSError as error:
        raise StoreUnwritable(
            f"the refused rows cannot be written to {target} ({error.strerror}); make room there, or name another file",
            metadata={"path": str(target)},
        ) from None


__all__ = ["CHUNK_ROWS", "ENCODE_IDS", "SAMPLES", "import_file"]
