"""A file that is to be imported: what it is, its bytes, and where what it holds is put."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np

from visavis.errors import InvalidInput, NotFound
from visavis.store.columns import insert_columns
from visavis.store.csv_records import LONGEST_LINE, Broken, LongLineError
from visavis.store.limits import way_out

if TYPE_CHECKING:
    import duckdb

NESTED = 0x1F
"""The character that stands before what was an object or a list in JSON: no id may be one."""
MOST_COLUMNS = 1000
Pulse = Callable[[int], None]
"""Told how many bytes of the file were read; may raise to end the reading."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file whose nature is known. `link` is what DuckDB opens: a path without characters that it would expand."""

    path: Path
    link: Path
    compression: str
    head: bytes


class Staged(NamedTuple):
    """What was read: the file's column names (name k stands in `raw.ck`), records split and records broken."""

    columns: tuple[str, ...]
    rows: int
    broken: int
    notes: tuple[str, ...]


def unreadable(path: Path, what: str) -> InvalidInput:
    """The error of a file that cannot be used. It names no folder: a client that sent the file does not know it."""
    name = plain_name(path)
    return InvalidInput(f"{name} {what}", reason="FILE_UNREADABLE", metadata={"path": name})


def plain_name(path: Path) -> str:
    """The file's name in one line of text: bytes that are no text, and control characters, as escapes."""
    name = os.fsencode(path.name or path).decode(errors="backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda sign: f"\\x{ord(sign[0]):02x}", name)


def check_source(path: Path) -> None:
    """Raise `NotFound` or `InvalidInput` (reason FILE_UNREADABLE) for a path that is no file, or may not be read.

    Nothing is waited for: a pipe is refused before it is opened.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"there is no file {path}; check the name", reason="FILE_UNREADABLE", metadata={"path": str(path)}
        ) from None
    except PermissionError as error:
        raise unreadable(path, f"may not be read ({error.strerror}); change its permissions") from None
    except OSError as error:
        raise unreadable(path, f"cannot be read ({error.strerror}); {way_out(error, 'check the name')}") from None
    if stat.S_ISDIR(mode):
        raise unreadable(path, "is a folder; name one file")
    if not stat.S_ISREG(mode):
        raise unreadable(path, "is no regular file; write its content to a file first")


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Raise `InvalidInput` (reason FILE_UNREADABLE) if the file changes during the block, which reads it more than
    once: what was read would be a mixture."""
    before = _version(path)
    changed = unreadable(path, "changed while it was read; import it when nobody writes to it, or import a copy")
    try:
        yield
    except InvalidInput:
        if _version(path) != before:
            raise changed from None
        raise
    if _version(path) != before:
        raise changed


def _version(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()  # gone
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def quote(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def check_width(file: SourceFile, names: Sequence[object]) -> None:
    """Raise `InvalidInput` for more columns than are read: each costs memory, and time to look at."""
    if len(names) > MOST_COLUMNS:
        raise unreadable(
            file.path, f"has {len(names):,} columns; at most {MOST_COLUMNS:,} are read; leave out the others"
        )


@contextmanager
def bytes_of(file: SourceFile, pulse: Pulse) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """The unpacked bytes of a file that is not zstd, and a call that tells how many of the packed ones were read.

    Raises `InvalidInput` for a file that is damaged, or has a line without end.
    """
    try:
        with file.link.open("rb") as packed:

            def beat() -> None:
                pulse(packed.tell())

            if file.compression == "gzip":
                with gzip.GzipFile(fileobj=packed) as unpacked:
                    yield cast(BinaryIO, unpacked), beat
            else:
                yield packed, beat
    except LongLineError as error:
        raise unreadable(
            file.path, f"cannot be read: {error}; end each record with a line end, and leave out what is no table"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise unreadable(file.path, f"is damaged: it cannot be unpacked ({error}); copy it again") from None


def put_aside(cursor: duckdb.DuckDBPyConnection, schema: str, records: list[Broken]) -> None:
    """Add records that could not be split to `broken`."""
    rows = np.array([record[0] for record in records], dtype=np.int64)
    lines = [record[2] for record in records]
    insert_columns(cursor, f"{schema}.broken", {"row": rows, "error": [record[1] for record in records], "line": lines})


def check_zstd(file: SourceFile) -> None:
    """Raise `InvalidInput` for a file that is cut off, which DuckDB would read as far as it goes.

    Walks from block to block by their headers (RFC 8878), without unpacking any.
    """
    size = file.link.stat().st_size
    with file.link.open("rb") as stream:

        def number(length: int) -> int:
            return int.from_bytes(stream.read(length), "little")

        while stream.tell() < size:
            if number(4) & 0xFFFFFFF0 == 0x184D2A50:  # a frame that holds no data
                stream.seek(number(4), 1)
                continue
            head = number(1)
            single = head >> 5 & 1
            stream.seek((1 - single) + (0, 1, 2, 4)[head & 3] + (single, 2, 4, 8)[head >> 6], 1)
            last = 0
            while not last and stream.tell() < size:
                block = number(3)
                last = block & 1
                stream.seek(1 if block >> 1 & 3 == 1 else block >> 3, 1)
            stream.seek(4 if head & 4 else 0, 1)
            if not last or stream.tell() > size:
                raise unreadable(file.path, "is damaged: it ends in the middle; copy it again")


def beside(file: SourceFile, ending: str) -> Path:
    return file.link.with_suffix(f".{ending}")


def zstd_lines_sql(link: Path, encoding: str) -> str:
    return (
        f"SELECT line FROM read_csv({quote(str(link))}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, "
        f"header = false, delim = '\x01', quote = '', escape = '', encoding = '{encoding}', compression = 'zstd', "
        f"max_line_size = {LONGEST_LINE})"
    )


def float_as_text(number: str, text: str) -> str:
    # A customer 17850.0 is customer 17850: a float only because some customer is missing.
    whole = f"isfinite({number}) AND {number} = floor({number}) AND abs({number}) < 9007199254740992"
    return f"CASE WHEN {whole} THEN {number}::BIGINT::VARCHAR ELSE {text} END"


def places(width: int) -> str:
    return ", ".join(f"c{place}" for place in range(width))


def count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


__all__ = [
    "MOST_COLUMNS",
    "NESTED",
    "Pulse",
    "SourceFile",
    "Staged",
    "beside",
    "bytes_of",
    "check_source",
    "check_width",
    "check_zstd",
    "count",
    "float_as_text",
    "places",
    "plain_name",
    "put_aside",
    "quote",
    "unchanged",
    "unreadable",
    "zstd_lines_sql",
]
