"""The store's file written anew while it is served: smaller, and without a trace of rows that were deleted.

What is only added to is copied first, beside the running writer. Then the writer stands aside, and nobody gets a
cursor, while the rest is copied, everything is counted, and the new file takes the place of the old one. Requests are
answered from memory all the time; calls that write wait. A process killed at any moment leaves the old file or the new
one, whole: the new one takes its name by a rename, when neither has a write-ahead log that could be laid on the other.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb

from visavis.errors import Conflict, StoreDamaged, StoreError, StoreUnwritable, Unavailable
from visavis.model import Progress
from visavis.store.copying import (
    Table,
    attach,
    copy_schema,
    current_database,
    keep_permissions,
    remove_database,
    tables_of,
    transaction,
)
from visavis.store.database import duckdb_errors, wal_path
from visavis.store.doctor import open_read_only
from visavis.store.high_water import Mark
from visavis.store.store import COMPACTING, Store, read_mark
from visavis.store.sync import sync
from visavis.upkeep import Compaction

COPIED_AHEAD = frozenset(
    {
        "consents",
        "decision_candidates",
        "decisions",
        "generation_arrays",
        "generation_plugins",
        "generations",
        "identities",
        "identity_log",
        "interactions",
        "kinds",
        "memberships",
        "requests",
        "similar_items",
        "snapshots",
    }
)
"""Tables whose rows are added, perhaps deleted, but never changed. All others are copied whole while the writer waits;
so is one of these that lost rows meanwhile."""
CHUNK_ROWS = 983_040
"""Rows copied in one transaction: eight row groups, below a second. A longer one would put off the checkpoints."""
_PATIENCE_S = 1.0  # for those who have a cursor, while the writer waits
_LOOK_S = 0.5  # for the same, while it goes on; who takes longer is waited for as long as it takes
_SPARE_BYTES = 16 << 20
_ROW = '"visavis row"'  # a name for a row that no column has


@dataclass(slots=True)
class _Place:
    """How far a table is copied: up to `rowid`. The last row copied, and its hash, show whether rows have moved."""

    rowid: int = -1
    last: int = -1
    hash: int | None = None


@dataclass(slots=True)
class _Copy:
    """The file that grows. `alias` is its name in SQL; empty once it is detached."""

    path: Path
    alias: str
    database: str
    ahead: dict[Table, _Place]
    whole: list[Table]
    rows: int = 0
    pauses: list[float] = field(default_factory=list)


def compact(store: Store, progress: Callable[[Progress], None] | None = None) -> Compaction:
    """Write the store's file anew; answers what it won.

    `progress` hears of the steps `copy` (rows), `wait` (for imports, copies and whoever else reads the file for long)
    and `swap`. Raises `Conflict` (reason COMPACTION_RUNNING) while another one runs, `StoreUnwritable` when the disk
    has no room for a second file, `StoreError` when the copy fails; the store then stays as it is.
    """
    if not store.compacting.acquire(blocking=False):
        raise Conflict("a compaction is running; wait until it ends", reason="COMPACTION_RUNNING")
    try:
        return _compact(store, progress or (lambda _: None))
    finally:
        store.compacting.release()


def _compact(store: Store, progress: Callable[[Progress], None]) -> Compaction:
    def tell(step: Progress) -> None:
        if store.closed:
            raise Unavailable("the store is closing; the compaction was given up")
        progress(step)

    started = time.monotonic()
    store.database.require_in_place()
    before = store.path.stat().st_size + store.wal_bytes()
    copy: _Copy | None = None
    path = store.path.with_name(store.path.name + COMPACTING)
    try:
        with store.cursor() as cursor, _errors(store.path):
            _check_space(cursor, store)
            copy = _begin(cursor, path)
            copy_schema(cursor, copy.database, copy.alias)
        while True:
            with store.cursor() as cursor, _errors(store.path):
                _copy_ahead(cursor, copy, tell)
            if not store.database.wait_for_readers(_LOOK_S):
                tell(Progress("wait", 0, 0))
                continue
            tell(Progress("swap", 0, 0))
            if store.writer.pause(partial(_finish, store, copy)):
                break
    except BaseException:
        if copy is not None and copy.alias:
            # What led here is the error to tell; a store that is lost has no cursors.
            with suppress(duckdb.Error, StoreError), store.cursor() as cursor:
                cursor.execute(f"DETACH {copy.alias}")
        remove_database(path)
        raise
    return Compaction(before, store.path.stat().st_size, copy.rows, time.monotonic() - started, sum(copy.pauses))


def _check_space(cursor: duckdb.DuckDBPyConnection, store: Store) -> None:
    ((used,),) = cursor.execute(
        "SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchall()
    _require_room(store, used)


def _require_room(store: Store, file_bytes: int) -> None:
    """Room for that many bytes, and for a checkpoint of the store."""
    needed = file_bytes + 2 * store.wal_bytes() + _SPARE_BYTES
    free = shutil.disk_usage(store.path.parent).free
    if free < needed:
        raise StoreUnwritable(
            f"a compaction needs {needed / 2**20:,.0f} MiB beside {store.path}, and {free / 2**20:,.0f} MiB are free; "
            "free some space and try again",
            metadata={"path": str(store.path), "needed_bytes": str(needed), "free_bytes": str(free)},
        )


def _begin(cursor: duckdb.DuckDBPyConnection, path: Path) -> _Copy:
    alias = attach(cursor, path)
    database = current_database(cursor)
    tables = tables_of(cursor, database)
    ahead = [table for table in tables if table.schema == "main" and table.name in COPIED_AHEAD]
    return _Copy(path, alias, database, {table: _Place() for table in ahead}, [t for t in tables if t not in ahead])


def _copy_ahead(cursor: duckdb.DuckDBPyConnection, copy: _Copy, tell: Callable[[Progress], None]) -> None:
    """Copy what has come to the tables that are only added to. The writer goes on."""
    rows = sum(table.rows for table in copy.ahead)
    fresh = 0
    for table, place in copy.ahead.items():
        while count := _copy_chunk(cursor, copy, table, place):
            fresh += count
            tell(Progress("copy", min(fresh, rows), rows))
    if fresh:
        # So that little of it is left to do while the writer waits.
        cursor.execute(f"CHECKPOINT {copy.alias}")


def _copy_chunk(cursor: duckdb.DuckDBPyConnection, copy: _Copy, table: Table, place: _Place) -> int:
    """Copy the next rows of a table; answers how many rowids that were, 0 at its end."""
    source, target = table.within(copy.database), table.within(copy.alias)
    with transaction(cursor):
        if place.last >= 0 and _hash_of(cursor, source, place.last) != place.hash:
            # Rows before it were deleted and the others moved up: nobody can say any more which are copied.
            cursor.execute(f"DELETE FROM {target}")
            place.rowid, place.last, place.hash = -1, -1, None
        ((end,),) = cursor.execute(f"SELECT coalesce(max(rowid), -1) FROM {source}").fetchall()
        end = min(end, place.rowid + CHUNK_ROWS)
        if end <= place.rowid:
            return 0
        part = f"FROM {source} WHERE rowid > {place.rowid} AND rowid <= {end}"
        cursor.execute(f"INSERT INTO {target} SELECT * {part}")
        ((last,),) = cursor.execute(f"SELECT max(rowid) {part}").fetchall()
        if last is not None:
            place.last, place.hash = last, _hash_of(cursor, source, last)
        count, place.rowid = end - place.rowid, end
    return int(count)


def _hash_of(cursor: duckdb.DuckDBPyConnection, source: str, rowid: int) -> int | None:
    found = cursor.execute(f"SELECT hash({_ROW}) FROM {source} {_ROW} WHERE rowid = {rowid}").fetchall()
    return int(found[0][0]) if found else None


def _finish(store: Store, copy: _Copy) -> bool:
    """The rest, in the writer's place; False, with nothing changed, if somebody still reads the file."""
    started = time.monotonic()
    try:
        with store.database.alone(_PATIENCE_S) as quiet, _errors(store.path):
            if not quiet:
                return False
            _copy_rest(store, copy)
            store.database.swap(lambda: _replace(store, copy.path))
    finally:
        copy.pauses.append(time.monotonic() - started)
    return True


