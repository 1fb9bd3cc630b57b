"""A consistent copy of the store, made beside the running writer.

The copy is one transaction: it holds whole commits or none of them. It is a store of its own, with an id of its own,
muted, and it says which store it was taken from. It grows under the name `<path>.partial`, is synced to disk, and
takes its name last.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from visavis.errors import Conflict, FieldViolation, InvalidInput, StoreDamaged, StoreError, StoreUnwritable
from visavis.model import Progress, Snapshot
from visavis.store.database import duckdb_errors, wal_path
from visavis.store.store import Store
from visavis.store.writer import Operation, Transaction

# One copy at a time in a process: two would fight over the disk, and perhaps over one name.
_LOCK = threading.Lock()


def write_snapshot(store: Store, path: Path, progress: Callable[[Progress], None] | None = None) -> Snapshot:
    """Copy the open store to the new file `path`, and record that in its table `snapshots`.

    `progress` hears of each table: rows copied, rows to copy. Raises `InvalidInput` when the path is no name,
    `Conflict` when it is taken or the store's own, `StoreUnwritable` when its folder is missing, read-only or full,
    `StoreError` when the copy fails; then nothing is left behind.
    """
    if not path.name or "\0" in path.name:
        raise InvalidInput([FieldViolation("path", f"is {str(path)!r}; name a new file, such as copy.duckdb")])
    partial = path.with_name(path.name + ".partial")
    with _LOCK:
        started = time.monotonic()
        with _errors(path):
            _check_target(store.path, path, partial)
        try:
            with store.cursor() as cursor, _errors(path):
                sequence = _copy(cursor, partial, progress)
                size = _sync(partial)
            # Before the file takes its name: a list with a copy too many is better than one with a copy too few.
            # A copy in our own folder is on its way to a client, and gone from there a moment later.
            noted = "sent to a client" if path.absolute().is_relative_to(store.folder) else str(path.absolute())
            store.writer.run(Operation(lambda transaction: _record(transaction, noted, sequence)))
            with _errors(path):
                _take_name(partial, path)
        except BaseException:
            for left in (partial, wal_path(partial)):
                with suppress(OSError):  # the first error is the one to tell
                    left.unlink(missing_ok=True)
            raise
        return Snapshot(str(path), size, sequence, time.monotonic() - started)


def _check_target(store: Path, path: Path, partial: Path) -> None:
    metadata = {"path": str(path)}
    if not path.parent.is_dir():
        raise StoreUnwritable(
            f"folder {path.parent} does not exist; create it, or name another path", metadata=metadata
        )
    if path.resolve() == store.resolve():
        raise Conflict(f"{path} is the store itself; name another path for the snapshot", metadata=metadata)
    if os.path.lexists(path):
        raise Conflict(f"{path} exists; name another path, a snapshot overwrites nothing", metadata=metadata)
    if os.path.lexists(wal_path(path)):
        # DuckDB would replay it into the snapshot at the first opening, without a word.
        raise Conflict(
            f"{wal_path(path)} is the log of another file of that name; move it away, or name another path",
            metadata=metadata,
        )
    if os.path.lexists(partial) or os.path.lexists(wal_path(partial)):
        raise Conflict(
            f"{partial} is left over from a snapshot that was broken off; remove it, or name another path",
            metadata=metadata,
        )


def _copy(cursor: duckdb.DuckDBPyConnection, partial: Path, progress: Callable[[Progress], None] | None) -> int:
    alias = f"snapshot_{uuid.uuid4().hex}"
    # Absolute, because DuckDB takes a name such as `sqlite:copy` for another kind of database.
    cursor.execute(f"ATTACH {_text(partial.absolute())} AS {alias}")
    try:
        with _transaction(cursor):
            sequence = _copy_tables(cursor, alias, progress)
        cursor.execute(f"CHECKPOINT {alias}")
    finally:
        cursor.execute(f"DETACH {alias}")
    return sequence


@contextmanager
def _transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction already
            cursor.execute("ROLLBACK")
        raise


def _copy_tables(cursor: duckdb.DuckDBPyConnection, alias: str, progress: Callable[[Progress], None] | None) -> int:
    ((store, sequence),) = cursor.execute("SELECT current_database(), sequence FROM store_state").fetchall()
    tables = cursor.execute(
        "SELECT table_name, estimated_size FROM duckdb_tables() "
        "WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY ALL"
    ).fetchall()
    rows = sum(size for _, size in tables)
    cursor.execute(f"COPY FROM DATABASE {_name(store)} TO {alias} (SCHEMA)")
    done = 0
    for table, _ in tables:
        if progress is not None:
            progress(Progress("copy", done, rows))
        name = _name(table)
        ((count,),) = cursor.execute(
            f"INSERT INTO {alias}.main.{name} SELECT * FROM {_name(store)}.main.{name}"
        ).fetchall()
        done += count
    cursor.execute(
        f"UPDATE {alias}.main.store_state SET snapshot_of = store_id, store_id = ?, muted = true", [str(uuid.uuid4())]
    )
    if progress is not None:
        progress(Progress("copy", done, done))
    return int(sequence)


def _record(transaction: Transaction, where: str, sequence: int) -> None:
    transaction.cursor.execute(
        "INSERT INTO snapshots (taken_at, path, sequence) VALUES (now() AT TIME ZONE 'UTC', ?, ?)",
        [where, sequence],
    )


def _sync(partial: Path) -> int:
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
        return os.fstat(stream.fileno()).st_size


def _take_name(partial: Path, path: Path) -> None:
    if os.path.lexists(path):
        raise Conflict(f"{path} was made by somebody else meanwhile; name another path", metadata={"path": str(path)})
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    metadata = {"path": str(path)}
    try:
        with duckdb_errors(path):
            yield
    except StoreDamaged as error:
        # The advice about a damaged file is for stores; here it is a file that never came to be.
        raise StoreError(f"the snapshot {path} could not be made: {error.__cause__}", metadata=metadata) from error
    except OSError as error:
        raise StoreUnwritable(
            f"the snapshot {path} could not be made ({error.strerror}); name another path", metadata=metadata
        ) from error


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


__all__ = ["write_snapshot"]
