"""Reading a stranger's file into a staging table: every column as text, so that nothing (00123) is lost.

The table `raw` has columns `c0`, `c1` … and its rowid is the order of the file; `broken` holds the records that
could not even be split into fields. DuckDB's own readers do the work; what they must not guess is found out here
first: compression and format by the first bytes, delimiter and names by the first records, the encoding.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from visavis.errors import InvalidInput, NotFound
from visavis.store.heads import (
    EXCEL_LINE,
    WINDOWS_SIGNS,
    column_names,
    decode,
    decode_windows,
    find_delimiter,
    skip_blank,
    tell_apart,
)

NESTED = 0x1F
"""The character that stands before what was an object or a list in JSON: no id may be one."""
FORMATS = ("csv", "parquet", "jsonl")
_HEAD_BYTES = 1 << 18
_JSON_ENDINGS = {".json", ".jsonl", ".ndjson"}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True, slots=True)
class Staged:
    """What was read: the file's column names (name k stands in `raw.ck`), records split and records broken."""

    columns: tuple[str, ...]
    rows: int
    broken: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file whose nature is known. `link` is what DuckDB opens: a path without characters that it would expand."""

    path: Path
    link: Path
    compression: str
    head: bytes


def stage(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    path: Path,
    link: Path,
    *,
    format: str,
    delimiter: str,
) -> Staged:
    """Make `raw` and `broken` in `schema` from the file at `path`; `link` is a free path for a symbolic link to it.

    `format` is one of `FORMATS` or empty, `delimiter` one character or empty. Raises `NotFound` or `InvalidInput`
    (reason FILE_UNREADABLE) in one line that names the file.
    """
    file = _open(cursor, path, link)
    cursor.execute(f'CREATE TABLE {schema}.broken ("row" BIGINT, error VARCHAR, line VARCHAR)')
    with _reading(path, link):
        kind = format or _format(file)
        if kind == "parquet":
            staged = _stage_parquet(cursor, schema, file)
        elif kind == "jsonl":
            staged = _stage_json(cursor, schema, file)
        else:
            staged = _stage_csv(cursor, schema, file, delimiter)
    if staged.rows + staged.broken == 0:
        raise unreadable(path, "has columns but no rows; there is nothing to import")
    return staged


def unreadable(path: Path, what: str) -> InvalidInput:
    """The error of a file that cannot be used. It names no folder: a client that sent the file does not know it."""
    return InvalidInput(f"{path.name} {what}", reason="FILE_UNREADABLE", metadata={"path": path.name})


def quote(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _reading(path: Path, link: Path) -> Iterator[None]:
    """DuckDB's complaints about the file in one line of ours, without its advice about its own options.

    A full disk is not the file's fault and passes.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        first = " ".join(re.split(r"\n\n|Possible fixes|Possible solutions", str(error))[0].split())
        first = first.replace(str(link), path.name)
        if "no space left" in first.lower():
            raise
        raise unreadable(path, f"cannot be read; is it whole, and is its format right? ({first[:200]})") from None


def _open(cursor: duckdb.DuckDBPyConnection, path: Path, link: Path) -> _File:
    if path.is_dir():
        raise unreadable(path, "is a folder; name one file")
    if not path.exists():
        raise NotFound(f"{path} does not exist; check the name", reason="FILE_UNREADABLE", metadata={"path": str(path)})
    if not path.is_file():
        raise unreadable(path, "is no regular file; write its content to a file first")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, f"may not be read ({error.strerror}); change its permissions") from None
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
        with _reading(path, link):
            head = _zstd_head(cursor, link)
    if not head:
        raise unreadable(path, "is empty when unpacked; there is nothing to import")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise unreadable(path, f"is {what}; save the table as CSV, Parquet or JSON Lines")
    if head[8:12] == b"DUCK":
        raise unreadable(path, "is a DuckDB file; export the table as CSV or Parquet (COPY … TO)")
    return _File(path, link, compression, head)


