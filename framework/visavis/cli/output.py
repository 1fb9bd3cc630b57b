"""What commands print: tables for people, JSON for programs. Texts from data cannot steer the terminal."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, TextIO

from visavis.errors import VisavisError

_NARROWEST = 6
_GAP = "  "
_JOINER = "\u200d"  # joins emoji; the only invisible character that is let through


class Output:
    """Where a command's answer goes. `width` is that of tables; None means the terminal's, or as wide as need be."""

    def __init__(self, stream: TextIO, *, as_json: bool = False, width: int | None = None) -> None:
        self._stream = stream
        self.as_json = as_json
        self.utf8 = (stream.encoding or "utf-8").lower().replace("-", "") in ("utf8", "utf8sig")
        if width is None and stream.isatty():
            width = shutil.get_terminal_size().columns
        self._width = width

    def line(self, text: str = "") -> None:
        """One line, control characters escaped; never cut, for it may hold a path or a command to copy."""
        self._write(safe(text))

    def json(self, value: object) -> None:
        """A value as JSON; dataclasses become objects, times ISO 8601."""
        # A stream that is not UTF-8 would escape characters in its own way, which is not JSON's.
        self._write(json.dumps(plain(value), ensure_ascii=not self.utf8, indent=2, allow_nan=False))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
        """Rows under headers, the columns of `right` aligned right; cut to the width, widest columns first."""
        texts = [list(headers), *([safe(str(cell)) for cell in row] for row in rows)]
        widths = [max(columns_of(row[place]) for row in texts) for place in range(len(headers))]
        if self._width is not None:
            _shrink(widths, self._width - len(_GAP) * (len(widths) - 1))
        for row in texts:
            cells = []
            for name, text, width in zip(headers, row, widths, strict=True):
                shown = self._cut(text, width)
                padding = " " * (width - columns_of(shown))
                cells.append(padding + shown if name in right else shown + padding)
            self._write(_GAP.join(cells).rstrip())

    def pairs(self, pairs: Mapping[str, object]) -> None:
        """Names and values, one pair a line, values aligned."""
        widest = max((columns_of(name) for name in pairs), default=0)
        for name, value in pairs.items():
            self.line(f"{name}{' ' * (widest - columns_of(name))}{_GAP}{value}")

    def flush(self) -> None:
        """Hand on what was printed."""
        self._do(self._stream.flush)

    def _cut(self, text: str, width: int) -> str:
        if columns_of(text) <= width:
            return text
        mark = "…" if self.utf8 else "~"
        kept = ""
        for sign in text:
            if columns_of(kept + sign) > width - 1:
                break
            kept += sign
        return kept + mark

    def _write(self, text: str) -> None:
        self._do(lambda: self._stream.write(text + "\n"))

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What could not be written would be tried again at exit, with a complaint of Python's own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise VisavisError(f"the answer could not be written: {error.strerror}") from None


def safe(text: str) -> str:
    """The text with everything escaped that would not print as itself: control characters, marks of direction."""
    return "".join(_signs(text))


def _signs(text: str) -> Iterator[str]:
    for sign in text:
        if sign.isprintable() or sign == _JOINER:
            yield sign
        elif unicodedata.category(sign) == "Zs":
            yield " "
        else:
            yield sign.encode("unicode_escape").decode("ascii")


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(_columns(sign) for sign in text)


def _columns(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1


def _shrink(widths: list[int], room: int) -> None:
    """Take columns from the widest until all fit, but leave each `_NARROWEST`."""
    while sum(widths) > room:
        widest = widths.index(max(widths))
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def plain(value: object) -> Any:
    """The value as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


__all__ = ["Output", "columns_of", "plain", "safe"]
