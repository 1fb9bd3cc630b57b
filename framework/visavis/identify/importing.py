"""Import of a file: read it, check each row, store what is new, and tell what became of every row.

A killed import leaves whole chunks behind; importing the same file again stores the rest, because a row's id is made
of the source's name, the row itself and its number among equal rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visavis.config import Settings
from visavis.errors import StoreUnwritable
from visavis.identify.checks import Violations, check_id, is_word, shorten
from visavis.identify.columns import Layout, lay_out
from visavis.identify.storing import store_rows
from visavis.live import Live
from visavis.live.state import now_us
from visavis.model import ImportReport, Progress, RejectedRow
from visavis.money import is_currency
from visavis.store import Store
from visavis.store.checking import Checked, check_rows, rejected_samples, write_rejects
from visavis.store.imports import (
    is_time_zone,
    make_plan,
    profile_columns,
    refuse_if_all_broken,
    staging,
)
from visavis.store.limits import way_out
from visavis.store.room import check_room
from visavis.store.source_files import Staged, plain_name, unchanged
from visavis.store.sources import FORMATS, stage
from visavis.store.watching import watched

if TYPE_CHECKING:
    import duckdb

SAMPLES = 20
_FORMAT_WORDS = {"json": "jsonl", "ndjson": "jsonl", "tsv": "csv"}
_DELIMITER_WORDS = {"tab": "\t", "\\t": "\t"}
_MINUTE = 60_000_000
_SALES = frozenset({"quantity", "price", "amount", "order", "kind"})


class _Reading(NamedTuple):
    """How the file is read: what the caller said, checked."""

    source: str
    format: str
    delimiter: str


class _Values(NamedTuple):
    """What holds for rows where no column says otherwise; an empty kind is left to the file."""

    kind: str
    currency: str
    time_zone: str


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
    are guessed. `kind`, `currency` and `time_zone` are values for all rows, or name a column of the file that holds
    them. `source` is part of each row's id and defaults to the file's name. `progress` hears of the steps `read` (in
    bytes of the file), `check` and `store` (in rows), and twice a second of what else takes long; from any thread.
    What it raises ends the import.
    Raises `NotFound` or `InvalidInput` (reason FILE_UNREADABLE) for a file that cannot be read, `InvalidInput` for
    options and columns; the store is then as it was. Refused rows go to `rejects_path`, by default a file in the
    folder `rejects` beside the store.
    """
    started = time.monotonic()
    path = Path(path)
    tell = partial(_tell, store.folder, progress)
    with store.cursor() as cursor:
        reading = _check_reading(path, source, format, delimiter)
        with staging(store, cursor) as (schema, link):
            size = _size(path)
            tell(Progress("read", 0, size))
            with unchanged(path), watched(cursor, tell, "read", size):
                staged = stage(
                    cursor,
                    schema,
                    path,
                    link,
                    format=reading.format,
                    delimiter=reading.delimiter,
                    pulse=lambda read: tell(Progress("read", read, size)),
                )
            refuse_if_all_broken(cursor, schema, path)
            total = staged.rows + staged.broken
            tell(Progress("read", size, size))
            said = {"kind": kind, "currency": currency, "time_zone": time_zone}
            named = {
                **(columns or {}),
                **{role: text for role, text in said.items() if text and text in staged.columns},
            }
            values = _check_values(
                cursor, settings, *("" if text in staged.columns else text for text in said.values())
            )
            layout = lay_out(profile_columns(cursor, schema, staged.columns), named)
            layout, values, told = _settle_ratings(layout, values, staged.columns)
            told += _unnamed_customer(layout, named)
            fields = {role: staged.columns[place] for role, place in layout.places.items()}
            tell(Progress("check", 0, total))
            checked, notes = _check(cursor, schema, staged, layout, reading.source, values, settings, tell)
            samples: tuple[RejectedRow, ...] = ()
            written = ""
            if checked.rejected:
                samples = rejected_samples(cursor, schema, SAMPLES, fields)
                target = rejects_path or _default_rejects(store, reading.source)
                _make_writable(target)
                write_rejects(cursor, schema, staged.columns, fields, target)
                written = str(target)
            tell(Progress("check", total, total))
            added = store_rows(store, live, cursor, schema, checked, reading.source, fields, tell)
    rejected = sum(checked.rejected.values())
    return ImportReport(
        source=reading.source,
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
        notes=(*staged.notes, *layout.notes, *told, *notes),
        rejects_path=written,
        samples=samples,
        seconds=time.monotonic() - started,
    )


