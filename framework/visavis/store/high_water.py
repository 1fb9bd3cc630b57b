"""The high-water mark: the last commit that was acknowledged, kept apart from the DuckDB file.

A damaged write-ahead log can lose rows without a word. The store carries its id, lineage and sequence in a table;
this file carries them too, and `check` compares both when a store is opened.

The file has a fixed size and two slots that are written in turn, each with a counter and a checksum, so that a torn
write loses at most the newest mark and never the older one. It is not synced to disk on purpose: the mark is written
after its commit is durable, so a mark that lags (power loss) is harmless, and a mark that is ahead of the store is
the alarm. A write is one `pwrite`, some microseconds.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from visavis.errors import StoreBehind, StoreUnwritable
from visavis.store.limits import way_out

_SLOT = struct.Struct("<8sQQQH64s")  # magic, counter, lineage, sequence, length of the store id, store id
_CHECKSUM = struct.Struct("<I")
_MAGIC = b"visavis1"
_STRIDE = 512  # a sector each: a torn write of one slot leaves the other alone
_SIZE = 2 * _STRIDE


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of a store: its id (at most 64 bytes), its lineage and the number of its last commit (from 0)."""

    store_id: str
    lineage: int
    sequence: int


class HighWater:
    """The file `high-water` in a store's side folder. One thread writes; others, and other processes, may read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "high-water"
        self._descriptor: int | None = None
        self._counter = 0

    def read(self) -> Mark | None:
        """The newest mark that is whole; None when there is no file, or none of it is whole."""
        newest = self._newest()
        return None if newest is None else newest[1]

    def write(self, mark: Mark) -> None:
        """Put down a mark. Raises `StoreUnwritable`; the older mark then still stands."""
        store_id = mark.store_id.encode()
        if len(store_id) > 64:
            raise ValueError(f"the store id {mark.store_id!r} is longer than 64 bytes")
        try:
            if self._descriptor is not None and not os.fstat(self._descriptor).st_nlink:
                # The file was deleted under us, perhaps with its folder: a mark in it would be seen by nobody.
                self.close()
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
            if self._descriptor is None:
                self._descriptor = self._open()
            counter = self._counter + 1
            slot = _SLOT.pack(_MAGIC, counter, mark.lineage, mark.sequence, len(store_id), store_id)
            slot += _CHECKSUM.pack(zlib.crc32(slot))
            written = os.pwrite(self._descriptor, slot, counter % 2 * _STRIDE)
        except OSError as error:
            advice = way_out(error, "check the folder's owner and the free space")
            raise self._unwritable(error.strerror, advice) from None
        if written != len(slot):
            raise self._unwritable("the disk took only part of it", "free some space")
        self._counter = counter

    def close(self) -> None:
        """Close the file. A later `write` opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        newest = self._newest()
        self._counter = 0 if newest is None else newest[0]
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SIZE:
                # Zeroes rather than a hole: later writes then need no new space on a full disk.
                size = os.fstat(descriptor).st_size
                os.pwrite(descriptor, bytes(_SIZE - size), size)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _newest(self) -> tuple[int, Mark] | None:
        try:
            content = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnwritable(
                f"{self._path} cannot be read ({error.strerror}); a store's files must belong to whoever opens it",
                metadata={"path": str(self._path)},
            ) from None
        slots = [slot for offset in (0, _STRIDE) if (slot := _unpack(content[offset : offset + _STRIDE])) is not None]
        return max(slots, key=lambda slot: slot[0], default=None)

    def _unwritable(self, why: str | None, advice: str) -> StoreUnwritable:
        return StoreUnwritable(
            f"{self._path} cannot be written ({why}); {advice}",
            metadata={"path": str(self._path)},
        )


def check(mark: Mark | None, stored: Mark) -> tuple[str, ...]:
    """Compare the high-water mark with what the store says of itself; returns warnings, one line each.

    Raises `StoreBehind` when the same store, of the same lineage, lacks commits that were acknowledged.
    """
    if mark is None and stored.sequence == 0:
        return ()  # a new store: there is nothing to miss
    if mark is None:
        return ("no readable high-water file: a new place, a copy or a restore; the store is taken as it is",)
    if mark.store_id != stored.store_id:
        other = f"the high-water file belongs to another store ({mark.store_id}, this is {stored.store_id})"
        return (f"{other}: a copy or a restore; the store is taken as it is",)
    if mark.lineage != stored.lineage:
        other = f"the high-water file is of lineage {mark.lineage}, the store of lineage {stored.lineage}"
        return (f"{other}: a restore; the store is taken as it is",)
    if stored.sequence < mark.sequence:
        missing = mark.sequence - stored.sequence
        commits = "1 commit is" if missing == 1 else f"{missing} commits are"
        raise StoreBehind(
            f"the store ends at commit {stored.sequence}, but commit {mark.sequence} was acknowledged: {commits} "
            "missing; put back the write-ahead log (.wal) or a newer copy, or go on without them by "
            "`visavis doctor --accept-restore`",
            metadata={
                "store_id": stored.store_id,
                "lineage": str(stored.lineage),
                "stored_sequence": str(stored.sequence),
                "acknowledged_sequence": str(mark.sequence),
                "missing_commits": str(missing),
            },
        )
    return ()


def _unpack(slot: bytes) -> tuple[int, Mark] | None:
    if len(slot) < _SLOT.size + _CHECKSUM.size:
        return None
    (checksum,) = _CHECKSUM.unpack_from(slot, _SLOT.size)
    magic, counter, lineage, sequence, length, store_id = _SLOT.unpack_from(slot)
    if magic != _MAGIC or checksum != zlib.crc32(slot[: _SLOT.size]):
        return None
    return counter, Mark(store_id[:length].decode(), lineage, sequence)


__all__ = ["HighWater", "Mark", "check"]