def _zstd_head(cursor: duckdb.DuckDBPyConnection, link: Path) -> bytes:
    """The first lines; Python 3.11 cannot unpack zstd, DuckDB can. What is no UTF-8 is read as Latin-1, which gives
    back the bytes as they are."""
    try:
        return _zstd_lines(cursor, link, "utf-8").encode()
    except duckdb.InvalidInputException:
        return _zstd_lines(cursor, link, "latin-1").encode("latin-1")


def _zstd_lines(cursor: duckdb.DuckDBPyConnection, link: Path, encoding: str) -> str:
    rows = cursor.execute(
        f"SELECT line FROM read_csv({quote(str(link))}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, "
        f"header = false, delim = '\x01', quote = '', escape = '', encoding = '{encoding}', compression = 'zstd', "
        "max_line_size = 100000000) LIMIT 200"
    ).fetchall()
    return "\n".join(line or "" for (line,) in rows)


def _format(file: _File) -> str:
    if file.head.startswith(b"PAR1"):
        return "parquet"
    endings = {ending.lower() for ending in file.path.suffixes[-2:]}
    first = file.head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return "jsonl" if endings & _JSON_ENDINGS or first in (b"{", b"[") else "csv"


def _stage_parquet(cursor: duckdb.DuckDBPyConnection, schema: str, file: _File) -> Staged:
    reader = f"read_parquet({quote(str(file.link))}, hive_partitioning = false)"
    described = cursor.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    selected = ", ".join(f"{_as_text(f'c{place}', str(row[1]))} AS c{place}" for place, row in enumerate(described))
    cursor.execute(f"CREATE TABLE {schema}.raw AS SELECT {selected} FROM {reader} AS t({_places(len(described))})")
    return Staged(tell_apart(str(row[0]) for row in described), _count(cursor, f"{schema}.raw"), 0, ())


def _as_text(column: str, kind: str) -> str:
    if kind in ("DOUBLE", "FLOAT"):
        return _float_as_text(column, f"{column}::VARCHAR")
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {column})::VARCHAR || 'Z'"
    if kind == "BLOB":
        # Many programs write texts as bytes; what is no text (a picture) is written in escapes, not a reason to stop.
        return f"coalesce(try(decode({column})), {column}::VARCHAR)"
    return f"{column}::VARCHAR"


def _float_as_text(number: str, text: str) -> str:
    # A customer 17850.0 is customer 17850: a float only because some customer is missing.
    whole = f"isfinite({number}) AND {number} = floor({number}) AND abs({number}) < 9007199254740992"
    return f"CASE WHEN {whole} THEN {number}::BIGINT::VARCHAR ELSE {text} END"


def _stage_json(cursor: duckdb.DuckDBPyConnection, schema: str, file: _File) -> Staged:
    if file.head.startswith(codecs.BOM_UTF8):
        file = _rewrite(file, "utf-8")  # DuckDB takes the mark for a part of the first line
    array = file.head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    # A broken line of JSON Lines becomes an empty row, which is then set apart; an array is whole or not.
    how = "'array'" if array else "'newline_delimited', ignore_errors = true"
    reader = f"read_json({quote(str(file.link))}, format = {how}, compression = {quote(file.compression)}"
    described = cursor.execute(f"DESCRIBE SELECT * FROM {reader}, maximum_depth = 1, sample_size = -1)").fetchall()
    names = [str(row[0]) for row in described]
    if names == ["json"] and not array:
        # One line that is no object hides the keys of the others.
        found = cursor.execute(
            f"SELECT key FROM (SELECT unnest(json_keys(json)) AS key FROM read_json_objects({quote(str(file.link))}, "
            f"format = {how}, compression = {quote(file.compression)}) WHERE json_type(json) = 'OBJECT') "
            "GROUP BY key ORDER BY key"
        ).fetchall()
        names = [key for (key,) in found]
    elif names == ["json"]:
        names = []
    if not names:
        raise unreadable(file.path, "holds no JSON objects; give one object a line, with the same keys in each")
    # The keys go in as a value: a NUL, which a key may hold, would end the statement.
    selected = ", ".join(f"{_json_as_text(f'c{place}')} AS c{place}" for place in range(len(names)))
    cursor.execute(
        f"CREATE TABLE {schema}.raw AS SELECT {selected} FROM {reader}, columns = ?) AS t({_places(len(names))})",
        [dict.fromkeys(names, "JSON")],
    )
    if not array and file.compression != "zstd":
        _set_lines_apart(cursor, schema, file, len(names))
    rows, broken = (_count(cursor, f"{schema}.{table}") for table in ("raw", "broken"))
    return Staged(tell_apart(names), rows, broken, ())


