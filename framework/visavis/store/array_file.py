"""A file of named arrays that is mapped into memory: opened in no time, and the kernel may drop what nobody reads.

What such a file holds can always be made again from the store, so a damaged or foreign one is left aside. It grows
under another name and takes its name last, whole: a header of one page (a JSON object with its checksum), then the
arrays, each at the beginning of a page and with a checksum of its own.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Stop = Callable[[], bool]

_MAGIC = b"visavis arrays 1"
_HEADER_BYTES = 8192
_PAGE = mmap.ALLOCATIONGRANULARITY
_CHECK_BYTES = 16 << 20


Shapes = Mapping[str, tuple[Any, int]]
"""Dtype and length of each array, by name."""


def file_bytes(shapes: Shapes) -> int:
    """The size of a file with these arrays."""
    return _place(shapes)[1]


class NewArrayFile:
    """Arrays that are being filled, in a file under a passing name. `seal` gives it its name; else `discard` it."""

    def __init__(self, path: Path, shapes: Shapes) -> None:
        """The disk's blocks are taken at once: a full disk is an `OSError` here, and not the end of the process at some
        later write."""
        self._path = path
        self._places, size = _place(shapes)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            self._memory = mmap.mmap(descriptor, size)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        self.arrays: dict[str, Array] = {name: _view(self._memory, *place) for name, place in self._places.items()}
        """The arrays by name, to be filled; zero at first."""

    def seal(self, name: Path, header: Mapping[str, Any], stop: Stop = lambda: False) -> bool:
        """Write everything to disk and take the name `name`. False if `stop` said to give up. Raises `OSError`."""
        places = {}
        for array, (dtype, start, length) in self._places.items():
            checksum = _checksum(self.arrays[array], stop)
            if checksum is None:
                return False
            places[array] = [dtype, start, length, checksum]
        text = json.dumps({"header": dict(header), "arrays": places}).encode()
        block = _MAGIC + len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little") + text
        if len(block) > _HEADER_BYTES:
            raise ValueError(f"the header takes {len(block)} bytes, more than {_HEADER_BYTES}")
        self._memory[: len(block)] = block
        self._memory.flush()
        with self._path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self._path.replace(name)
        return True

    def discard(self) -> None:
        """Remove the file. The arrays stay good as long as somebody holds them."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An opened file. `arrays` by name, read-only."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Array]
    checksums: Mapping[str, int]

    def damaged(self, names: Collection[str], stop: Stop = lambda: False) -> tuple[str, ...]:
        """Which of these arrays do not agree with their checksums; reads them whole. Nothing if `stop` said to
        give up."""
        found = []
        for name in names:
            checksum = _checksum(self.arrays[name], stop)
            if checksum is None:
                return ()
            if checksum != self.checksums[name]:
                found.append(name)
        return tuple(found)


def open_array_file(path: Path) -> ArrayFile | None:
    """Map a sealed file; None if there is none.

    Raises `ValueError` that says what is wrong with the file, `OSError` if it cannot be read. Arrays are not checked
    here: see `ArrayFile.damaged`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        if size < _HEADER_BYTES:
            raise ValueError(f"{path} has {size} bytes, too few")
        table = _header(path, os.pread(descriptor, _HEADER_BYTES, 0))
        memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    arrays, checksums = {}, {}
    for name, (dtype, start, length, checksum) in table["arrays"].items():
        if start + np.dtype(dtype).itemsize * length > size:
            raise ValueError(f"{path} was cut off: array {name} ends behind its end")
        arrays[name] = _view(memory, dtype, start, length)
        checksums[name] = checksum
    return ArrayFile(table["header"], arrays, checksums)


def _place(shapes: Shapes) -> tuple[dict[str, tuple[str, int, int]], int]:
    """Dtype, place and length of each array, and the size of the file."""
    places, size = {}, _HEADER_BYTES
    for name, (dtype, length) in shapes.items():
        size = -(-size // _PAGE) * _PAGE
        places[name] = (np.dtype(dtype).str, size, length)
        size += np.dtype(dtype).itemsize * length
    return places, size


def _header(path: Path, block: bytes) -> dict[str, Any]:
    at = len(_MAGIC)
    length = int.from_bytes(block[at : at + 4], "little")
    text = block[at + 8 : at + 8 + length]
    if block[:at] != _MAGIC or zlib.crc32(text) != int.from_bytes(block[at + 4 : at + 8], "little"):
        raise ValueError(f"{path} does not begin as it should")
    table: dict[str, Any] = json.loads(text)
    return table


def _view(memory: mmap.mmap, dtype: str, start: int, length: int) -> Array:
    return np.frombuffer(memory, dtype=dtype, count=length, offset=start)


def _checksum(array: Array, stop: Stop) -> int | None:
    """CRC-32 of the bytes; None if `stop` said to give up."""
    data = array.data.cast("B") if len(array) else memoryview(b"")
    checksum = 0
    for start in range(0, len(data), _CHECK_BYTES):
        if stop():
            return None
        checksum = zlib.crc32(data[start : start + _CHECK_BYTES], checksum)
    return checksum


__all__ = ["ArrayFile", "NewArrayFile", "Shapes", "file_bytes", "open_array_file"]
