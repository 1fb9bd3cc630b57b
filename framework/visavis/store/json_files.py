"""JSON Lines, or one JSON array, into the staging table."""

from __future__ import annotations

import codecs
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from visavis.store.csv_records import Broken, check_lines
from visavis.store.heads import tell_apart
from visavis.store.source_files import (
    NESTED,
    Pulse,
    SourceFile,
    Staged,
    beside,
    bytes_of,
    check_width,
    count,
    float_as_text,
    places,
    put_aside,
    quote,
    unreadable,
)

if TYPE_CHECKING:
    import duckdb


def stage_json(cursor: duckdb.DuckDBPyConnection, schema: str, file: SourceFile, pulse: Pulse) -> Staged:
    if file.compression != "zstd" and not file.head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        with bytes_of(file, pulse) as (stream, beat):
            check_lines(stream, beat)
    if file.head.startswith(codecs.BOM_UTF8):
        file = _without_mark(file, pulse)
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
    check_width(file, names)
    # The keys go in as a value: a NUL, which a key may hold, would end the statement.
    selected = ", ".join(f"{_json_as_text(f'c{place}')} AS c{place}" for place in range(len(names)))
    cursor.execute(
        f"CREATE TABLE {schema}.raw AS SELECT {selected} FROM {reader}, columns = ?) AS t({places(len(names))})",
        [dict.fromkeys(names, "JSON")],
    )
    if not array and file.compression != "zstd":
        _set_lines_apart(cursor, schema, file, len(names), pulse)
    rows, broken = (count(cursor, f"{schema}.{table}") for table in ("raw", "broken"))
    return Staged(tell_apart(names), rows, broken, ())


def _without_mark(file: SourceFile, pulse: Pulse) -> SourceFile:
    """The file in the place of its link, unpacked and without the byte order mark, which DuckDB takes for a part of the
    first line."""
    if file.compression == "zstd":
        raise unreadable(file.path, "begins with a byte order mark; unpack it first")
    copy = beside(file, "clean")
    with bytes_of(file, pulse) as (source, beat), copy.open("wb") as target:
        source.read(len(codecs.BOM_UTF8))
        while part := source.read(1 << 20):
            beat()
            target.write(part)
    copy.replace(file.link)
    return replace(file, compression="uncompressed")


def _set_lines_apart(
    cursor: duckdb.DuckDBPyConnection, schema: str, file: SourceFile, width: int, pulse: Pulse
) -> None:
    """Move the lines that are no JSON objects, which are empty rows so far, to `broken` with their texts."""
    empty = f"coalesce({', '.join(f'c{place}' for place in range(width))}) IS NULL"
    found = cursor.execute(f"SELECT rowid FROM {schema}.raw WHERE {empty} ORDER BY rowid").fetchnumpy()["rowid"]
    if not len(found):
        return
    records: list[Broken] = []
    suspects = iter(found)
    suspect = next(suspects)
    with bytes_of(file, pulse) as (source, beat):
        for place, line in enumerate(bare for raw in source if (bare := raw.strip())):
            if place % 10_000 == 0:
                beat()
            if place != suspect:
                continue
            if not _is_object(line):
                records.append((place + 1, "NO JSON OBJECT", line[:4000].decode("utf-8", "replace")[:1000]))
                if len(records) == 1000:
                    put_aside(cursor, schema, records)
                    records.clear()
            suspect = next(suspects, -1)
    put_aside(cursor, schema, records)
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
    written = float_as_text(number, f"{column}::VARCHAR")
    nested = f"WHEN json_type({column}) IN ('OBJECT', 'ARRAY') THEN chr({NESTED}) || {column}::VARCHAR"
    return f"CASE WHEN json_type({column}) = 'DOUBLE' THEN {written} {nested} ELSE {column} ->> '$' END"


__all__ = ["stage_json"]