def _copy_rest(store: Store, copy: _Copy) -> None:
    cursor = store.database.own_cursor()
    try:
        for table, place in copy.ahead.items():
            while _copy_chunk(cursor, copy, table, place):
                pass
        for table in copy.whole:
            cursor.execute(f"INSERT INTO {table.within(copy.alias)} SELECT * FROM {table.within(copy.database)}")
        copy.rows = _compare(cursor, copy)
        _seal(cursor, copy, store)
    finally:
        cursor.close()


def _compare(cursor: duckdb.DuckDBPyConnection, copy: _Copy) -> int:
    """Count the rows of every table in both files; one that lost rows while it was copied is copied again.

    Answers the rows of all. Raises `StoreError` if the files differ.
    """
    if _names(cursor, copy.database) != _names(cursor, copy.alias):
        raise StoreError("tables or views were made or dropped during the compaction; it is given up, try again")
    rows = 0
    for table in (*copy.ahead, *copy.whole):
        source, target = table.within(copy.database), table.within(copy.alias)
        count = _count(cursor, source)
        if _count(cursor, target) != count and table in copy.ahead:
            cursor.execute(f"DELETE FROM {target}")
            cursor.execute(f"INSERT INTO {target} SELECT * FROM {source}")
        if (copied := _count(cursor, target)) != count:
            raise StoreError(
                f"table {table.name} has {count:,} rows and its copy {copied:,}; the compaction is given up"
            )
        rows += count
    return rows


