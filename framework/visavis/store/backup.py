"""Backups: whole copies of a store that can prove that they are whole.

Unlike a snapshot, a backup is the store itself, as of one commit: its id, its lineage, everything in it. It is one
file, so that nothing can be separated from it: a DuckDB file that also holds, in the schema `visavis_backup`, what was
copied when, and for each table the number of rows and a checksum that does not depend on their order.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from visavis._version import __version__
from visavis.errors import Conflict, NotAStore, NotFound, StoreDamaged, StoreError, StoreTooNew
from visavis.model import Progress
from visavis.store.copying import (
    Copy,
    Table,
    copied,
    copy_errors,
    current_database,
    new_file,
    record_copy,
    tables_of,
    take_name,
)
from visavis.store.database import check_file, duckdb_errors, wal_path
from visavis.store.doctor import plain_config
from visavis.store.high_water import HighWater, Mark
from visavis.store.migrations import latest_version, schema_version
from visavis.store.owner import side_folder
from visavis.store.store import BACKUP_SCHEMA, Store, read_mark
from visavis.store.transaction import Operation
from visavis.upkeep import Backup

FORMAT = 1
_ROW = '"visavis row"'  # a name for a row that no column has
# What DuckDB's hash makes of one value of each kind: another version of DuckDB may hash otherwise.
_PROBE = (
    "SELECT hash({'a': 1::INTEGER, 'b': 2::BIGINT, 'c': 'text', 'd': NULL::VARCHAR, 'e': 1.5::DOUBLE, 'f': true, "
    "'g': TIMESTAMP '2026-01-02 03:04:05', 'h': 'ab'::BLOB, 'i': 3::USMALLINT, 'j': 4::UBIGINT})::VARCHAR"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself, and what was found to be true.

    `made_at` in UTC. `rows` by table. `by_checksum` is False if the rows could only be counted, because this DuckDB
    computes other checksums than the one that made the backup.
    """

    path: str
    bytes: int
    made_at: datetime
    mark: Mark
    schema_version: int
    version: str
    duckdb: str
    rows: Mapping[str, int]
    by_checksum: bool


def write_backup(store: Store, path: Path, progress: Callable[[Progress], None] | None = None) -> Backup:
    """Copy the open store, as of one commit, to the new file `path`, which only its owner may read; then verify it.

    It is recorded in the table `snapshots` first, so that it is in its own list. `progress` hears of the steps `copy`
    and `verify`, in rows. Raises what `write_snapshot` raises; then no file is left behind.
    """
    with new_file(store.path, path, "backup") as partial:
        started = time.monotonic()
        if store.writer.failure is None:  # what a store that takes no more writes holds can still be saved
            store.writer.run(Operation(lambda tx: record_copy(tx, store.folder, path, tx.sequence)))
        with copied(store, partial, path, "backup", progress) as copy:
            mark = read_mark(copy.cursor)
            _write_manifest(copy, store.schema_version)
        size = partial.stat().st_size
        _read_back(partial, path, progress)
        with copy_errors(path, "backup"):
            take_name(partial, path)
        return Backup(str(path), size, mark.sequence, copy.rows, time.monotonic() - started)


def verify_backup(path: Path, progress: Callable[[Progress], None] | None = None) -> Manifest:
    """Read all of a backup and compare it with its manifest.

    Raises `NotFound`, `NotAStore` when the file is no backup, `StoreTooNew` when a later version made it,
    `StoreDamaged` when it does not hold what it held, `Conflict` when a write-ahead log lies beside it.
    """
    with opened_backup(path) as connection:
        return check_manifest(connection, path, progress)


