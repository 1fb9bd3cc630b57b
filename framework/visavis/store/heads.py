"""The head of a text file: its characters, the lines before the header, the delimiter and the names of the columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable

_DELIMITERS = ",;\t|"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
EXCEL_LINE = re.compile(r'"?sep=(.)"?[\r\n]', re.IGNORECASE)
# Windows-1252 is Latin-1 with signs where that has control characters; five bytes have no sign and stay as they are.
WINDOWS_SIGNS = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}


def text_encoding(head: bytes) -> str:
    """`utf-16`, with a mark or without, by the NULs in every other byte; else `utf-8`, as far as one can tell."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    pairs = len(head) // 2
    high, low = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if 2 * low > pairs > 8 * high:
        return "utf-16-le"
    return "utf-16-be" if 2 * high > pairs > 8 * low else "utf-8"


def decode(head: bytes, encoding: str) -> str:
    """The head as text; a character cut at its end is left out."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return decode_windows(head)


def decode_windows(head: bytes) -> str:
    return head.decode("latin-1").translate(WINDOWS_SIGNS)


def skip_blank(text: str) -> tuple[int, str]:
    """How many lines stand before the header, empty or Excel's `sep=;`, and the text from the header on."""
    blank = end = 0
    for line in io.StringIO(text, newline=""):
        if line.strip(f"{_DELIMITERS} \r\n") and not (blank == 0 and EXCEL_LINE.match(line)):
            return blank, text[end:]
        blank, end = blank + 1, end + len(line)
    return blank, ""


def find_delimiter(text: str) -> str:
    """The candidate that splits the first record into most fields and the others into as many."""
    best, best_score = ",", (False, 1)
    for candidate in _DELIMITERS:
        records = _records(text, candidate, 200)
        width = len(records[0])
        alike = sum(len(record) == width for record in records[1:])
        score = (2 * alike >= len(records) - 1, width)
        if width > 1 and score > best_score:
            best, best_score = candidate, score
    return best


def column_names(text: str, delimiter: str) -> tuple[str, ...]:
    """Column names of the first record."""
    return tell_apart(_records(text, delimiter, 1)[0])


def tell_apart(cells: Iterable[str]) -> tuple[str, ...]:
    """Names as one line each, without control characters; an empty one is called by its place, a repeated one gets a
    number."""
    names: list[str] = []
    for place, cell in enumerate(cells):
        bare = " ".join(_CONTROL.sub(" ", cell).split())[:200] or f"column{place + 1}"
        name, count = bare, 1
        while name in names:
            count += 1
            name = f"{bare}_{count}"
        names.append(name)
    return tuple(names)


def _records(text: str, delimiter: str, most: int) -> list[list[str]]:
    """The first records; at least one, which may be empty."""
    records: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if record:
                records.append(record)
            if len(records) == most:
                break
    except csv.Error:
        pass  # a field beyond the reader's limit; what came before it tells enough
    if not records:
        records = [text.splitlines()[0][:10_000].split(delimiter) if text.strip() else [""]]
    return records


__all__ = [
    "EXCEL_LINE",
    "WINDOWS_SIGNS",
    "column_names",
    "decode",
    "decode_windows",
    "find_delimiter",
    "skip_blank",
    "tell_apart",
    "text_encoding",
]