def _check_reading(path: Path, source: str, format_: str, delimiter: str) -> _Reading:
    bad = Violations()
    source = check_id(bad, "source", source or plain_name(path))
    format_ = _FORMAT_WORDS.get(format_.lower(), format_.lower())
    if format_ and format_ not in FORMATS:
        bad.add("format", f"is {shorten(format_)}; give one of {', '.join(FORMATS)}")
    delimiter = _DELIMITER_WORDS.get(delimiter, delimiter)
    if len(delimiter) > 1 or delimiter in {'"', "\n", "\r", "\0"}:
        bad.add("delimiter", f"is {shorten(delimiter)}; give one character such as ; or the word tab")
    bad.check()
    return _Reading(source, format_, delimiter)


def _tell(folder: Path, progress: Callable[[Progress], None] | None, how_far: Progress) -> None:
    """Pass on how far the import is. Raises `StoreUnwritable` when the disk is about to be full: a packed file may hold
    a thousand times its size."""
    check_room(folder)
    if progress is not None:
        progress(how_far)


def _size(path: Path) -> int:
    """Bytes, for telling how far reading is; 0 for what will be refused."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _check_values(
    cursor: duckdb.DuckDBPyConnection, settings: Settings, kind: str, currency: str, time_zone: str
) -> _Values:
    bad = Violations()
    if kind and not is_word(kind):
        bad.add("kind", f"is {shorten(kind)}; give a word such as `purchase`, or a column of the file")
    currency = currency or settings["currency"]
    if not is_currency(currency):
        bad.add("currency", f"is {shorten(currency)}; give an ISO 4217 code such as EUR, or a column of the file")
    time_zone = time_zone or settings["time_zone"]
    if not is_time_zone(cursor, time_zone):
        bad.add(
            "time_zone",
            f"is {shorten(time_zone)}; give an IANA time zone such as Europe/London, or a column of the file",
        )
    bad.check()
    return _Values(kind, currency, time_zone)


def _unnamed_customer(layout: Layout, columns: Mapping[str, str]) -> tuple[str, ...]:
    if "customer" in layout.places or "customer" in columns:
        return ()
    return ("no column of customers was found: all rows count for nobody; name one with --customer COLUMN",)


def _settle_ratings(layout: Layout, values: _Values, names: tuple[str, ...]) -> tuple[Layout, _Values, tuple[str, ...]]:
    """Decide what a column of ratings says where no column tells the kind: only rows of the kind `rating` have one."""
    if "rating" not in layout.places or "kind" in layout.places:
        return layout, values, ()
    if not values.kind and not layout.places.keys() & _SALES:
        note = "rows were read as ratings, because there is a column of ratings and none of sales"
        return layout, values._replace(kind="rating"), (note,)
    if values.kind == "rating" or "rating" not in layout.guessed:
        return layout, values, ()
    # An item's average rating beside its sales would have every row refused.
    places = {role: place for role, place in layout.places.items() if role != "rating"}
    guessed = tuple(role for role in layout.guessed if role != "rating")
    note = f"column {names[layout.places['rating']]} was not taken for the rating: the rows are of another kind"
    return replace(layout, places=places, guessed=guessed), values, (note,)


def _check(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    staged: Staged,
    layout: Layout,
    source: str,
    values: _Values,
    settings: Settings,
    tell: Callable[[Progress], None],
) -> tuple[Checked, tuple[str, ...]]:
    now = now_us()
    with watched(cursor, tell, "compare", staged.rows):
        plan = make_plan(
            cursor,
            schema,
            staged.columns,
            layout.places,
            source=source,
            kind=values.kind or "purchase",
            currency=values.currency,
            time_zone=values.time_zone,
            now=now,
            latest=now + int(settings["future_tolerance_minutes"] * _MINUTE),
        )
    return check_rows(cursor, schema, plan, tell), plan.notes


def _default_rejects(store: Store, source: str) -> Path:
    folder = store.folder / "rejects"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', source)[:80]}-{stamp}.csv"


def _make_writable(target: Path) -> None:
    """Make the file of rejects, for its owner only, before anything is stored."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.touch(mode=0o600)
        if target.is_file():  # one that was there before, but no device
            target.chmod(0o600)
        target.open("ab").close()
    except OSError as error:
        raise StoreUnwritable(
            f"the refused rows cannot be written to {target} ({error.strerror}); "
            + way_out(error, "make its folder one that may be written, or name another file"),
            metadata={"path": str(target)},
        ) from None


__all__ = ["SAMPLES", "import_file"]
