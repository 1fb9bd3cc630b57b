"""What items are called, as UTF-8 that answers are written from."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
_HEAD = 12


class Labels:
    """A label is an item's id and name as `kernels.encode_lists` writes them: as fields 1 and 2 of a message, each with
    its tag and length; an empty text is not there. Before them three little-endian uint32 say how many bytes these two
    have, and how many the name has without.

    Written under a lock, read without: no byte of a label ever changes where it stands. A new one goes behind all
    others, and one number, where it begins, leads from the item to it. That number changes while others read: read it
    once. What is grown is a copy.
    """

    def __init__(self, labels: Iterable[tuple[str, str]] = ()) -> None:
        """Id and name of each item, by code."""
        self._lock = threading.Lock()
        self._starts: NDArray[np.int64]
        self._view: tuple[Bytes, NDArray[np.int64]]
        self._count, self._used = 0, 0
        self._place([_encoded(*label) for label in labels])

    @property
    def view(self) -> tuple[Bytes, NDArray[np.int64]]:
        """All labels, and where that of each item begins. Ask after you know which items you need."""
        return self._view

    def put(self, code: int, item_id: str, name: str) -> None:
        """The label of an item, the next one or one that is there."""
        label = _encoded(item_id, name)
        with self._lock:
            if code < self._count and self._label(code) == label:
                return
            if code >= len(self._starts) or self._used + len(label) > len(self._view[0]):
                self._place([self._label(known) for known in range(self._count)], spare=len(label))
            labels = self._view[0]
            labels[self._used : self._used + len(label)] = np.frombuffer(label, dtype=np.uint8)
            self._starts[code] = self._used
            self._used += len(label)
            if code == self._count:
                self._count += 1
                self._view = (labels, self._starts[: self._count])

    def _label(self, code: int) -> bytes:
        labels, starts = self._view
        first = int(starts[code])
        sizes = labels[first : first + 8].view("<u4")
        return labels[first : first + _HEAD + int(sizes.sum())].tobytes()

    def _place(self, labels: list[bytes], spare: int = 0) -> None:
        """These labels, and room for as many more."""
        ends = np.cumsum([len(label) for label in labels], dtype=np.int64)
        self._count, self._used = len(labels), int(ends[-1]) if labels else 0
        memory = np.empty(2 * self._used + spare + 64, dtype=np.uint8)
        memory[: self._used] = np.frombuffer(b"".join(labels), dtype=np.uint8)
        self._starts = np.zeros(2 * self._count + 16, dtype=np.int64)
        self._starts[1 : self._count] = ends[:-1]
        self._view = (memory, self._starts[: self._count])


def _encoded(item_id: str, name: str) -> bytes:
    texts = tagged(0x0A, item_id), tagged(0x12, name)
    sizes = (*map(len, texts), len(name.encode()))
    return b"".join([*(size.to_bytes(4, "little") for size in sizes), *texts])


def tagged(tag: int, text: str) -> bytes:
    """A text as a field of a protobuf message, of a tag of one byte; empty for an empty text."""
    data = text.encode()
    return bytes((tag,)) + varint(len(data)) + data if data else b""


def varint(value: int) -> bytes:
    """A number, 0 or more, as protobuf writes it."""
    if value < 128:
        return bytes((value,))
    return bytes((value & 127 | 128,)) + varint(value >> 7)


__all__ = ["Labels", "tagged", "varint"]
