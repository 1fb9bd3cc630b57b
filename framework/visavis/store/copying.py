"""Copies of a store's tables in a new file: what snapshots, backups and compactions have in common.

A copy that is to stay grows under the name `<path>.partial`, is synced to disk, and takes its name last.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import duckdb

from visavis.errors import Conflict, FieldViolation, InvalidInput, StoreDamaged, StoreError, StoreUnwritable
from visavis.model import Progress
from visavis.store.database import duckdb_errors, make_private, wal_path
from visavis.store.store import Store
from visavis.store.sync import sync
from visavis.store.transaction import Transaction

log = logging.getLogger("visavis.store")

# One copy at a time in a process: two would fight over the disk, and perhaps over one name.
_LOCK = threading.Lock()


class Table(NamedTuple):
    """A table of a file. `rows` is an estimate while somebody writes."""

    schema: str
    name: str
    rows: int

    def within(self, database: str) -> str:
        """Its full name in a database, for SQL."""
        return f"{identifier(database)}.{identifier(self.schema)}.{identifier(self.name)}"


class Copy(NamedTuple):
    """A copy that is being made: the cursor, the names of the store and of the copy in SQL, what was copied."""

    cursor: duckdb.DuckDBPyConnection
    store: str
    alias: str
    tables: list[Table]
    rows: int


@contextmanager
def new_file(store: Path, path: Path, what: str) -> Iterator[Path]:
    """A file to fill, for the copy `path` of the store; removed if the block fails. `take_name` ends the work.

    `what` is the word for the copy. Raises `InvalidInput` when the path is no name, `Conflict` when it is taken or
    the store's own, `StoreUnwritable` when its folder is missing.
    """
    if not path.name or "\0" in path.name:
        raise InvalidInput([FieldViolation("path", f"is {str(path)!r}; name a new file, such as copy.duckdb")])
    partial = path.with_name(path.name + ".partial")
    with _LOCK:
        with copy_errors(path, what):
            _check_target(store, path, partial, what)
        try:
            yield partial
        except BaseException:
            remove_database(partial)
            raise


@contextmanager
def attached(cursor: duckdb.DuckDBPyConnection, path: Path) -> Iterator[str]:
    """A new database file beside the store's, without a log of its own; gives the name that SQL knows it by.

    Nobody but its owner may read it.
    """
    alias = attach(cursor, path)
    try:
        yield alias
    finally:
        cursor.execute(f"DETACH {alias}")


def attach(cursor: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Like `attached`, for a file that outlives the cursor; the caller detaches it."""
    alias = f"copy_{uuid.uuid4().hex}"
    make_private(path)
    # Absolute, because DuckDB takes a name such as `sqlite:copy` for another kind of database. No log: a copy that a
    # crash broke off is never read.
    cursor.execute(f"ATTACH {_text(path.absolute())} AS {alias} (RECOVERY_MODE no_wal_writes)")
    return alias


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One transaction on `cursor`."""
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # a failed COMMIT has ended the transaction already
            cursor.execute("ROLLBACK")
        raise


def tables_of(cursor: duckdb.DuckDBPyConnection, database: str) -> list[Table]:
    """The tables of a database, in a fixed order."""
    rows = cursor.execute(
        "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() "
        "WHERE database_name = ? AND NOT internal AND NOT temporary ORDER BY ALL",
        [database],
    ).fetchall()
    return [Table(*row) for row in rows]


def current_database(cursor: duckdb.DuckDBPyConnection) -> str:
    """The name that SQL knows the store by."""
    return str(cursor.execute("SELECT current_database()").fetchall()[0][0])


def copy_schema(cursor: duckdb.DuckDBPyConnection, store: str, alias: str) -> None:
    """Make the store's tables, views and whatever else it defines in the copy."""
    cursor.execute(f"COPY FROM DATABASE {identifier(store)} TO {alias} (SCHEMA)")


def copy_tables(
    cursor: duckdb.DuckDBPyConnection,
    store: str,
    alias: str,
    tables: list[Table],
    progress: Callable[[Progress], None] | None,
) -> int:
    """Copy all rows; answers how many. `progress` hears of each table: rows copied, rows to copy."""
    tell = progress or (lambda _: None)
    rows = sum(table.rows for table in tables)
    done = 0
    for table in tables:
        tell(Progress("copy", done, rows))
        ((count,),) = cursor.execute(
            f"INSERT INTO {table.within(alias)} SELECT * FROM {table.within(store)}"
        ).fetchall()
        done += count
    tell(Progress("copy", done, done))
    return done


