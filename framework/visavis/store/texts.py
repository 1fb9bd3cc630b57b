"""Texts as one array of UTF-8, from the wire to the table without a Python value for any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from visavis import kernels


class Texts(Sequence[str]):
    """A sequence of texts: text i is `data[ends[i]:ends[i + 1]]`, UTF-8. Made into a `str` when asked for."""

    __slots__ = ("data", "ends")

    def __init__(self, data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """The same texts. Raises `UnicodeEncodeError` for what is no UTF-8."""
        joined = "".join(texts)
        content = joined.encode()
        if len(content) == len(joined):
            lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        else:
            lengths = np.array([len(text.encode()) for text in texts], dtype=np.int64)
        ends = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(lengths, out=ends[1:])
        return cls(np.frombuffer(content, dtype=np.uint8), ends)

    @classmethod
    def empty(cls, n: int) -> Self:
        """So many empty texts."""
        return cls(np.empty(0, dtype=np.uint8), np.zeros(n + 1, dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Sequence[str]]) -> Self:
        """The texts of all parts, one after the other."""
        every = [part if isinstance(part, Texts) else Texts.of(part) for part in parts]
        starts = np.cumsum([0, *(len(part.data) for part in every)])
        ends = [part.ends[1:] + start for part, start in zip(every, starts.tolist(), strict=False)]
        return cls(np.concatenate([part.data for part in every]), np.concatenate([np.zeros(1, dtype=np.int64), *ends]))

    def take(self, places: NDArray[np.int64]) -> Texts:
        """Those at `places`, in that order, in memory of their own."""
        if not places.any() and len(self) and not self.ends[1]:
            return Texts.empty(len(places))  # a column that nobody fills, and place 0 is the empty text
        return Texts(*kernels.take_texts(self.data, self.ends, places))

    def fit(self, longest: int) -> bool:
        """Whether each has 1 to `longest` characters, and no control characters."""
        lengths = np.diff(self.ends)
        if lengths.min(initial=1) < 1:
            return False
        if lengths.max(initial=1) <= longest:
            # A character has a byte at least, so only the bytes are looked at, all at once.
            return not ((self.data < 0x20) | (self.data == 0x7F)).any()
        return bool(kernels.texts_fit(self.data, self.ends, longest).all())

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"there are {len(self)} texts, and number {place} is none of them")
        first = place % len(self)
        return self.data[self.ends[first] : self.ends[first + 1]].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        content = self.data.tobytes()
        return (content[first:last].decode() for first, last in pairwise(self.ends.tolist()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return np.array_equal(self.ends, other.ends) and np.array_equal(self.data, other.data)
        return NotImplemented

    __hash__: Any = None


__all__ = ["Texts"]
