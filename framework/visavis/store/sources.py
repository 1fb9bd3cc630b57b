"""Reading a stranger's file into a staging table: every column as text, so that nothing (00123) is lost.

The table `raw` has columns `c0`, `c1` … and its rowid is the order of the file; `broken` holds the records that
could not even be split into fields. DuckDB's own readers do the work; what they must not guess is found out here
first: compression and format by the first bytes, delimiter and names by the first records, the encoding.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from visavis.store.csv_files import stage_csv
from visavis.store.heads import tell_apart
from visavis.store.json_files import stage_json
from visavis.store.limits import way_out
from visavis.store.source_files import (
    Pulse,
    SourceFile,
    Staged,
    check_source,
    check_width,
    check_zstd,
    count,
    float_as_text,
    places,
    plain_name,
    quote,
    unreadable,
    zstd_lines_sql,
)

FORMATS = ("csv", "parquet", "jsonl")
_HEAD_BYTES = 1 << 18
_JSON_ENDINGS = {".json", ".jsonl", ".ndjson"}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"SQLite format 3": "an SQLite database",
}


def stage(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    path: Path,
    link: Path,
    *,
    format: str,
    delimiter: str,
    pulse: Pulse = lambda read: None,
) -> Staged:
    """Make `raw` and `broken` in `schema` from the file at `path`; `link` is a free path for a symbolic link to it.

    `format` is one of `FORMATS` or empty, `delimiter` one character or empty. `pulse` is told the bytes read where
    DuckDB itself does not read, and may raise to end it. Raises `NotFound` or `InvalidInput`
    (reason FILE_UNREADABLE) in one line that names the file.
    """
    file = _open(cursor, path, link)
    cursor.execute(f'CREATE TABLE {schema}.broken ("row" BIGINT, error VARCHAR, line VARCHAR)')
    with _reading(path, link):
        kind = format or _format(file)
        if kind == "parquet":
            staged = _stage_parquet(cursor, schema, file)
        elif kind == "jsonl":
            staged = stage_json(cursor, schema, file, pulse)
        else:
            staged = stage_csv(cursor, schema, file, delimiter, pulse)
    if staged.rows + staged.broken == 0:
        raise unreadable(path, "has columns but no rows; there is nothing to import")
    return staged


@contextmanager
def _reading(path: Path, link: Path) -> Iterator[None]:
    """DuckDB's complaints about the file in one line of ours, without its advice about its own options.

    A full disk and too many open files are not the file's fault, and pass.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        first = " ".join(re.split(r"\n\n|Possible fixes|Possible solutions", str(error))[0].split())
        first = first.replace(str(link), plain_name(path))
        if "no space left" in first.lower() or "too many open files" in first.lower():
            raise
        if "maximum_object_size" in first or "Maximum line size" in first:
            raise unreadable(
                path, "has a line longer than 16 MB; end each record with a line end, and leave out what is no table"
            ) from None
        raise unreadable(path, f"cannot be read; is it whole, and is its format right? ({first[:200]})") from None


def _open(cursor: duckdb.DuckDBPyConnection, path: Path, link: Path) -> SourceFile:
    check_source(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, f"cannot be read ({error.strerror}); {way_out(error, 'is the disk whole?')}") from None
    if not head:
        raise unreadable(path, "is empty; there is nothing to import")
    link.symlink_to(path.absolute())
    compression = "uncompressed"
    if head[:2] == b"\x1f\x8b":
        compression = "gzip"
        try:
            with gzip.open(path, "rb") as unpacked:
                head = unpacked.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(path, f"is damaged: it cannot be unpacked ({error})") from None
    elif head[:4] == b"\x28\xb5\x2f\xfd":
        compression = "zstd"
        check_zstd(SourceFile(path, link, compression, head))
        with _reading(path, link):
            head = _zstd_head(cursor, link)
    if not head:
        raise unreadable(path, "is empty when unpacked; there is nothing to import")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise unreadable(path, f"is {what}; save the table as CSV, Parquet or JSON Lines")
    if head[8:12] == b"DUCK":
        raise unreadable(path, "is a DuckDB file; export the table as CSV or Parquet (COPY … TO)")
    return SourceFile(path, link, compression, head)


def _zstd_head(cursor: duckdb.DuckDBPyConnection, link: Path) -> bytes:
    """The first lines; Python 3.11 cannot unpack zstd, DuckDB can. What is no UTF-8 is read as Latin-1, which gives
    back the bytes as they are."""
    try:
        return _zstd_lines(cursor, link, "utf-8").encode()
    except duckdb.InvalidInputException:
        return _zstd_lines(cursor, link, "latin-1").encode("latin-1")


def _zstd_lines(cursor: duckdb.DuckDBPyConnection, link: Path, encoding: str) -> str:
    rows = cursor.execute(f"{zstd_lines_sql(link, encoding)} LIMIT 200").fetchall()
    return "\n".join(line or "" for (line,) in rows)


def _format(file: SourceFile) -> str:
    if file.head.startswith(b"PAR1"):
        return "parquet"
    endings = {ending.lower() for ending in file.path.suffixes[-2:]}
    first = file.head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return "jsonl" if endings & _JSON_ENDINGS or first in (b"{", b"[") else "csv"


def _stage_parquet(cursor: duckdb.DuckDBPyConnection, schema: str, file: SourceFile) -> Staged:
    reader = f"read_parquet({quote(str(file.link))}, hive_partitioning = false)"
    described = cursor.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    check_width(file, described)
    selected = ", ".join(f"{_as_text(f'c{place}', str(row[1]))} AS c{place}" for place, row in enumerate(described))
    cursor.execute(f"CREATE TABLE {schema}.raw AS SELECT {selected} FROM {reader} AS t({places(len(described))})")
    return Staged(tell_apart(str(row[0]) for row in described), count(cursor, f"{schema}.raw"), 0, ())


def _as_text(column: str, kind: str) -> str:
    if kind in ("DOUBLE", "FLOAT"):
        return float_as_text(column, f"{column}::VARCHAR")
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {column})::VARCHAR || 'Z'"
    if kind == "BLOB":
        # Many programs write texts as bytes; what is no text (a picture) is written in escapes, not a reason to stop.
        return f"coalesce(try(decode({column})), {column}::VARCHAR)"
    return f"{column}::VARCHAR"


__all__ = ["FORMATS", "stage"]