def _names(cursor: duckdb.DuckDBPyConnection, database: str) -> list[tuple[str, str]]:
    return cursor.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1 AND NOT internal "
        "AND NOT temporary UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 "
        "AND NOT internal ORDER BY ALL",
        [database],
    ).fetchall()


def _count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _seal(cursor: duckdb.DuckDBPyConnection, copy: _Copy, store: Store) -> None:
    """Put all that is left in logs into both files."""
    cursor.execute(f"CHECKPOINT {copy.alias}")
    cursor.execute(f"DETACH {copy.alias}")
    copy.alias = ""
    # A copy that finds no room is a copy less; a checkpoint of the store that finds none ends the store's work.
    _require_room(store, 0)
    store.database.checkpoint(cursor)


def _replace(store: Store, copy: Path) -> None:
    """Put the copy in the place of the store's file. Both are closed."""
    for file in (store.path, copy):
        if wal_path(file).exists():
            # DuckDB would replay it into whatever file has the name, without a word.
            raise StoreError(f"{wal_path(file)} is there still; the compaction is given up, try again")
        _look(file, store.mark)
    keep_permissions(store.path, copy)
    sync(copy)
    _take_place(store, copy)


def _look(file: Path, mark: Mark) -> None:
    """Open a closed file once to see that it is one, that it is the right one, and that it was closed."""
    try:
        with open_read_only(file) as connection:
            found = read_mark(connection)
    except duckdb.ConnectionException as error:
        raise StoreError(
            f"{file} is open in this process by another way than Visavis; close it, then compact again ({error})"
        ) from error
    if found != mark:
        raise StoreError(f"{file} ends at commit {found.sequence}, not at {mark.sequence}; the compaction is given up")


def _take_place(store: Store, copy: Path) -> None:
    copy.rename(store.path)
    try:
        sync(store.path.parent)
    except OSError as error:
        # Nobody knows which of the files is there after a power cut, so neither may be written to.
        failure = StoreUnwritable(
            f"the folder of {store.path} cannot be synced ({error.strerror}); look at its disk, then start again",
            metadata={"path": str(store.path)},
        )
        store.writer.stop(failure)
        raise failure from error


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    metadata = {"path": str(path)}
    try:
        with duckdb_errors(path):
            yield
    except StoreDamaged as error:
        raise StoreDamaged(
            f"{path} cannot be compacted, because it cannot be read; `visavis doctor --data {path}` says more "
            f"({error.__cause__})",
            metadata=metadata,
        ) from error
    except OSError as error:
        raise StoreUnwritable(
            f"{path} could not be compacted ({error.strerror}); it is as it was, look at its folder", metadata=metadata
        ) from error


__all__ = ["CHUNK_ROWS", "COPIED_AHEAD", "compact"]
