"""Texts and their codes, in memory; and arrays that grow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.store.texts import Texts


class Vocabulary:
    """A text's code is its place in `texts`. Grows only.

    Written by the writer thread alone: what a transaction adds stays apart until it commits, so readers in other
    threads never meet a code that may vanish.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts: list[str] = list(texts)
        self._codes: dict[str, int] = dict(zip(self.texts, range(len(self.texts)), strict=True))
        self._pending: dict[str, int] = {}
        self._index: _Index | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def find(self, text: str) -> int:
        """The committed code, or −1."""
        return self._codes.get(text, -1)

    def find_all(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """int32 [n]: the committed code of each text, or −1."""
        return np.array(list(map(self._codes.get, texts, repeat(-1))), dtype=np.int32)

    def warm_up(self) -> None:
        """Make what `find_texts` reads, of all that is known. In the writer thread alone."""
        if self._index is None:
            self._index = _Index(self.texts)

    def find_texts(self, texts: Texts) -> NDArray[np.int32]:
        """`find_all` at a fraction of its cost, in any thread; −1 may also stand for one that was committed just now,
        and does for all before `warm_up`."""
        return np.full(len(texts), -1, dtype=np.int32) if self._index is None else self._index.find(texts)

    def encode(self, text: str) -> tuple[int, bool]:
        """Within a transaction: the code, and whether it was made just now."""
        code = self._codes.get(text)
        if code is None:
            code = self._pending.get(text)
        if code is not None:
            return code, False
        code = len(self.texts) + len(self._pending)
        self._pending[text] = code
        return code, True

    def holds(self, text: str) -> bool:
        """Within a transaction: whether a text has a code, be it one made in this transaction."""
        return text in self._codes or text in self._pending

    def commit(self) -> None:
        """Let readers see what the transaction added."""
        self.commit_texts()
        self.commit_codes()

    def commit_texts(self) -> None:
        """First half of `commit`: codes can be read as texts, but not found yet."""
        self.texts.extend(self._pending)

    def commit_codes(self) -> None:
        """Second half of `commit`, for owners of more columns: whoever finds a code finds them filled."""
        pending, self._pending = self._pending, {}
        self._codes.update(pending)
        if pending and self._index is not None:
            self._index.add(Texts.of(list(pending)))

    def rollback(self) -> None:
        """Forget what the transaction added."""
        self._pending.clear()


def read_only(values: NDArray[Any]) -> NDArray[Any]:
    """The same values, not to be written through."""
    view = values.view()
    view.flags.writeable = False
    return view


class GrowingArray:
    """A one-dimensional array with amortised append; `view` is the filled part, not to be written."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values.copy()
        self._length = len(values)

    def __len__(self) -> int:
        return self._length

    @property
    def view(self) -> NDArray[Any]:
        return self._values[: self._length]

    def __getitem__(self, place: int) -> Any:
        return self.view[place]

    def set(self, place: int, value: Any) -> None:
        """Change one value; beyond the end, grow with `value` itself as the filler."""
        if place >= self._length:
            self._make_room(place + 1)
            self._values[self._length : place + 1] = value
            self._length = place + 1
        self._values[place] = value

    def extend(self, values: Sequence[Any] | NDArray[Any]) -> None:
        """Append many. They are seen once all are there."""
        length = self._length + len(values)
        self._make_room(length)
        self._values[self._length : length] = values
        self._length = length

    def _make_room(self, length: int) -> None:
        if length > len(self._values):
            larger = np.empty(max(length, 2 * len(self._values), 16), dtype=self._values.dtype)
            larger[: self._length] = self._values[: self._length]
            self._values = larger


class _Index:
    """Texts and their codes, again, as compiled code reads them: some 30 bytes a text and the text itself.

    Added to by one thread, read by others without a lock: texts are there before the table leads to them, and a reader
    takes the table first. What it meets beyond the texts that it then takes is for it not there yet.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._key = int.from_bytes(os.urandom(8))
        self._data = GrowingArray(np.empty(0, dtype=np.uint8))
        self._ends = GrowingArray(np.zeros(1, dtype=np.int64))
        self._table = kernels.text_index_new(len(texts))
        self.add(Texts.of(texts))

    def add(self, texts: Texts) -> None:
        first = len(self._ends) - 1
        self._ends.extend(texts.ends[1:] + len(self._data))
        self._data.extend(texts.data)
        self._table = kernels.text_index_add(self._table, self._data.view, self._ends.view, first, self._key)

    def find(self, texts: Texts) -> NDArray[np.int32]:
        table = self._table
        ends, places = self._ends.view, np.arange(len(texts))
        return kernels.text_index_find(table, self._data.view, ends, texts.data, texts.ends, places, self._key)


__all__ = ["GrowingArray", "Vocabulary", "read_only"]