@contextmanager
def opened_backup(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a backup only to read it. Raises what `verify_backup` raises for a file that cannot be opened."""
    metadata = {"path": str(path)}
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise NotFound(f"{path} {what}; name a file that `visavis backup` made", metadata=metadata)
    try:
        check_file(path)
    except NotAStore as error:
        raise NotAStore(f"{path} is no backup: it is not a DuckDB file; name another", metadata=metadata) from error
    if HighWater(side_folder(path)).read() is not None:
        raise Conflict(
            f"{path} is a store, not a backup: leave its log where it is; `visavis doctor --data {path}` checks it, "
            "`visavis backup` makes a backup of it",
            metadata=metadata,
        )
    if wal_path(path).exists():
        # DuckDB would lay it on the backup.
        raise Conflict(
            f"{wal_path(path)} lies beside the backup, which has no log: move it away first", metadata=metadata
        )
    with (
        _backup_errors(path),
        tempfile.TemporaryDirectory() as scratch,
        # Absolute, because DuckDB takes a name such as `sqlite:copy` for another kind of database.
        duckdb.connect(str(path.absolute()), read_only=True, config=plain_config(Path(scratch))) as connection,
    ):
        yield connection


def check_manifest(
    connection: duckdb.DuckDBPyConnection, path: Path, progress: Callable[[Progress], None] | None = None
) -> Manifest:
    """Compare every table of the open backup `path` with the manifest in it."""
    metadata = {"path": str(path)}
    tell = progress or (lambda _: None)
    name = current_database(connection)
    tables = tables_of(connection, name)
    if not any(table.schema == BACKUP_SCHEMA for table in tables):
        raise NotAStore(
            f"{path} is no backup: it has no manifest; name a file that `visavis backup` made", metadata=metadata
        )
    _check_version(connection, path)
    ((made_at, version, made_with, probe),) = connection.execute(
        f"SELECT made_at, version, duckdb, hash_probe FROM {BACKUP_SCHEMA}.manifest"
    ).fetchall()
    told = {
        (schema, table): (int(count), checksum)
        for schema, table, count, checksum in connection.execute(
            f"SELECT table_schema, table_name, row_count, checksum FROM {BACKUP_SCHEMA}.contents"
        ).fetchall()
    }
    by_checksum = probe == connection.execute(_PROBE).fetchall()[0][0]
    total = sum(count for count, _ in told.values())
    done = 0
    found = [table for table in tables if table.schema != BACKUP_SCHEMA]
    if {(table.schema, table.name) for table in found} != told.keys():
        raise StoreDamaged(f"{path} lacks tables that its manifest names; take another backup", metadata=metadata)
    for table in found:
        tell(Progress("verify", done, total))
        count, checksum = told[table.schema, table.name]
        rows, sum_ = _sum(connection, name, table) if by_checksum else (_count(connection, name, table), checksum)
        if (rows, sum_) != (count, checksum):
            what = "other rows than were copied" if rows == count else f"{rows:,} rows, and {count:,} were copied"
            raise StoreDamaged(f"{path}: table {table.name} holds {what}; take another backup", metadata=metadata)
        done += rows
    tell(Progress("verify", total, total))
    return Manifest(
        path=str(path),
        bytes=path.stat().st_size,
        made_at=made_at.replace(tzinfo=UTC),
        mark=read_mark(connection),
        schema_version=schema_version(connection),
        version=version,
        duckdb=made_with,
        rows={table: count for (_, table), (count, _) in sorted(told.items())},
        by_checksum=by_checksum,
    )


def drop_manifest(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a mere store of an open backup."""
    connection.execute(f"DROP SCHEMA {BACKUP_SCHEMA} CASCADE")


def _read_back(partial: Path, path: Path, progress: Callable[[Progress], None] | None) -> None:
    """A backup that was never read is none."""
    try:
        verify_backup(partial, progress)
    except StoreError as error:
        raise StoreError(
            f"the backup {path} was written but does not read back ({error.message}); look at the disk, then try again",
            metadata={"path": str(path)},
        ) from error


def _write_manifest(copy: Copy, version: int) -> None:
    cursor, alias = copy.cursor, copy.alias
    cursor.execute(f"CREATE SCHEMA {alias}.{BACKUP_SCHEMA}")
    cursor.execute(
        f"CREATE TABLE {alias}.{BACKUP_SCHEMA}.manifest AS SELECT {FORMAT} AS format, ?::TIMESTAMP AS made_at, "
        "s.store_id, s.lineage, s.sequence, ?::INTEGER AS schema_version, ? AS version, ? AS duckdb, "
        f"({_PROBE}) AS hash_probe FROM store_state s",
        [datetime.now(UTC).replace(tzinfo=None), version, __version__, duckdb.__version__],
    )
    cursor.execute(
        f"CREATE TABLE {alias}.{BACKUP_SCHEMA}.contents "
        "(table_schema VARCHAR, table_name VARCHAR, row_count BIGINT, checksum VARCHAR)"
    )
    for table in copy.tables:
        # Of the store, not of the copy: so that a row lost on the way shows.
        cursor.execute(
            f"INSERT INTO {alias}.{BACKUP_SCHEMA}.contents VALUES (?, ?, ?, ?)",
            [table.schema, table.name, *_sum(cursor, copy.store, table)],
        )


def _check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    metadata = {"path": str(path)}
    lines = connection.execute(f"SELECT format, version FROM {BACKUP_SCHEMA}.manifest").fetchall()
    if len(lines) != 1:
        raise StoreDamaged(
            f"{path} has a manifest of {len(lines)} lines, not one; take another backup", metadata=metadata
        )
    number, version = lines[0]
    found, known = schema_version(connection), latest_version()
    if number > FORMAT or found > known:
        raise StoreTooNew(
            f"{path} was made by Visavis {version}, and this is {__version__}, which knows schema version {known} and "
            f"not {found}; install that version, or a later one",
            metadata={**metadata, "schema_version": str(found), "known_version": str(known)},
        )


def _sum(connection: duckdb.DuckDBPyConnection, database: str, table: Table) -> tuple[int, str]:
    """Rows and checksum of a table: the sum of the hashes of its rows, so that equal rows count, too."""
    rows, checksum = connection.execute(
        f"SELECT count(*), coalesce(sum(hash({_ROW})), 0)::VARCHAR FROM {table.within(database)} {_ROW}"
    ).fetchall()[0]
    return int(rows), str(checksum)


def _count(connection: duckdb.DuckDBPyConnection, database: str, table: Table) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table.within(database)}").fetchall()[0][0])


@contextmanager
def _backup_errors(path: Path) -> Iterator[None]:
    metadata = {"path": str(path)}
    try:
        with duckdb_errors(path):
            yield
    except StoreDamaged as error:
        if error.__cause__ is None:
            raise  # our own words
        raise StoreDamaged(
            f"{path} is damaged ({_first_line(error.__cause__)}); take another backup", metadata=metadata
        ) from error
    except duckdb.Error as error:
        # What is there can be read, but is not what a backup holds.
        raise StoreDamaged(
            f"{path} is not as it was made ({_first_line(error)}); take another backup", metadata=metadata
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


__all__ = [
    "FORMAT",
    "Manifest",
    "check_manifest",
    "drop_manifest",
    "opened_backup",
    "verify_backup",
    "write_backup",
]
