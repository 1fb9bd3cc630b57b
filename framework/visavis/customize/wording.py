"""What reasons say: kinds and texts by number, as text for Python and as UTF-8 for the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.live.labels import tagged

ITEM = "{item}"
"""Stands in a text where the name of the causing item goes."""
OTHERS = "others"
"""Kind of the one reason that stands for all the weaker ones."""
_MOST_KEPT = 64  # templates of a wording that is kept: what a plugin writes anew for each customer is not asked again


class Utf8(NamedTuple):
    """Templates as `kernels.encode_lists` reads them: bytes, places to cut them at, and the first cut of each."""

    words: NDArray[np.uint8]
    cuts: NDArray[np.int64]
    first_cut: NDArray[np.int64]


class Wording:
    """The templates of one scorer. Behind its own n stand those that sum up others: n + how many."""

    def __init__(self, templates: tuple[tuple[str, str], ...], others: str) -> None:
        for kind, text in templates:
            if not isinstance(kind, str) or not isinstance(text, str) or not kind or not text:
                raise ValueError(f"explain gave a reason of kind {kind!r} with the text {text!r}; both must be texts")
        self.n = len(templates)
        self._own = templates
        self._others = others
        self._lock = threading.Lock()
        self._made = self._make(0)

    def pairs(self, count: int = 0) -> list[tuple[str, str]]:
        """Kind and text by number, those for up to `count` others included."""
        return self._up_to(count)[0]

    def utf8(self, count: int = 0) -> Utf8:
        """The same for the wire."""
        return self._up_to(count)[1]

    def _up_to(self, count: int) -> tuple[list[tuple[str, str]], Utf8]:
        if self.n + count >= len(self._made[0]) and count:
            with self._lock:
                if self.n + count >= len(self._made[0]):
                    self._made = self._make(2 * count)
        return self._made

    def _make(self, count: int) -> tuple[list[tuple[str, str]], Utf8]:
        pairs = list(self._own)
        if count:
            pairs += [(OTHERS, self._others.replace("{count}", str(number))) for number in range(count + 1)]
        return pairs, _utf8(pairs)


def wording_of(templates: Iterable[tuple[str, str]], others: str) -> Wording:
    """The wording of these templates. Raises `ValueError` for what is no text."""
    own = tuple(templates)
    return _kept(own, others) if len(own) <= _MOST_KEPT else Wording(own, others)


@lru_cache(maxsize=1024)
def _kept(templates: tuple[tuple[str, str], ...], others: str) -> Wording:
    return Wording(templates, others)


def _utf8(pairs: Iterable[tuple[str, str]]) -> Utf8:
    pieces: list[bytes] = []
    cuts, first_cut, end = [], [0], 0
    for kind, text in pairs:
        cuts.append(end)
        for piece in (tagged(0x0A, kind), *(piece.encode() for piece in text.split(ITEM))):
            pieces.append(piece)
            end += len(piece)
            cuts.append(end)
        first_cut.append(len(cuts))
    return Utf8(
        np.frombuffer(b"".join(pieces), dtype=np.uint8),
        np.array(cuts, dtype=np.int64),
        np.array(first_cut, dtype=np.int64),
    )


__all__ = ["ITEM", "OTHERS", "Utf8", "Wording", "wording_of"]
