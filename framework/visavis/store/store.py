"""Open, wire and close one store."""

from __future__ import annotations

import logging
import shutil
import uuid
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from visavis.config import Settings
from visavis.errors import NotAStore, NotFound, StoreUnwritable
from visavis.store.database import Database, check_file
from visavis.store.high_water import HighWater, Mark, check
from visavis.store.migrations import migrate, table_names
from visavis.store.owner import Owner, side_folder
from visavis.store.writer import Writer, WriterOptions

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger("visavis.store")
SCRATCH = ("tmp", "uploads", "imports", "building")
"""Folders beside the store that a crash may leave full; emptied at open."""


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
    ) -> None:
        self.path = path
        self.folder = side_folder(path)
        self.writer = writer
        self.schema_version = schema_version
        self.warnings = warnings
        self.owner = owner
        self._database = database
        self._high_water = high_water
        self._closed = False

    @classmethod
    def open(cls, path: Path, settings: Settings, *, purpose: str = "python", create: bool = True) -> Self:
        """Open the store at `path`, making it if `create`. Raises a `StoreError` that says what to do."""
        # The real file, because DuckDB keeps the log beside that one.
        path = path.resolve()
        if not create and not path.exists():
            raise NotFound(
                f"there is no store at {path}; make one with `visavis import FILE --data {path.name}`, or name another "
                "with --data",
                reason="NOT_A_STORE",
                metadata={"path": str(path)},
            )
        # Before the side folder is made: none is left beside a file that is no store.
        check_file(path)
        folder = make_side_folder(path)
        owner = Owner.acquire(folder, data=path, purpose=purpose)
        try:
            for name in SCRATCH:
                shutil.rmtree(folder / name, ignore_errors=True)
            database = Database(path, memory_limit_mb=settings["memory_limit_mb"], threads=settings["threads"])
        except BaseException:
            owner.release()
            raise
        high_water = HighWater(folder)
        try:
            with database.cursor() as cursor:
                warnings: tuple[str, ...] = ()
                if _is_store(cursor, path):
                    # Before any migration: its checkpoint would use up the log that may hold what is missing.
                    warnings = check(high_water.read(), read_mark(cursor))
                version = _migrate(cursor, path)
                mark = read_mark(cursor)
            high_water.write(mark)
        except BaseException:
            database.close()
            high_water.close()
            owner.release()
            raise
        for warning in warnings:
            log.warning("%s", warning)
        options = WriterOptions(
            linger_s=settings["linger_ms"] / 1000,
            group_rows=settings["group_rows"],
            queue_rows=settings["queue_rows"],
            checkpoint_wal_bytes=settings["checkpoint_wal_mb"] << 20,
        )
        return cls(path, database, owner, high_water, Writer(database, high_water, mark, options), version, warnings)

    def cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A cursor for one call in one thread."""
        return self._database.cursor()

    @property
    def mark(self) -> Mark:
        """Identity of the store and number of its last commit."""
        return self.writer.mark

    def wal_bytes(self) -> int:
        return self._database.wal_bytes()

    def scratch(self, name: str) -> Path:
        """A folder beside the store for short-lived files; one of `SCRATCH`."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Write what is queued, checkpoint, close, give the store free. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.writer.close()
        self._database.close()
        self._high_water.close()
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
    return folder


def read_mark(cursor: duckdb.DuckDBPyConnection) -> Mark:
    """Identity, lineage and last commit, as the file has them."""
    rows = cursor.execute("SELECT store_id, lineage, sequence FROM store_state").fetchall()
    return Mark(*rows[0])


def read_muted(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing is sent except to test addresses."""
    return bool(cursor.execute("SELECT muted FROM store_state").fetchall()[0][0])


def _is_store(cursor: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether the file holds a store; False for an empty one. Raises `NotAStore` for anything else."""
    tables = table_names(cursor)
    if tables and not {"migrations", "store_state"} <= tables:
        raise NotAStore(
            f"{path} is a DuckDB file but no Visavis store (it holds {', '.join(sorted(tables)[:3])}); name another "
            "file with --data",
            metadata={"path": str(path)},
        )
    return bool(tables) and bool(cursor.execute("SELECT count(*) FROM store_state").fetchall()[0][0])


def _migrate(cursor: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Bring the file to this version's schema; give a new one its identity. Answers the schema version."""
    version = migrate(cursor, str(path))
    if not _is_store(cursor, path):
        cursor.execute(
            "INSERT INTO store_state VALUES (?, 1, 0, ?, 0, true, NULL)",
            [str(uuid.uuid4()), datetime.now(UTC).replace(tzinfo=None)],
        )
        cursor.execute("CHECKPOINT")
    return version


__all__ = ["SCRATCH", "Store", "make_side_folder", "read_mark", "read_muted"]
