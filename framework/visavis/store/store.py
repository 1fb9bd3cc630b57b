"""Open, wire and close one store."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import uuid
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from visavis.config import Settings
from visavis.errors import NotAStore, NotFound, StoreBehind, StoreDamaged, StoreError, StoreUnwritable
from visavis.store import double_write
from visavis.store.database import Database, check_file, wal_path
from visavis.store.high_water import HighWater, Mark, check
from visavis.store.migrations import migrate, table_names
from visavis.store.owner import Owner, read_owner, real_path, side_folder
from visavis.store.writer import Writer

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger("visavis.store")
SCRATCH = ("tmp", "uploads", "imports", "building")
"""Folders beside the store that a crash may leave full; emptied at open."""
BACKUP_SCHEMA = "visavis_backup"
"""Schema of the tables that only a backup has."""
COMPACTING = ".compacting"
RESTORING = ".restoring"
"""What is added to the store's name for a file that a compaction or a restore makes; removed at open."""


class Store:
    """An open store: exactly one per process and file. Use `Store.open`."""

    def __init__(
        self,
        path: Path,
        database: Database,
        owner: Owner,
        high_water: HighWater,
        writer: Writer,
        schema_version: int,
        warnings: tuple[str, ...],
        *,
        made: bool = False,
        had_rejects: bool = False,
    ) -> None:
        self.path = path
        self.folder = side_folder(path)
        self.writer = writer
        self.schema_version = schema_version
        self.warnings = warnings
        self.owner = owner
        self.database = database
        self.compacting = threading.Lock()
        """Held by the one compaction that may run."""
        self._high_water = high_water
        self._made = made
        self._had_rejects = had_rejects
        self.closed = False

    @classmethod
    def open(cls, path: Path, settings: Settings, *, purpose: str = "python", create: bool = True) -> Self:
        """Open the store at `path`, making it if `create`. Raises a `StoreError` that says what to do."""
        asked = path
        # The real file, because DuckDB keeps the log beside that one.
        path = real_path(path)
        _check_restored(path)
        check_not_gone(path)
        if not create and not path.exists():
            raise NotFound(
                f"there is no store at {path}; make one with `visavis import FILE --data {asked}`, or name another "
                "with --data",
                reason="NOT_A_STORE",
                metadata={"path": str(path)},
            )
        # Before the side folder is made: none is left beside a file that is no store. Not while somebody has the store,
        # who may be this process: closing the file, which this does, would give up DuckDB's lock on it.
        if read_owner(side_folder(path)) is None:
            check_file(path)
        folder = make_side_folder(path)
        owner = Owner.acquire(folder, data=path, purpose=purpose)
        made = not path.exists()
        had_rejects = (folder / "rejects").exists()
        try:
            for name in SCRATCH:
                shutil.rmtree(folder / name, ignore_errors=True)
            leftovers = _remove_leftovers(path)
            database = Database(path, memory_limit_mb=settings["memory_limit_mb"], threads=settings["threads"])
        except BaseException:
            owner.release()
            raise
        high_water = HighWater(folder)
        try:
            with database.cursor() as cursor:
                warnings, acknowledged = leftovers, high_water.read()
                # Before any migration: its checkpoint would use up the log that may hold what is missing.
                if _is_store(cursor, path):
                    warnings += check(acknowledged, read_mark(cursor))
                else:
                    _check_not_emptied(path, acknowledged)
                version = _migrate(database, cursor, path)
                mark = read_mark(cursor)
            high_water.write(mark)
        except BaseException:
            database.close()
            high_water.close()
            owner.release()
            raise
        for warning in warnings:
            log.warning("%s", warning)
        writer = Writer(database, high_water, mark, settings)
        return cls(path, database, owner, high_water, writer, version, warnings, made=made, had_rejects=had_rejects)

    def cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A cursor for one call in one thread."""
        return self.database.cursor()

    @property
    def mark(self) -> Mark:
        """Identity of the store and number of its last commit."""
        return self.writer.mark

    def wal_bytes(self) -> int:
        return self.database.wal_bytes()

    def file_bytes(self) -> int:
        """Size of the file; 0 if it was taken away."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def scratch(self, name: str) -> Path:
        """A folder beside the store for short-lived files; one of `SCRATCH`."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self, *, keep_empty: bool = True) -> None:
        """Write what is queued, checkpoint, close, give the store free. Idempotent.

        Without `keep_empty`, a store that this opening made, and that nothing was ever written to, is removed.
        """
        if self.closed:
            return
        self.closed = True
        # A compaction sees `closed` at its next step, and removes what it made while the store is still ours.
        with self.compacting:
            self.writer.close()
        self.database.close()
        self._high_water.close()
        if self._made and not keep_empty and not self.mark.sequence:
            _remove_store(self.path, self.folder, keep_rejects=self._had_rejects)
        self.owner.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_side_folder(path: Path) -> Path:
    """Make the folder of small files, readable by its owner only."""
    folder = side_folder(path)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        raise StoreUnwritable(
            f"folder {path.parent} does not exist; create it, or name another path", metadata={"path": str(path)}
        ) from None
    except OSError as error:
        raise StoreUnwritable(
            f"{folder} cannot be made ({error.strerror}); a store needs a folder that may be written",
            metadata={"path": str(path)},
        ) from None
    if not os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreUnwritable(
            f"{path.parent} may not be written, and the log lies there, beside the store; change its permissions",
            metadata={"path": str(path)},
        )
    return folder


def _check_restored(path: Path) -> None:
    """A restore that was broken off between the old file and the new one must not end in a new, empty store."""
    restoring = path.with_name(path.name + RESTORING)
    if not path.exists() and restoring.exists() and read_owner(side_folder(path)) is None:
        raise StoreError(
            f"the restore of {path} was broken off, and what was there before lies in {side_folder(path) / 'aside'}; "
            f"do it again: visavis restore FILE --replace --data {path}",
            metadata={"path": str(path)},
        )


def check_not_gone(path: Path) -> None:
    """Refuse to begin anew where a store was: what it held would be forgotten without a word."""
    if path.exists():
        return
    folder = side_folder(path)
    mark = HighWater(folder).read()
    if mark is not None and mark.sequence:
        raise StoreBehind(
            f"{path} is gone, and held {_commits(mark)} by the account of {folder}; put it back, or make it "
            f"from a backup: visavis restore BACKUP --replace --data {path}; to begin anew, move {folder} away",
            metadata={"path": str(path), "acknowledged_sequence": str(mark.sequence)},
        )
    log_file = wal_path(path)
    if log_file.exists():
        # DuckDB would take it for the new file's, or remove it.
        raise StoreDamaged(
            f"{path} is gone, but its write-ahead log {log_file} is there; put the file back, or move the log away "
            f"and then make the store from a backup (visavis restore BACKUP --data {path}) or anew",
            metadata={"path": str(path)},
        )


def _check_not_emptied(path: Path, mark: Mark | None) -> None:
    """The same where DuckDB was asked for a store that is gone, and left an empty file of its own."""
    if mark is None or not mark.sequence:
        return
    folder = side_folder(path)
    raise StoreBehind(
        f"{path} is an empty DuckDB file, and held {_commits(mark)} by the account of {folder}; put the store back, or "
        f"make it from a backup: visavis restore BACKUP --replace --data {path}; to begin anew, move {folder} away",
        metadata={"path": str(path), "acknowledged_sequence": str(mark.sequence)},
    )


def _commits(mark: Mark) -> str:
    return "1 commit" if mark.sequence == 1 else f"{mark.sequence:,} commits"


def _remove_leftovers(path: Path) -> tuple[str, ...]:
    """Remove what a killed compaction or restore left; the store was not changed by it. Answers warnings."""
    warnings = []
    for suffix, what in ((COMPACTING, "compaction"), (RESTORING, "restore")):
        file = path.with_name(path.name + suffix)
        for left in (file, wal_path(file)):
            if not left.exists():
                continue
            try:
                left.unlink()
            except OSError as error:
                warnings.append(f"{left} is left over from a {what} and cannot be removed ({error.strerror})")
            else:
                warnings.append(f"a {what} was broken off; what it left was removed: {left}")
    return tuple(warnings)


def _remove_store(path: Path, folder: Path, *, keep_rejects: bool) -> None:
    """Remove a store and what it keeps for itself; what others put beside it, such as keys, stays.

    With `keep_rejects`, so do the refused rows, which an earlier store left; an empty folder goes in any case.
    """
    if keep_rejects:
        with suppress(OSError):  # not empty
            (folder / "rejects").rmdir()
    for name in SCRATCH if keep_rejects else (*SCRATCH, "rejects"):
        shutil.rmtree(folder / name, ignore_errors=True)
    ours = {folder / name for name in ("high-water", "owner", "base", double_write.NAME, double_write.PARTIAL)}
    left = (folder / "lock",) if set(folder.iterdir()) <= {*ours, folder / "lock"} else ()
    try:
        # The log before its file: alone, it would be taken for what is left of a store that got lost.
        for file in (wal_path(path), *sorted(ours), path, *left):
            file.unlink(missing_ok=True)
        if left:
            folder.rmdir()
    except OSError as error:
        log.warning("the empty store %s cannot be removed (%s); remove it, it holds nothing", path, error.strerror)


def read_mark(cursor: duckdb.DuckDBPyConnection) -> Mark:
    """Identity, lineage and last commit, as the file has them."""
    rows = cursor.execute("SELECT store_id, lineage, sequence FROM store_state").fetchall()
    return Mark(*rows[0])


def read_muted(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing is sent except to test addresses."""
    return bool(cursor.execute("SELECT muted FROM store_state").fetchall()[0][0])


