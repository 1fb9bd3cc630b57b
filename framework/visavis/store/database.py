"""The one DuckDB connection of a process, cursors from it, and DuckDB's errors in our words.

A connection is never shared by threads: whoever reads takes a cursor for the call (`Database.cursor`), the
writer thread keeps one of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from visavis.errors import NotAStore, StoreDamaged, StoreError, StoreInUse, StoreUnwritable
from visavis.store.owner import side_folder

MAGIC = b"DUCK"
"""Bytes 8 to 11 of every DuckDB file."""


class Database:
    """An open DuckDB file. Extensions are never downloaded; checkpoints happen when the writer says so."""

    def __init__(self, path: Path, *, memory_limit_mb: int = 0, threads: int = 0) -> None:
        self.path = path
        check_file(path)
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "wal_autocheckpoint": "1TB",
            "temp_directory": str(side_folder(path) / "tmp"),
        }
        if memory_limit_mb:
            config["memory_limit"] = f"{memory_limit_mb}MiB"
        if threads:
            config["threads"] = threads
        with duckdb_errors(path):
            self._connection = duckdb.connect(str(path), config=config)
            # The writer checkpoints when it ends. A store that is refused must keep its log: DuckDB would use it up.
            self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one call in one thread, closed afterwards."""
        cursor = self._connection.cursor()
        try:
            with duckdb_errors(self.path):
                yield cursor
        finally:
            cursor.close()

    def own_cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor that its caller closes; for the writer thread."""
        return self._connection.cursor()

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return wal_path(self.path).stat().st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        self._connection.close()


def wal_path(path: Path) -> Path:
    """Where DuckDB keeps the write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


def check_file(path: Path) -> None:
    """Refuse what is plainly no DuckDB file before DuckDB touches it. A missing path is fine (it will be made)."""
    metadata = {"path": str(path)}
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise NotAStore(
            f"{path} is no UTF-8 name, which DuckDB needs; name the file otherwise", metadata=metadata
        ) from None
    if path.is_dir():
        raise NotAStore(f"{path} is a folder; name a file, such as {path / 'shop.duckdb'}", metadata=metadata)
    if not path.parent.is_dir():
        raise StoreUnwritable(
            f"folder {path.parent} does not exist; create it, or name another path", metadata=metadata
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
    except FileNotFoundError:
        return
    except PermissionError:
        raise StoreUnwritable(f"{path} may not be read; change its permissions", metadata=metadata) from None
    if len(head) < 12 or head[8:12] != MAGIC:
        what = "is empty" if not head else "is not a DuckDB file"
        raise NotAStore(
            f"{path} {what}, so it is no Visavis store; name another file with --data (a sales file is read by "
            "`visavis import`)",
            metadata=metadata,
        )


@contextmanager
def duckdb_errors(path: Path) -> Iterator[None]:
    """Translate DuckDB's exceptions about the file; errors in our own SQL pass as they are."""
    metadata = {"path": str(path)}
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.FatalException,
        duckdb.SerializationException,
        duckdb.InternalException,
    ) as error:
        text = str(error).splitlines()[0]
        # Without the path, whose words say nothing about what went wrong.
        lower = text.replace(str(path), "").lower()
        if "lock" in lower and ("conflicting" in lower or "could not set" in lower):
            raise StoreInUse(
                f"{path} is open in another process; use that process, or end it ({text})", metadata=metadata
            ) from None
        if "no space left" in lower or "out of disk" in lower:
            raise StoreUnwritable(
                f"the disk that holds {path} is full; free some space and start again", metadata=metadata
            ) from error
        if "permission denied" in lower or "read-only" in lower:
            raise StoreUnwritable(
                f"{path} may not be written; change its permissions or its folder's", metadata=metadata
            ) from None
        if "newer version" in lower or "older version of duckdb" in lower or "version number" in lower:
            raise StoreError(
                f"{path} was written by another version of DuckDB; install that version or a later one ({text})",
                metadata=metadata,
            ) from None
        raise StoreDamaged(
            f"{path} cannot be read; `visavis doctor --data {path}` says more ({text})", metadata=metadata
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise StoreError(
            f"DuckDB ran out of memory on {path}; raise memory_limit_mb ({str(error).splitlines()[0]})",
            metadata=metadata,
        ) from error
    except duckdb.Error as error:
        if type(error) is not duckdb.Error:
            raise
        # DuckDB 2 has no class of its own for damaged data.
        text = str(error).splitlines()[0]
        raise StoreDamaged(
            f"{path} cannot be read; `visavis doctor --data {path}` says more ({text})", metadata=metadata
        ) from error
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            # What DuckDB makes of Ctrl-C while it works.
            raise KeyboardInterrupt from None
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreUnwritable(
                f"the disk that holds {path} is full; free some space and start again", metadata=metadata
            ) from error
        raise


__all__ = ["MAGIC", "Database", "check_file", "duckdb_errors", "wal_path"]
