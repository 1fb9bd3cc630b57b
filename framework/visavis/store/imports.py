"""Staging of an import: an attached DuckDB file in which rows are read, and what its columns hold.

Nothing of the store changes here, and no table is made in its file: the staging file is attached to the same
instance, spills to disk like any other, and is removed when the import ends, however it ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visavis.store.parsing import NumberForm, TimeForm, decide_numbers, decide_times, has_dot_groups
from visavis.store.row_checks import NUMBERS, ROW_REASONS, Plan
from visavis.store.source_files import quote, unreadable
from visavis.store.store import Store

if TYPE_CHECKING:
    import duckdb

_numbers = itertools.count(1)
_SAMPLE_ROWS = 20_000


class ColumnProfile(NamedTuple):
    """What the first rows of a column hold: how many are filled, are numbers, are times; how many differ; a value."""

    name: str
    filled: int
    numbers: int
    times: int
    distinct: int
    sample: str = ""


@contextmanager
def staging(store: Store, cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Path]]:
    """An empty attached file: the schema's name, and a free path for a link beside it. Removed at the end."""
    number = next(_numbers)
    schema = f"import_{number}"
    file = store.scratch("imports") / f"{number}.duckdb"
    link = file.with_suffix(".source")
    # No log: a staging file is never read again after a crash.
    cursor.execute(f"ATTACH {quote(str(file))} AS {schema} (RECOVERY_MODE no_wal_writes)")
    try:
        yield schema, link
    finally:
        cursor.execute(f"DETACH {schema}")
        for left in file.parent.glob(f"{number}.*"):
            left.unlink()


def refuse_if_all_broken(cursor: duckdb.DuckDBPyConnection, schema: str, path: Path) -> None:
    """Raise `InvalidInput` (reason FILE_UNREADABLE) with the first fault if no record could be split into fields."""
    found = cursor.execute(
        f'SELECT "row", error, (SELECT count(*) FROM {schema}.raw) FROM {schema}.broken ORDER BY "row" LIMIT 1'
    ).fetchall()
    if found and not found[0][2]:
        row, error, _ = found[0]
        reasons = {check.code: check.reason for check in ROW_REASONS}
        raise unreadable(path, f"holds no record that can be read; row {row}: {reasons.get(error, 'cannot be read')}")


def profile_columns(cursor: duckdb.DuckDBPyConnection, schema: str, names: tuple[str, ...]) -> list[ColumnProfile]:
    """Look at the first rows of each column."""
    profiles = []
    for place, name in enumerate(names):
        sample = f"(SELECT nullif(trim(c{place}), '') AS v FROM {schema}.raw LIMIT {_SAMPLE_ROWS})"
        times = decide_times(cursor, sample, "v", name)
        numbers = decide_numbers(cursor, sample, "v", name)
        row = cursor.execute(
            f"SELECT count(v), count(try_cast({numbers.text('v')} AS DOUBLE)), "
            f"count({times.utc('v', quote('UTC'))}), count(DISTINCT v), "
            f"coalesce(left(any_value(v), 100), '') FROM {sample}"
        ).fetchall()[0]
        profiles.append(ColumnProfile(name, *row))
    return profiles


def make_plan(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    names: tuple[str, ...],
    places: Mapping[str, int],
    *,
    source: str,
    kind: str,
    currency: str,
    time_zone: str,
    now: int,
    latest: int,
) -> Plan:
    """Decide the form of each column from all of its rows."""
    raw = f"{schema}.raw"
    column = {role: f"nullif(trim(c{place}), '')" for role, place in places.items()}
    notes: list[str] = []
    numbers = {
        role: decide_numbers(cursor, raw, column[role], names[places[role]]) for role in NUMBERS if role in places
    }
    if any(form.name == "comma" for form in numbers.values()):
        # 1.000 alone is 1 as well as a thousand; beside a decimal comma it is a thousand.
        for role, form in numbers.items():
            if form.name == "plain" and has_dot_groups(cursor, raw, column[role]):
                numbers[role] = NumberForm(
                    "comma", f"column {names[places[role]]} was read with dots between thousands"
                )
    time = decide_times(cursor, raw, column["time"], names[places["time"]])
    forms: list[NumberForm | TimeForm] = [*numbers.values(), time]
    notes += [form.note for form in forms if form.note]
    whole_ids = set()
    for role in ("customer", "item", "order"):
        if role in places and _all_match(cursor, raw, column[role], r"\d+\.0"):
            whole_ids.add(role)
            notes.append(f"column {names[places[role]]} holds whole numbers written as 17850.0; read as 17850")
    zones: tuple[str, ...] = ()
    if "time_zone" in places:
        found = cursor.execute(
            f"SELECT DISTINCT {column['time_zone']} AS zone FROM {raw} SEMI JOIN pg_timezone_names() AS known "
            f"ON known.name = {column['time_zone']}"
        ).fetchall()
        zones = tuple(zone for (zone,) in found)
    cancellations = False
    if "order" in places:
        cancelled, others, digits = cursor.execute(
            f"SELECT count(*) FILTER (cancelled), count(*) FILTER (NOT cancelled), count(*) FILTER (digits) FROM "
            f"(SELECT regexp_full_match({column['order']}, 'C\\d+') AS cancelled, "
            f"regexp_full_match({column['order']}, '\\d+') AS digits FROM {raw})"
        ).fetchall()[0]
        cancellations = cancelled > 0 and digits >= 0.95 * others > 0
        if cancellations:
            notes.append(f"column {names[places['order']]}: orders that begin with C were read as returns")
    return Plan(
        source,
        places,
        names,
        kind,
        currency,
        time_zone,
        now,
        latest,
        numbers,
        time,
        frozenset(whole_ids),
        zones,
        cancellations,
        tuple(notes),
    )


def is_time_zone(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether DuckDB knows a time zone of this name."""
    found = cursor.execute("SELECT count(*) FROM pg_timezone_names() WHERE name = ?", [name]).fetchall()
    return bool(found[0][0])


def _all_match(cursor: duckdb.DuckDBPyConnection, table: str, column: str, pattern: str) -> bool:
    filled, matching = cursor.execute(
        f"SELECT count({column}), count(*) FILTER (regexp_full_match({column}, {quote(pattern)})) FROM {table}"
    ).fetchall()[0]
    return bool(0 < filled == matching)


__all__ = [
    "ColumnProfile",
    "is_time_zone",
    "make_plan",
    "profile_columns",
    "refuse_if_all_broken",
    "staging",
]
