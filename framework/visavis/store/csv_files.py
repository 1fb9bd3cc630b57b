"""CSV into the staging table: by DuckDB if it takes every record, else by way of a clean copy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import duckdb

from visavis.store.csv_records import Cleaned, check_lines, clean
from visavis.store.heads import (
    EXCEL_LINE,
    column_names,
    decode,
    decode_windows,
    find_delimiter,
    skip_blank,
    text_encoding,
)
from visavis.store.source_files import (
    Pulse,
    SourceFile,
    Staged,
    beside,
    bytes_of,
    check_width,
    count,
    put_aside,
    quote,
    unreadable,
    zstd_lines_sql,
)


def stage_csv(cursor: duckdb.DuckDBPyConnection, schema: str, file: SourceFile, delimiter: str, pulse: Pulse) -> Staged:
    if file.compression != "zstd":
        with bytes_of(file, pulse) as (stream, beat):
            check_lines(stream, beat)
    encoding = text_encoding(file.head)
    head = decode(file.head, encoding)
    blank, text = skip_blank(head)
    if not text:
        raise unreadable(file.path, "begins with empty lines only, so there are no rows; begin it with column names")
    told = EXCEL_LINE.match(head)
    delimiter = delimiter or (told[1] if told else find_delimiter(text))
    names = column_names(text, delimiter)
    check_width(file, names)
    if encoding == "utf-8" and (staged := _read_clean(cursor, schema, file, names, blank, delimiter)):
        return staged
    if file.compression == "zstd":
        file = _unpack_zstd(cursor, file)
    cleaned = _clean(cursor, schema, file, len(names), blank, delimiter, encoding, pulse)
    note: tuple[str, ...] = ()
    if cleaned.foreign and not cleaned.native:
        # Every record beyond ASCII is no UTF-8: then the file has another encoding, not some bad rows.
        names = column_names(skip_blank(decode_windows(file.head))[1], delimiter)
        cursor.execute(f"DELETE FROM {schema}.broken")
        _clean(cursor, schema, file, len(names), blank, delimiter, "windows-1252", pulse)
        note = ("the file is not UTF-8; it was read as Windows-1252 (Latin-1 with more signs)",)
    clean = replace(file, link=beside(file, "clean"), compression="uncompressed")
    try:
        staged = _read_clean(cursor, schema, clean, names, 0, delimiter)
    finally:
        clean.link.unlink()
    if staged is None:
        raise unreadable(file.path, "cannot be read; is its format right?")
    return staged._replace(broken=count(cursor, f"{schema}.broken"), notes=note)


def _read_clean(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    file: SourceFile,
    names: tuple[str, ...],
    blank: int,
    delimiter: str,
) -> Staged | None:
    """Make `raw`, if DuckDB takes every record of the file, and it is UTF-8."""
    types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    try:
        cursor.execute(
            f"CREATE TABLE {schema}.raw AS SELECT * FROM read_csv({quote(str(file.link))}, auto_detect = false, "
            f"header = true, skip = {blank}, columns = {{{types}}}, delim = {quote(delimiter)}, "
            f"quote = '\"', escape = '\"', compression = {quote(file.compression)})"
        )
    except duckdb.InvalidInputException:
        return None
    return Staged(names, count(cursor, f"{schema}.raw"), 0, ())


def _clean(
    cursor: duckdb.DuckDBPyConnection,
    schema: str,
    file: SourceFile,
    width: int,
    blank: int,
    delimiter: str,
    encoding: str,
    pulse: Pulse,
) -> Cleaned:
    """Write the whole records to a file beside the link, the others to `broken`."""
    aside = partial(put_aside, cursor, schema)
    with bytes_of(file, pulse) as (source, beat), beside(file, "clean").open("w", encoding="utf-8", newline="") as to:
        return clean(source, to, aside, beat, encoding=encoding, delimiter=delimiter, blank=blank, width=width)


def _unpack_zstd(cursor: duckdb.DuckDBPyConnection, file: SourceFile) -> SourceFile:
    """The file as it is, unpacked in the place of its link: line by line, as Latin-1, which keeps every byte."""
    lines = beside(file, "lines")
    cursor.execute(
        f"COPY ({zstd_lines_sql(file.link, 'latin-1')}) TO {quote(str(lines))} (FORMAT csv, HEADER false, "
        "DELIMITER '\x01', QUOTE '', ESCAPE '', NULLSTR '', COMPRESSION 'uncompressed')"
    )
    file.link.unlink()
    with lines.open(encoding="utf-8", newline="") as text, file.link.open("wb") as target:
        while part := text.read(1 << 20):
            target.write(part.encode("latin-1"))
    lines.unlink()
    return replace(file, compression="uncompressed")


__all__ = ["stage_csv"]