def _set_lines_apart(cursor: duckdb.DuckDBPyConnection, schema: str, file: _File, width: int) -> None:
    """Move the lines that are no JSON objects, which are empty rows so far, to `broken` with their texts."""
    empty = f"coalesce({', '.join(f'c{place}' for place in range(width))}) IS NULL"
    found = {place for (place,) in cursor.execute(f"SELECT rowid FROM {schema}.raw WHERE {empty}").fetchall()}
    if not found:
        return
    rows: list[int] = []
    lines: list[str] = []
    with gzip.open(file.link, "rb") if file.compression == "gzip" else file.link.open("rb") as stream:
        for place, line in enumerate(bare for raw in stream if (bare := raw.strip())):
            if place in found and not _is_object(line):
                rows.append(place + 1)
                lines.append(line[:4000].decode("utf-8", "replace")[:1000])
    cursor.execute(f"INSERT INTO {schema}.broken SELECT unnest(?), 'NO JSON OBJECT', unnest(?)", [rows, lines])
    cursor.execute(
        f"CREATE TABLE {schema}.kept AS SELECT * FROM {schema}.raw "
        f'WHERE rowid + 1 NOT IN (SELECT "row" FROM {schema}.broken) ORDER BY rowid'
    )
    cursor.execute(f"DROP TABLE {schema}.raw")
    cursor.execute(f"ALTER TABLE {schema}.kept RENAME TO raw")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_as_text(column: str) -> str:
    number = f"try_cast({column}::VARCHAR AS DOUBLE)"
    written = _float_as_text(number, f"{column}::VARCHAR")
    nested = f"WHEN json_type({column}) IN ('OBJECT', 'ARRAY') THEN chr({NESTED}) || {column}::VARCHAR"
    return f"CASE WHEN json_type({column}) = 'DOUBLE' THEN {written} {nested} ELSE {column} ->> '$' END"


def _stage_csv(cursor: duckdb.DuckDBPyConnection, schema: str, file: _File, delimiter: str) -> Staged:
    if file.head.startswith(codecs.BOM_UTF16_BE):
        raise unreadable(file.path, "is UTF-16 with the high byte first, which is not read; save it as UTF-8")
    encoding = "utf-16" if file.head.startswith(codecs.BOM_UTF16_LE) else "utf-8"
    head = decode(file.head, encoding)
    blank, text = skip_blank(head)
    if not text:
        raise unreadable(file.path, "begins with empty lines only, so there are no rows; begin it with column names")
    told = EXCEL_LINE.match(head)
    delimiter = delimiter or (told[1] if told else find_delimiter(text))
    names = column_names(text, delimiter)
    try:
        staged = _read_csv(cursor, schema, file, names, blank, delimiter, encoding)
    except duckdb.InvalidInputException:
        if file.compression == "zstd":
            raise
        # Most often lines end in several ways, which DuckDB refuses.
        file, encoding = _rewrite(file, encoding), "utf-8"
        staged = _read_csv(cursor, schema, file, names, blank, delimiter, encoding)
    if encoding == "utf-16" or not _all_foreign(cursor, schema, len(names)):
        return staged
    cursor.execute(f"DROP TABLE {schema}.raw")
    cursor.execute(f"DELETE FROM {schema}.broken")
    names = column_names(skip_blank(decode_windows(file.head))[1], delimiter)
    if file.compression == "zstd":
        staged = _read_csv(cursor, schema, file, names, blank, delimiter, "latin-1")
    else:
        staged = _read_csv(cursor, schema, _rewrite(file, "windows-1252"), names, blank, delimiter, "utf-8")
    note = "the file is not UTF-8; it was read as Windows-1252 (Latin-1 with more signs)"
    return Staged(staged.columns, staged.rows, staged.broken, (note,))


