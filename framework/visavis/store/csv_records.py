"""CSV record by record, for files that DuckDB does not take as they are: broken records, other encodings, mixed ends.

DuckDB can set broken records aside, too, but keeps a kilobyte of memory for each surplus field until the end. Here what
is whole is written to a clean file, and what is not is handed over in batches; memory does not grow with the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TextIO

from visavis.store.heads import WINDOWS_SIGNS

LONGEST_LINE = 16_000_000
"""Bytes (characters, where the file is not UTF-8) of a line; what has a longer one is no table of records."""
LONGEST_RECORD = 1_900_000
"""Bytes; DuckDB takes 2,000,000 with the quotes that writing may add."""
_BLOCK = 1 << 20
_BATCH = 1000
_MOST_REREADS = 1000
_PULSE = 10_000
_SHOWN = 1000

Broken = tuple[int, str, str]
"""Number of the record, DuckDB's name of its fault, the beginning of its text."""


class Cleaned(NamedTuple):
    """`foreign`: records beyond ASCII that are no UTF-8; `native`: those that are."""

    foreign: int
    native: int


class LongLineError(ValueError):
    """The line of this number is longer than `LONGEST_LINE`."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line:,} is longer than {LONGEST_LINE // 1_000_000} MB")


def check_lines(stream: BinaryIO, pulse: Callable[[], None]) -> None:
    """Read all of a file, and raise `LongLineError` for a line that is too long. As fast as the file can be read.

    `pulse` is called now and then; what it raises ends the reading.
    """
    line, length = 1, 0
    while block := stream.read(_BLOCK):
        pulse()
        first = _end(block)
        if first < 0:
            length += len(block)
        else:
            if length + first > LONGEST_LINE:
                raise LongLineError(line)
            # A line within one block is never too long.
            length = len(block) - max(block.rfind(b"\n"), block.rfind(b"\r")) - 1
            line += block.count(b"\n")
        if length > LONGEST_LINE:
            raise LongLineError(line)


def _end(block: bytes) -> int:
    ends = [end for end in (block.find(b"\n"), block.find(b"\r")) if end >= 0]
    return min(ends, default=-1)


def clean(
    source: BinaryIO,
    target: TextIO,
    put_aside: Callable[[list[Broken]], None],
    pulse: Callable[[], None],
    *,
    encoding: str,
    delimiter: str,
    blank: int,
    width: int,
) -> Cleaned:
    """Write the header and the whole records of `source` to `target`, and hand over the others.

    `blank` lines stand before the header, which has `width` fields. A quote that is left open costs its own line, not
    those behind it. `pulse` is called now and then; what it raises ends the reading. Raises `LongLineError`.
    """
    windows = encoding == "windows-1252"
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    text = io.TextIOWrapper(source, "latin-1" if windows else encoding, errors, newline="")
    try:
        return _clean(_Lines(text, windows), target, put_aside, pulse, delimiter, blank, width)
    finally:
        text.detach()


def _clean(
    lines: _Lines,
    target: TextIO,
    put_aside: Callable[[list[Broken]], None],
    pulse: Callable[[], None],
    delimiter: str,
    blank: int,
    width: int,
) -> Cleaned:
    for _ in range(blank):
        next(lines, None)
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\n")
    broken: list[Broken] = []
    foreign = native = number = 0
    for fields, text, fault in _records(lines, delimiter):
        if number == 0:
            writer.writerow(f"c{place}" for place in range(width))  # the names are known
            number = 1
            continue
        if not text.isascii():
            if _is_text(text):
                native += 1
            else:
                foreign += 1
                fault = "INVALID ENCODING"
        fault = fault or _misfit(fields, text, width)
        if not fault:
            writer.writerow(fields[:width])
        else:
            shown = text[:_SHOWN].rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            broken.append((number, fault, shown))
        number += 1
        if number % _PULSE == 0:
            pulse()
        if len(broken) >= _BATCH:
            put_aside(broken)
            broken = []
    put_aside(broken)
    return Cleaned(foreign, native)


class _Lines:
    """The lines of a text; some may be given back. One that was too long to be read whole ends the reading."""

    def __init__(self, stream: TextIO, windows: bool) -> None:
        self._stream = stream
        self._windows = windows
        self._number = 0
        self._again: list[str] = []
        self.read: list[str] = []
        """What was read since this list was emptied."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.pop()
        else:
            line = self._stream.readline(LONGEST_LINE + 1)
            self._number += 1
            if self._number == 1:
                line = line.removeprefix("\ufeff")
            if len(line) > LONGEST_LINE:
                raise LongLineError(self._number)
            if not line:
                raise StopIteration
            if self._windows and not line.isascii():
                line = line.translate(WINDOWS_SIGNS)
        self.read.append(line)
        return line

    def give_back(self, lines: list[str]) -> None:
        """Read these again."""
        self._again.extend(reversed(lines))


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[list[str], str, str]]:
    """Fields, text and fault of each record; lines that are empty are none."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))
    rereads = 0
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.read.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader is of no use once it failed at the end of the file.
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            taken = lines.read.copy()
            several = len(taken) > 1
            if several and rereads < _MOST_REREADS:
                rereads += 1
                lines.give_back(taken[1:])
                taken = taken[:1]
            # A quote left open runs into the limit, too, but over many lines.
            long = not several and "limit" in str(error)
            yield [], "".join(taken), "LINE SIZE OVER MAXIMUM" if long else "UNQUOTED VALUE"
            continue
        if fields:
            yield fields, lines.read[0] if len(lines.read) == 1 else "".join(lines.read), ""


def _misfit(fields: list[str], text: str, width: int) -> str:
    if len(fields) < width:
        return "MISSING COLUMNS"
    if any(fields[width:]):
        return "TOO MANY COLUMNS"
    if len(text) > LONGEST_RECORD // 4 and len(text.encode("utf-8", "replace")) > LONGEST_RECORD:
        return "LINE SIZE OVER MAXIMUM"
    return ""


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


__all__ = ["LONGEST_LINE", "LONGEST_RECORD", "Broken", "Cleaned", "LongLineError", "check_lines", "clean"]
