"""Putting a backup in the place of a store, or where there is none.

The backup is verified, copied beside the target under the name `<target>.restoring`, made a muted store of a new
lineage, and takes its name last. What was there before is moved to a folder of its own in `aside`, in the store's side
folder, as a store that can be opened there. Nothing is deleted but caches.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from pathlib import Path

import duckdb

from visavis.errors import Conflict, StoreError, StoreUnwritable, VisavisError
from visavis.model import Progress
from visavis.store import double_write
from visavis.store.backup import check_manifest, drop_manifest, opened_backup, verify_backup
from visavis.store.copying import keep_permissions, remove_database
from visavis.store.database import duckdb_errors, wal_path
from visavis.store.doctor import open_read_only, plain_config
from visavis.store.high_water import HighWater, Mark
from visavis.store.owner import Owner, in_use, read_owner, real_path, side_folder
from visavis.store.store import COMPACTING, RESTORING, make_side_folder, read_mark
from visavis.store.sync import sync

STATE = ("high-water", "base", double_write.NAME)
"""What the side folder holds of a store's contents, beside scratch. Keys, locks and rejected rows stay."""
_SPARE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was made of a backup. `made_at` in UTC, `rows` by table.

    `aside` is where the store lies now that was there before; empty if there was none. `missing_commits` counts what
    that store had acknowledged after the backup; None if it cannot be told.
    """

    path: str
    made_at: datetime
    sequence: int
    lineage: int
    rows: Mapping[str, int]
    aside: str
    missing_commits: int | None


def restore_backup(
    backup: Path, data: Path, *, replace: bool = False, progress: Callable[[Progress], None] | None = None
) -> Restored:
    """Make the store `data` of a backup. It is muted, and of a new lineage, so that what knew the old one notices.

    `replace` moves a store that is there aside; without it, that is a `Conflict`. `progress` hears of the step
    `verify`, in rows, twice: the backup and the copy. Raises what `verify_backup` raises, `StoreInUse` when a process
    owns the target, `StoreUnwritable` when its folder is missing, read-only or full; the target is then as it was.
    """
    data = real_path(data)
    _check_target(data, backup, replace=replace)  # before minutes of reading
    manifest = verify_backup(backup, progress)
    folder = make_side_folder(data)
    with Owner.acquire(folder, data=data, purpose="visavis restore"), closing(HighWater(folder)) as high_water:
        _check_place(data, replace=replace)  # once more, now that nobody can make one
        acknowledged = high_water.read()
        before = _mark_of(data)
        known = [mark for mark in (before, acknowledged) if mark is not None]
        copy = data.with_name(data.name + RESTORING)
        unfinished = _unfinished(data, folder)
        was_there = data.exists() or unfinished is not None
        with _errors(data):
            if unfinished is not None:
                _move_log_after(data, unfinished)
            for left in (copy, data.with_name(data.name + COMPACTING)):
                remove_database(left)
            try:
                _check_space(manifest.bytes, data)
                mark = _prepare(backup, copy, known, progress)
                if data.exists():
                    keep_permissions(data, copy)
                aside = _move_aside(data, folder) or unfinished
                high_water.write(mark)
                copy.rename(data)
                sync(data.parent)
            except BaseException:
                # Where a store was and is no more, it shows the next opening that a restore was broken off.
                if data.exists() or not was_there:
                    remove_database(copy)
                raise
    later = [other.sequence for other in known if other.store_id == mark.store_id]
    return Restored(
        path=str(data),
        made_at=manifest.made_at,
        sequence=mark.sequence,
        lineage=mark.lineage,
        rows=manifest.rows,
        aside=str(aside) if aside else "",
        missing_commits=max(0, max(later) - mark.sequence) if later else None,
    )


def _check_target(data: Path, backup: Path, *, replace: bool) -> None:
    """Everything that speaks against the target and costs nothing to find out."""
    if backup.resolve() == data:
        raise Conflict(f"{data} is the backup itself; copy it to where the store shall be, or name another with --data")
    _check_place(data, replace=replace)
    owner = read_owner(side_folder(data))
    if owner is not None:
        raise in_use(data, owner)
    if backup.is_file():  # else the opening of it says what it is
        _check_space(backup.stat().st_size, data)


def _check_place(data: Path, *, replace: bool) -> None:
    metadata = {"path": str(data)}
    if data.is_dir():
        raise Conflict(f"{data} is a folder; name a file with --data", metadata=metadata)
    if not data.parent.is_dir():
        raise StoreUnwritable(
            f"folder {data.parent} does not exist; create it, or name another path", metadata=metadata
        )
    for path in (data, wal_path(data)):
        if not replace and os.path.lexists(path):
            raise Conflict(
                f"{path} exists; name another path with --data, or move it aside with --replace", metadata=metadata
            )


def _check_space(size: int, data: Path) -> None:
    free = shutil.disk_usage(data.parent).free
    if free < size + _SPARE_BYTES:
        raise StoreUnwritable(
            f"the backup needs {(size + _SPARE_BYTES) / 2**20:,.0f} MiB in {data.parent}, and "
            f"{free / 2**20:,.0f} MiB are free; free some space and try again",
            metadata={"path": str(data)},
        )


def _mark_of(data: Path) -> Mark | None:
    """The last commit of the store that is there, if it can be read."""
    if not data.exists():
        return None
    try:
        with open_read_only(data) as connection:
            return read_mark(connection)
    except (VisavisError, duckdb.Error):
        return None  # it may well be the reason for the restore; it is moved aside as it is


def _prepare(backup: Path, copy: Path, known: list[Mark], progress: Callable[[Progress], None] | None) -> Mark:
    """Make a store of a backup, in the file `copy`; answers its mark."""
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    shutil.copyfile(backup, copy)
    sync(copy)
    with opened_backup(copy) as connection:
        stored = check_manifest(connection, copy, progress).mark
    lineage = 1 + max(mark.lineage for mark in (stored, *known) if mark.store_id == stored.store_id)
    with (
        tempfile.TemporaryDirectory() as scratch,
        duckdb.connect(str(copy), config=plain_config(Path(scratch))) as connection,
    ):
        drop_manifest(connection)
        connection.execute("UPDATE store_state SET lineage = ?, muted = true", [lineage])
        connection.execute("CHECKPOINT")
    if wal_path(copy).exists():
        raise StoreError(f"{wal_path(copy)} is there still; nothing is changed, try again")
    sync(copy)
    return Mark(stored.store_id, lineage, stored.sequence)


def _unfinished(data: Path, folder: Path) -> Path | None:
    """Where the file lies that a restore which was broken off has moved aside; None if there was no such restore."""
    if os.path.lexists(data) or not data.with_name(data.name + RESTORING).exists():
        return None
    # The names of the folders begin with the time.
    return max(folder.glob(f"aside/*-{escape(data.name)}/{escape(data.name)}"), default=None)


def _move_log_after(data: Path, aside: Path) -> None:
    """Put the log that a restore which was broken off has left to the file that it belongs to."""
    log, there = wal_path(data), wal_path(aside)
    if os.path.lexists(log) and not os.path.lexists(there):
        log.rename(there)
        sync(aside.parent)
        sync(data.parent)


def _move_aside(data: Path, folder: Path) -> Path | None:
    """Move the store that is there, with its log and its state, to a folder of its own; None if there was no file.

    Broken off, it leaves the store as it was, or no file: never one without its log.
    """
    moving = [path for path in (data, wal_path(data)) if os.path.lexists(path)]
    if not moving and not any((folder / name).exists() for name in STATE):
        return None
    aside = folder / "aside" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{data.name}"
    beside = side_folder(aside / data.name)
    for made in (aside.parent, aside, beside):
        made.mkdir(mode=0o700, exist_ok=True)
    # A copy: while there is no file, the one says that there was a store; the store needs the other where it lies.
    for name in ("high-water", double_write.NAME):
        if (folder / name).exists():
            shutil.copy(folder / name, beside)
    if (folder / "base").exists():
        (folder / "base").rename(beside / "base")
    for path in moving:
        path.rename(aside / path.name)
        for synced in (aside, data.parent):
            sync(synced)
    (folder / double_write.NAME).unlink(missing_ok=True)
    for synced in (beside, aside, aside.parent, folder, data.parent):
        sync(synced)
    return aside / data.name if data in moving else None


@contextmanager
def _errors(data: Path) -> Iterator[None]:
    metadata = {"path": str(data)}
    try:
        with duckdb_errors(data):
            yield
    except OSError as error:
        raise StoreUnwritable(
            f"{data} could not be restored ({error.strerror}); look at its folder, then try again", metadata=metadata
        ) from error


__all__ = ["STATE", "Restored", "restore_backup"]