def _read_csv(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    file: _File,
    names: tuple[str, ...],
    blank: int,
    delimiter: str,
    encoding: str,
) -> Staged:
    types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    errors, scans = f"{schema}_errors", f"{schema}_scans"
    cursor.execute(
        f"CREATE TABLE {schema}.raw AS SELECT * FROM read_csv({quote(str(file.link))}, auto_detect = false, "
        f"header = true, skip = {blank}, columns = {{{types}}}, delim = {quote(delimiter)}, "
        f"quote = '\"', escape = '\"', encoding = {quote(encoding)}, compression = {quote(file.compression)}, "
        f"store_rejects = true, rejects_table = {quote(errors)}, rejects_scan = {quote(scans)})"
    )
    # `line` counts records with the header and what was skipped; a record may have several faults.
    cursor.execute(
        f"INSERT INTO {schema}.broken SELECT line - {blank + 1}, arg_min(error_type::VARCHAR, column_idx), "
        f"left(min(csv_line), 1000) FROM {errors} GROUP BY line"
    )
    cursor.execute(f"DROP TABLE {errors}")
    cursor.execute(f"DROP TABLE {scans}")
    return Staged(names, _count(cursor, f"{schema}.raw"), _count(cursor, f"{schema}.broken"), ())


def _rewrite(file: _File, encoding: str) -> _File:
    """The file as UTF-8 without a byte order mark, every line ending in LF, in the place of its link."""
    if file.compression == "zstd":
        raise unreadable(file.path, "begins with a byte order mark; unpack it first")
    windows = encoding == "windows-1252"
    # What is no text in this encoding passes through, and is refused by row.
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    file.link.unlink()
    with (
        gzip.open(file.path, "rb") if file.compression == "gzip" else file.path.open("rb") as source,
        io.TextIOWrapper(source, "latin-1" if windows else encoding, errors) as reader,
        file.link.open("w", encoding="utf-8", errors="surrogateescape", newline="") as writer,
    ):
        mark = reader.read(1).removeprefix("\ufeff")
        writer.write(mark.translate(WINDOWS_SIGNS) if windows else mark)
        while text := reader.read(1 << 20):
            writer.write(text.translate(WINDOWS_SIGNS) if windows else text)
    return _File(file.path, file.link, "uncompressed", file.head)


def _all_foreign(cursor: duckdb.DuckDBPyConnection, schema: str, width: int) -> bool:
    """Whether every record beyond ASCII is no UTF-8: then the file has another encoding, not some bad rows."""
    found = f"SELECT count(*) FROM {schema}.broken WHERE error = 'INVALID ENCODING'"
    if not cursor.execute(found).fetchall()[0][0]:
        return False
    whole = f"concat({', '.join(f'c{place}' for place in range(width))})"
    good = f"SELECT count(*) FROM {schema}.raw WHERE strlen({whole}) > length({whole})"
    return not cursor.execute(good).fetchall()[0][0]


def _places(width: int) -> str:
    return ", ".join(f"c{place}" for place in range(width))


def _count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


__all__ = ["FORMATS", "NESTED", "Staged", "quote", "stage", "unreadable"]