def _is_store(cursor: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether the file holds a store; False for an empty one. Raises `NotAStore` for anything else."""
    if is_backup(cursor):
        raise NotAStore(
            f"{path} is a backup, and would be none any more once it was used as a store; make a store of it: "
            f"visavis restore {path} --data NEW_FILE",
            metadata={"path": str(path)},
        )
    tables = table_names(cursor)
    if tables and not {"migrations", "store_state"} <= tables:
        raise NotAStore(
            f"{path} is a DuckDB file but no Visavis store (it holds {', '.join(sorted(tables)[:3])}); name another "
            "file with --data",
            metadata={"path": str(path)},
        )
    return bool(tables) and bool(cursor.execute("SELECT count(*) FROM store_state").fetchall()[0][0])


def is_backup(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether the open file was made by `visavis backup`."""
    found = cursor.execute(
        "SELECT count(*) FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = ?",
        [BACKUP_SCHEMA],
    ).fetchall()
    return bool(found[0][0])


def _migrate(database: Database, cursor: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Bring the file to this version's schema; give a new one its identity. Answers the schema version."""
    version = migrate(cursor, str(path), database.checkpoint)
    if not _is_store(cursor, path):
        cursor.execute(
            "INSERT INTO store_state VALUES (?, 1, 0, ?, 0, true, NULL)",
            [str(uuid.uuid4()), datetime.now(UTC).replace(tzinfo=None)],
        )
        database.checkpoint(cursor)
    return version


__all__ = [
    "BACKUP_SCHEMA",
    "COMPACTING",
    "RESTORING",
    "SCRATCH",
    "Store",
    "check_not_gone",
    "is_backup",
    "make_side_folder",
    "read_mark",
    "read_muted",
]
