"""The two repairs of a store that need a person's word.

Nothing here ever deletes: a write-ahead log is moved, or copied before it is used up, to the folder `aside` in the
store's side folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from visavis.errors import Conflict, NotFound, StoreBehind, StoreDamaged, StoreUnwritable
from visavis.store.database import check_file, duckdb_errors, wal_path
from visavis.store.doctor import open_read_only, plain_config, require_store
from visavis.store.high_water import HighWater, Mark, check
from visavis.store.owner import Owner
from visavis.store.store import make_side_folder, read_mark
from visavis.store.sync import sync


def accept_restore(data: Path) -> Mark:
    """Go on with a store whose last commits are missing: its lineage rises by one, the file stays as it is.

    A write-ahead log is copied aside first, because opening the file uses it up. Answers the new mark. Raises
    `Conflict` when no commit is missing, and what opening a store raises.
    """
    with _hold(data, "visavis doctor --accept-restore") as (data, folder), closing(HighWater(folder)) as high_water:
        with open_read_only(data) as connection:
            require_store(connection, data)
            stored = read_mark(connection)
        try:
            check(high_water.read(), stored)
        except StoreBehind:
            pass
        else:
            raise Conflict(f"{data} lacks no commit that was acknowledged: there is nothing to accept")
        if wal_path(data).exists():
            _set_aside(wal_path(data), folder, keep=True)
        mark = Mark(stored.store_id, stored.lineage + 1, stored.sequence)
        with duckdb_errors(data), duckdb.connect(str(data), config=plain_config(folder / "tmp")) as connection:
            connection.execute("UPDATE store_state SET lineage = ?", [mark.lineage])
            connection.execute("CHECKPOINT")
        high_water.write(mark)
        return mark


def move_aside_wal(data: Path) -> Path:
    """Move a write-ahead log that cannot be replayed out of the way; answers where it lies now.

    The commits in it are then missing, and the next opening says so. Raises `NotFound` when there is no log,
    `Conflict` when it can be replayed, `StoreDamaged` when the file itself is at fault, and what opening a store
    raises.
    """
    with _hold(data, "visavis doctor --move-aside-wal") as (data, folder):
        log = wal_path(data)
        if not log.exists():
            raise NotFound(f"{log} does not exist: there is no write-ahead log to move")
        try:
            with open_read_only(data):
                pass
        except StoreDamaged:
            with open_read_only(data, without_log=True) as connection:
                require_store(connection, data)
            return _set_aside(log, folder, keep=False)
        raise Conflict(f"{log} can be replayed: it may hold commits that the next opening needs")


@contextmanager
def _hold(data: Path, purpose: str) -> Iterator[tuple[Path, Path]]:
    """Own the store; gives its real path and its side folder."""
    try:
        data = data.resolve(strict=True)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NotFound(
            f"there is no store at {data} ({why}); name another with --data",
            reason="NOT_A_STORE",
            metadata={"path": str(data)},
        ) from None
    check_file(data)
    folder = make_side_folder(data)
    with Owner.acquire(folder, data=data, purpose=purpose):
        yield data, folder


def _set_aside(log: Path, folder: Path, *, keep: bool) -> Path:
    aside = folder / "aside"
    target = aside / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{log.name}"
    try:
        aside.mkdir(mode=0o700, exist_ok=True)
        if keep:
            shutil.copy2(log, target)
        else:
            log.rename(target)
        for path in (target, aside, log.parent):
            sync(path)
    except OSError as error:
        raise StoreUnwritable(
            f"{log} cannot be kept in {aside} ({error.strerror}); check the folder's permissions and the free space",
            metadata={"path": str(aside)},
        ) from None
    return target


__all__ = ["accept_restore", "move_aside_wal"]
