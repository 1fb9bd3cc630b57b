"""The one DuckDB connection of a process, cursors from it, and DuckDB's errors in our words.

A connection is never shared by threads: whoever reads takes a cursor for the call (`Database.cursor`), the
writer thread keeps one of its own. A compaction puts another file in the place of the open one: it waits until nobody
has a cursor, and holds back those who want one (`Database.alone`, `Database.swap`).
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from visavis.errors import NotAStore, StoreDamaged, StoreError, StoreInUse, StoreUnwritable
from visavis.store import double_write
from visavis.store.owner import side_folder

log = logging.getLogger("visavis.store")
MAGIC = b"DUCK"
"""Bytes 8 to 11 of every DuckDB file."""
_PATIENCE_S = 10.0  # for whoever holds a file that was just put in place
_LOOK_S = 0.05


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
        self._config = config
        self._lost: StoreError | None = None
        self._gate = threading.Condition()
        self._shut = False
        self._given = 0
        self._held: set[int] = set()
        """Cursors that somebody has, by their number; `_given` is the number of the last."""
        self._here = threading.local()
        if not os.path.lexists(path):
            make_private(path)
        undo_broken_off(path)
        self._connection = self._connect()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        with duckdb_errors(self.path):
            connection = duckdb.connect(str(self.path), config=self._config)
            # The writer checkpoints when it ends. A store that is refused must keep its log: DuckDB would use it up.
            connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            # Closed after DuckDB has closed the file, never before: closing any descriptor gives up DuckDB's lock.
            self._descriptor = os.open(self.path, os.O_RDONLY)
            found = os.fstat(self._descriptor)
            self._identity = found.st_dev, found.st_ino
            return connection

    def in_place(self) -> bool:
        """Whether the file that is open still is the one of that name; False when it was moved, deleted or replaced."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def require_in_place(self) -> None:
        """Raise `StoreError` if the open file is not the one of that name any more."""
        if not self.in_place():
            raise StoreError(
                f"{self.path} was moved, deleted or replaced while it was open; put it back and start again",
                metadata={"path": str(self.path)},
            )

    def checkpoint(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Put what is in the log into the file; one at a time. A kill in the middle is undone by the next opening."""
        folder = side_folder(self.path)
        with duckdb_errors(self.path):
            try:
                double_write.keep(cursor, self._descriptor, folder)
            except OSError as error:
                raise _environment(folder, error.strerror or "") or StoreUnwritable(
                    f"{folder} takes no copy of what a checkpoint writes over ({error.strerror or error}); look at it",
                    metadata={"path": str(self.path)},
                ) from error
            cursor.execute("CHECKPOINT")
        double_write.forget(folder)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one call in one thread, closed afterwards. Waits while the file is being changed for another."""
        here = getattr(self._here, "cursors", 0)
        with self._gate:
            # Who has one gets another at once: the first would never come back.
            if not here:
                self._gate.wait_for(lambda: not self._shut)
            self._given += 1
            number = self._given
            self._held.add(number)
        self._here.cursors = here + 1
        try:
            cursor = self.own_cursor()
            try:
                with duckdb_errors(self.path):
                    yield cursor
            finally:
                cursor.close()
        finally:
            self._here.cursors = here
            with self._gate:
                self._held.discard(number)
                self._gate.notify_all()

    def own_cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor that its caller closes, and that nobody waits for; for the writer thread."""
        if self._lost is not None:
            raise self._lost
        return self._connection.cursor()

    def wait_for_readers(self, seconds: float) -> bool:
        """Wait for those who have a cursor now, at most so long; whether all gave it back. Others may have come."""
        with self._gate:
            last = self._given
            return self._gate.wait_for(lambda: not any(number <= last for number in self._held), seconds)

    @contextmanager
    def alone(self, seconds: float) -> Iterator[bool]:
        """Hold back whoever wants a cursor while the block runs, and wait at most `seconds` for those who have one.

        Gives whether nobody has one. Two at a time are not foreseen.
        """
        with self._gate:
            self._shut = True
            quiet = self._gate.wait_for(lambda: not self._held, seconds)
        try:
            yield quiet
        finally:
            with self._gate:
                self._shut = False
                self._gate.notify_all()

    def swap(self, replace: Callable[[], None]) -> None:
        """Close the file, run `replace`, and open what is there then, also if `replace` failed. Only while `alone`.

        A file that cannot be opened again is an error for everybody from then on.
        """
        self.require_in_place()
        self.close()
        try:
            replace()
        finally:
            try:
                self.path.stat()  # DuckDB would make a new one
                self._connection = self._connect_again()
            except (StoreError, duckdb.Error, OSError) as error:
                self._lost = StoreError(
                    f"{self.path} could not be opened again after it was compacted; start again ({error})",
                    metadata={"path": str(self.path)},
                )
                raise self._lost from error

    def _connect_again(self) -> duckdb.DuckDBPyConnection:
        """Open what was put in place; whoever reads it just then, here or in another process, is waited for."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._connect()
            except (StoreInUse, duckdb.ConnectionException):
                if time.monotonic() >= until:
                    raise
            time.sleep(_LOOK_S)

    def wal_bytes(self) -> int:
        """Size of the write-ahead log; 0 if there is none, or nobody can say."""
        try:
            return wal_path(self.path).stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def undo_broken_off(path: Path) -> None:
    """Undo what a checkpoint that was killed wrote over live blocks of a store; only its owner may.

    Raises `StoreUnwritable`.
    """
    try:
        blocks = double_write.put_back(path, side_folder(path))
    except OSError as error:
        raise _environment(path, error.strerror or "") or StoreUnwritable(
            f"a checkpoint of {path} was broken off and cannot be undone ({error.strerror}); look at the disk and at "
            f"{side_folder(path)}, then start again",
            metadata={"path": str(path)},
        ) from error
    if blocks:
        log.warning("a checkpoint of %s was broken off; %d blocks were put back, nothing is lost", path, blocks)


def make_private(path: Path) -> None:
    """Make the DuckDB file `path`, empty, which only its owner may read. Raises `StoreUnwritable`, or `OSError`.

    Made in a folder that nobody else enters, and then moved: DuckDB makes files that all may read, and follows links
    that others put in their place.
    """
    try:
        with TemporaryDirectory(prefix=".visavis-", dir=path.parent) as folder:
            made = Path(folder) / "new.duckdb"
            with duckdb_errors(path):
                duckdb.connect(str(made)).close()
            made.chmod(0o600)
            made.rename(path)
    except OSError as error:
        raise _environment(path, error.strerror or "") or error from error


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
        if (side_folder(path) / "high-water").exists():
            raise StoreDamaged(
                f"{path} does not begin as a DuckDB file, and was a store by the account of {side_folder(path)}; put "
                "back a backup or a copy of it",
                metadata=metadata,
            )
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
        if (why := _environment(path, str(error))) is not None:  # the first error may stand on a later line
            raise why from error
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
        # How a COMMIT says it; other errors may repeat what the data says.
        if isinstance(error, duckdb.TransactionException) and (why := _environment(path, str(error))) is not None:
            raise why from error
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
        if error.errno in (errno.ENOSPC, errno.EMFILE, errno.ENFILE) and error.strerror:
            raise _environment(path, error.strerror) or error from error
        raise


def _environment(path: Path, text: str) -> StoreUnwritable | None:
    """What an error says of the disk, the permissions or the limits around a store; None if of none of them."""
    lower = text.replace(str(path), "").lower()
    metadata = {"path": str(path)}
    if "no space left" in lower or "out of disk" in lower:
        return StoreUnwritable(
            f"the disk that holds {path} is full; free some space and start again", metadata=metadata
        )
    if "too many open files" in lower:
        return StoreUnwritable(
            f"too many files are open to work on {path}; raise the limit (ulimit -n), or close some", metadata=metadata
        )
    if "permission denied" in lower or "read-only" in lower:
        return StoreUnwritable(f"{path} may not be written; change its permissions or its folder's", metadata=metadata)
    return None


__all__ = ["MAGIC", "Database", "check_file", "duckdb_errors", "make_private", "undo_broken_off", "wal_path"]