@contextmanager
def copied(
    store: Store, partial: Path, path: Path, what: str, progress: Callable[[Progress], None] | None
) -> Iterator[Copy]:
    """A whole copy of the open store in the file `partial`, as of one commit. The block adds what else belongs there,
    in the same transaction; then it is checkpointed and on the disk."""
    with store.cursor() as cursor, copy_errors(path, what):
        with attached(cursor, partial) as alias:
            with transaction(cursor):
                name = current_database(cursor)
                copy_schema(cursor, name, alias)
                tables = tables_of(cursor, name)
                rows = copy_tables(cursor, name, alias, tables, progress)
                yield Copy(cursor, name, alias, tables, rows)
            cursor.execute(f"CHECKPOINT {alias}")
        sync(partial)


def record_copy(transaction: Transaction, store_folder: Path, path: Path, sequence: int) -> None:
    """Note in the table `snapshots` where a copy went."""
    # A copy in our own folder is on its way to a client, and gone from there a moment later.
    noted = "sent to a client" if path.absolute().is_relative_to(store_folder) else str(path.absolute())
    transaction.cursor.execute(
        "INSERT INTO snapshots (taken_at, path, sequence) VALUES (now() AT TIME ZONE 'UTC', ?, ?)", [noted, sequence]
    )


def take_name(partial: Path, path: Path) -> None:
    """Give the finished file its name, for good."""
    if os.path.lexists(path):
        raise Conflict(f"{path} was made by somebody else meanwhile; name another path", metadata={"path": str(path)})
    partial.rename(path)
    sync(path.parent)


def keep_permissions(old: Path, new: Path) -> None:
    """Give a file that takes another's place its owner and its mode."""
    was, now = old.stat(), new.stat()
    if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        try:
            os.chown(new, was.st_uid, was.st_gid)
        except OSError as error:
            log.warning("%s belongs to another user now, its owner cannot be kept (%s)", old, error.strerror)
    new.chmod(stat.S_IMODE(was.st_mode))


def remove_database(path: Path) -> None:
    """Remove a file of ours that came to nothing, and its log, if they are there and may be removed."""
    for left in (path, wal_path(path)):
        with suppress(OSError):  # what led here is the error to tell
            left.unlink(missing_ok=True)


@contextmanager
def copy_errors(path: Path, what: str) -> Iterator[None]:
    """Errors of making the copy `path`, in our words; `what` is the word for the copy."""
    metadata = {"path": str(path)}
    try:
        with duckdb_errors(path):
            yield
    except StoreDamaged as error:
        # The advice about a damaged file is for stores; here it is a file that never came to be.
        raise StoreError(f"the {what} {path} could not be made: {error.__cause__}", metadata=metadata) from error
    except OSError as error:
        raise StoreUnwritable(
            f"the {what} {path} could not be made ({error.strerror}); name another path", metadata=metadata
        ) from error


def identifier(name: str) -> str:
    """A name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _check_target(store: Path, path: Path, partial: Path, what: str) -> None:
    metadata = {"path": str(path)}
    if not path.parent.is_dir():
        raise StoreUnwritable(
            f"folder {path.parent} does not exist; create it, or name another path", metadata=metadata
        )
    if path.resolve() == store.resolve():
        raise Conflict(f"{path} is the store itself; name another path for the {what}", metadata=metadata)
    if os.path.lexists(path):
        raise Conflict(f"{path} exists; name another path, a {what} overwrites nothing", metadata=metadata)
    if os.path.lexists(wal_path(path)):
        # DuckDB would replay it into the copy at the first opening, without a word.
        raise Conflict(
            f"{wal_path(path)} is the log of another file of that name; move it away, or name another path",
            metadata=metadata,
        )
    if os.path.lexists(partial) or os.path.lexists(wal_path(partial)):
        raise Conflict(
            f"{partial} is left over from a {what} that was broken off; remove it, or name another path",
            metadata=metadata,
        )


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


__all__ = [
    "Copy",
    "Table",
    "attach",
    "attached",
    "copied",
    "copy_errors",
    "copy_schema",
    "copy_tables",
    "current_database",
    "identifier",
    "keep_permissions",
    "new_file",
    "record_copy",
    "remove_database",
    "tables_of",
    "take_name",
    "transaction",
]
