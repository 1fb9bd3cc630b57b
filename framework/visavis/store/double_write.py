"""Blocks that a checkpoint overwrites in place, kept beside the store until the checkpoint is through.

DuckDB packs the pieces of its table of contents 64 to a block, and a checkpoint writes new pieces into blocks that
hold pieces of the last one: the live block is written again, whole, where it lies (seen with 1.5.5 and 2.0.0). A
process that is killed in the middle of that write leaves a block that is neither the old one nor the new one, and a
file that DuckDB refuses. So the blocks go to a file of their own first, as InnoDB does with its doublewrite buffer. A
checkpoint takes effect with its header alone: while the file's headers are those of before, all that it did can be
undone, and the log has everything that it was to put into the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from visavis.store.sync import sync

try:
    import fcntl
except ImportError:  # nobody owns a store without it, see owner.py
    fcntl = None  # type: ignore[assignment]

NAME = "checkpoint"
"""Name of the file in the store's side folder."""
PARTIAL = f"{NAME}.partial"
_MAGIC = b"visavis blocks 1"
_HEADERS_BYTES = 3 * 4096  # the file's own header and two of the database, the one with the higher number in force
_NUMBER_BYTES = 8
_DIGEST_BYTES = hashlib.sha256().digest_size


def keep(cursor: duckdb.DuckDBPyConnection, descriptor: int, folder: Path) -> None:
    """Keep the blocks that a checkpoint of the open store may overwrite in `folder`, on the disk when this returns.

    `descriptor` reads the store's file; it must stay open while DuckDB has the file, for closing it would give up
    DuckDB's lock. Raises `OSError`.
    """
    sizes = "SELECT block_size FROM pragma_database_size() WHERE database_name = current_database()"
    block_bytes: int = cursor.execute(sizes).fetchall()[0][0]
    # What a failed checkpoint has only thought of lies behind the end of the file.
    end = (os.fstat(descriptor).st_size - _HEADERS_BYTES) // block_bytes
    found = cursor.execute("SELECT block_id FROM pragma_metadata_info() WHERE block_id < ?", [end]).fetchall()
    blocks = [number for (number,) in found]
    digest = hashlib.sha256()
    growing = folder / PARTIAL
    with _new_file(growing) as file:

        def add(data: bytes) -> None:
            digest.update(data)
            _write(file, data)

        add(_MAGIC + _numbers(*_file(descriptor), block_bytes, len(blocks)) + os.pread(descriptor, _HEADERS_BYTES, 0))
        for number in blocks:
            add(_numbers(number) + os.pread(descriptor, block_bytes, _HEADERS_BYTES + number * block_bytes))
        _write(file, digest.digest())
        os.fsync(file)
    growing.replace(folder / NAME)
    sync(folder)


def forget(folder: Path) -> None:
    """Remove what was kept: the checkpoint is through."""
    with suppress(OSError):  # it is of no effect any more
        (folder / NAME).unlink()


def broken_off(data: Path, folder: Path) -> bool:
    """Whether a checkpoint of the store `data` was broken off, and left blocks that `put_back` would change.

    The store must not be open in this process. Raises `OSError`.
    """
    if not (folder / NAME).exists():
        return False
    descriptor = os.open(data, os.O_RDONLY)
    try:
        return bool(_changed(descriptor, folder))
    finally:
        os.close(descriptor)


def put_back(data: Path, folder: Path) -> int:
    """Undo what a broken-off checkpoint wrote over the live blocks of `data`; answers how many blocks that were.

    Nothing is done while another process has the file open (the opening that follows says so), nor if a checkpoint has
    ended since the blocks were kept, or if they are another file's: headers alone say little, two stores may have the
    same. The store must not be open in this process. Raises `OSError`.
    """
    (folder / PARTIAL).unlink(missing_ok=True)
    if not (folder / NAME).exists():
        return 0
    descriptor = os.open(data, os.O_RDWR)
    try:
        try:
            # DuckDB's own kind of lock; given back with the descriptor.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return 0
        changed = _changed(descriptor, folder)
        for start, block in changed:
            _write(descriptor, block, start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    forget(folder)
    return len(changed)


def _changed(descriptor: int, folder: Path) -> list[tuple[int, bytes]]:
    """Where the kept blocks lie that the file has otherwise, and what they were; none if they are of another time."""
    try:
        kept = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return []
    body, at = kept[:-_DIGEST_BYTES], len(_MAGIC) + 4 * _NUMBER_BYTES
    if not kept.startswith(_MAGIC) or hashlib.sha256(body).digest() != kept[-_DIGEST_BYTES:]:
        return []  # damaged, or of another version
    device, inode, block_bytes, count = (_number(body, start) for start in range(len(_MAGIC), at, _NUMBER_BYTES))
    if (device, inode) != _file(descriptor) or os.pread(descriptor, _HEADERS_BYTES, 0) != body[at:][:_HEADERS_BYTES]:
        return []
    changed = []
    for place in range(count):
        begin = at + _HEADERS_BYTES + place * (_NUMBER_BYTES + block_bytes)
        start = _HEADERS_BYTES + _number(body, begin) * block_bytes
        block = body[begin + _NUMBER_BYTES : begin + _NUMBER_BYTES + block_bytes]
        if os.pread(descriptor, block_bytes, start) != block:
            changed.append((start, block))
    return changed


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, start: int | None = None) -> None:
    left = memoryview(data)
    while left:
        written = os.write(descriptor, left) if start is None else os.pwrite(descriptor, left, start)
        left = left[written:]
        start = None if start is None else start + written


def _file(descriptor: int) -> tuple[int, int]:
    """Which file it is, whatever its name."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _numbers(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(_NUMBER_BYTES, "little") for number in numbers)


def _number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + _NUMBER_BYTES], "little")


__all__ = ["NAME", "PARTIAL", "broken_off", "forget", "keep", "put_back"]
