"""Every format, compression and encoding gives the same rows; every unusable file gives one clear line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from visavis.errors import InvalidInput, NotFound
from visavis.store.source_files import Staged
from visavis.store.sources import stage

TABLE = 'id,name,qty\n00123,"café, ""big""\nand tall",3\n5,☕,\n'
ROWS = [("00123", 'café, "big"\nand tall', "3"), ("5", "☕", None)]


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("ATTACH ':memory:' AS staged")
    yield connection
    connection.close()


def read(
    cursor: duckdb.DuckDBPyConnection, path: Path, *, format: str = "", delimiter: str = ""
) -> tuple[Staged, list[tuple[str | None, ...]]]:
    staged = stage(cursor, "staged", path, path.parent / "link", format=format, delimiter=delimiter)
    return staged, cursor.execute("SELECT * FROM staged.raw ORDER BY rowid").fetchall()


def broken(cursor: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    return cursor.execute('SELECT "row", error FROM staged.broken ORDER BY "row"').fetchall()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, delimiter: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(TABLE.replace(",", delimiter), "utf-8")
    staged, rows = read(cursor, file)
    assert staged.columns == ("id", "name", "qty")
    assert rows == [("00123", f'café{delimiter} "big"\nand tall', "3"), ROWS[1]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_and_gzip(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str, packed: bool) -> None:
    content = TABLE.replace("\n", "\r\n").encode(encoding)
    file = tmp_path / "no_ending_at_all"
    file.write_bytes(gzip.compress(content) if packed else content)
    staged, rows = read(cursor, file)
    assert staged.columns == ("id", "name", "qty")
    assert rows == [(ROWS[0][0], 'café, "big"\r\nand tall', "3"), ROWS[1]]


def test_latin_1_is_read_as_windows_1252_with_a_note(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("größe,preis\ncafé,3\nthé,4\n".encode("latin-1"))
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.columns, rows) == (("größe", "preis"), [("café", "3"), ("thé", "4")])
    assert "Windows-1252" in staged.notes[0]


@pytest.mark.parametrize("packed", [False, True])
def test_windows_1252_has_signs_beyond_latin_1(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, packed: bool) -> None:
    content = "größe,€\r\n„thé’ – €,3\r\n".encode("cp1252") + b"\x81,4\r\n"
    (tmp_path / "a.csv").write_bytes(gzip.compress(content) if packed else content)
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.columns, rows) == (("größe", "€"), [("„thé’ – €", "3"), ("\x81", "4")])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ends", [("\n", "\r\n"), ("\r\n", "\n")])
def test_lines_that_end_in_two_ways(
    cursor: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str, ends: tuple[str, str]
) -> None:
    lines = ["a,b", "1,é", "2,4", "5", "6,7"]
    text = "".join(line + ends[line == "2,4"] for line in lines)
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.columns, rows) == (("a", "b"), [("1", "é"), ("2", "4"), ("6", "7")])
    assert broken(cursor) == [(3, "MISSING COLUMNS")]


def test_a_bad_byte_among_lines_that_end_in_two_ways(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,caf\xc3\xa9\n2,caf\xe9\r\n3,x\n")
    assert read(cursor, tmp_path / "a.csv")[1] == [("1", "café"), ("3", "x")]
    assert broken(cursor) == [(2, "INVALID ENCODING")]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_line_that_tells_the_delimiter(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, first: str) -> None:
    (tmp_path / "a.csv").write_text(f"{first}\r\na,b;c,d\r\n1,2;3\r\n4\r\n", newline="")
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.columns, rows) == (("a,b", "c,d"), [("1,2", "3")])
    assert broken(cursor) == [(2, "MISSING COLUMNS")]


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_with_a_byte_order_mark(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, packed: bool) -> None:
    content = '{"id": "é"}\n{"id": 5}\n'.encode("utf-8-sig")
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(content) if packed else content)
    assert read(cursor, tmp_path / "a.jsonl")[1] == [("é",), ("5",)]


def test_numbers_in_json_are_whole_where_they_can_be(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2.0}\n{"a": "2.0"}\n{"a": 2.50}\n{"a": null}\n{"a": "x\\"y"}\n')
    assert read(cursor, tmp_path / "a.jsonl")[1] == [("1",), ("2",), ("2.0",), ("2.5",), (None,), ('x"y',)]


@pytest.mark.parametrize("packed", [False, True])
def test_a_json_line_that_is_no_object_is_broken(
    cursor: duckdb.DuckDBPyConnection, tmp_path: Path, packed: bool
) -> None:
    content = '{"b": 1, "a": 2}\n5\n \n[1, 2]\n{"c": "x"}\n{}\n{"a": "é"\n'.encode()
    (tmp_path / "a.jsonl").write_bytes(gzip.compress(content) if packed else content)
    staged, rows = read(cursor, tmp_path / "a.jsonl")
    assert set(staged.columns) == {"a", "b", "c"}
    assert [dict(zip(staged.columns, row, strict=True)) for row in rows] == [
        {"a": "2", "b": "1", "c": None},
        {"a": None, "b": None, "c": "x"},
        dict.fromkeys("abc"),
    ]
    lines = cursor.execute('SELECT "row", line FROM staged.broken ORDER BY "row"').fetchall()
    assert (staged.rows, staged.broken, lines) == (3, 3, [(2, "5"), (3, "[1, 2]"), (6, '{"a": "é"')])


def test_one_bad_byte_does_not_make_a_file_latin_1(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,caf\xc3\xa9\n2,caf\xe9\n3,x\n")
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert rows == [("1", "café"), ("3", "x")]
    assert (staged.broken, staged.notes, broken(cursor)) == (1, (), [(2, "INVALID ENCODING")])


def test_zstd(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    cursor.execute(
        f"COPY (SELECT '00123' AS id, 7 AS qty) TO '{tmp_path / 'a.csv.zst'}' (FORMAT csv, COMPRESSION zstd)"
    )
    cursor.execute(
        f"COPY (SELECT '00123' AS id, 7 AS qty) TO '{tmp_path / 'b.jsonl.zst'}' (FORMAT json, COMPRESSION zstd)"
    )
    assert read(cursor, tmp_path / "a.csv.zst")[1] == [("00123", "7")]
    cursor.execute("DROP TABLE staged.raw")
    cursor.execute("DROP TABLE staged.broken")
    (tmp_path / "link").unlink()
    assert read(cursor, tmp_path / "b.jsonl.zst")[1] == [("00123", "7")]


def test_zstd_in_utf_8(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    cursor.execute(
        f"COPY (SELECT 'Élodie €' AS id, 7 AS qty) TO '{tmp_path / 'a.csv.zst'}' (FORMAT csv, COMPRESSION zstd)"
    )
    assert read(cursor, tmp_path / "a.csv.zst")[1] == [("Élodie €", "7")]


def test_names_that_duckdb_would_expand(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "it's [1]*?.csv"
    file.write_text("a,b\n1,2\n")
    assert read(cursor, file)[1] == [("1", "2")]


def test_broken_records_are_kept_apart_by_number(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,2,3\n1,2\n1,2,3,4\n5,6,7\n")
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert rows == [("1", "2", "3"), ("5", "6", "7")]
    assert (staged.rows, staged.broken) == (2, 2)
    assert broken(cursor) == [(2, "MISSING COLUMNS"), (3, "TOO MANY COLUMNS")]


def test_names_of_columns_are_told_apart(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,a,,A\n1,2,3,4\n")
    assert read(cursor, tmp_path / "a.csv")[0].columns == ("a", "a_2", "column3", "A")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_empty_lines_before_the_header(
    cursor: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str, end: str
) -> None:
    lines = ["", "  ", ";;", "größe;b", "1;2", "1", "é;4", ""]
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode(encoding))
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.columns, rows) == (("größe", "b"), [("1", "2"), ("é", "4")])
    assert broken(cursor) == [(2, "MISSING COLUMNS")]


def test_names_of_columns_are_free_of_control_characters(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'a\x00b,\x00,"c\x1b[31m\nd",a_b_2,a b\n1,2,3,4,5\n')
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert staged.columns == ("a b", "column2", "c [31m d", "a_b_2", "a b_2")
    assert rows == [("1", "2", "3", "4", "5")]


def test_keys_may_hold_any_character(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a\\u0000b": 1, "it\'s": 2, "\\"c\\"": 3}\n')
    staged, rows = read(cursor, tmp_path / "a.jsonl")
    assert (staged.columns, rows) == (("a b", "it's", '"c"'), [("1", "2", "3")])


def test_json_lines_and_arrays_lose_nothing(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "00123", "n": 12345678901234567890}\nbad\n{"id": 5, "late": true}\n')
    staged, rows = read(cursor, tmp_path / "a.jsonl")
    assert staged.columns == ("id", "n", "late")
    assert rows == [("00123", "12345678901234567890", None), ("5", None, "true")]
    assert broken(cursor) == [(2, "NO JSON OBJECT")]


def test_json_array(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": "00123"},\n {"id": 5}]')
    assert read(cursor, tmp_path / "a.json")[1] == [("00123",), ("5",)]


def test_parquet_types_become_text_with_care(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    cursor.execute(
        "COPY (SELECT 17850.0::DOUBLE AS c, 2.55::DOUBLE AS p, 'NaN'::DOUBLE AS q, 1.10::DECIMAL(8, 2) AS d, "
        "TIMESTAMP '2010-12-01 08:26:00' AS t, TIMESTAMPTZ '2010-12-01 08:26:00+02' AS z, 'x'::BLOB AS b, "
        f"NULL::INT AS n) TO '{file}'"
    )
    assert read(cursor, file)[1] == [
        ("17850", "2.55", "nan", "1.10", "2010-12-01 08:26:00", "2010-12-01 06:26:00Z", "x", None)
    ]


def test_bytes_in_parquet_are_texts_where_they_can_be(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    cursor.execute(
        f'COPY (SELECT unnest([\'caf\\xC3\\xA9\'::BLOB, \'x\'::BLOB, NULL]) AS "it\'s ""b""", '
        f"unnest(['\\x89PNG\\xFF\\x00'::BLOB, 'y'::BLOB, NULL]) AS picture) TO '{file}'"
    )
    staged, rows = read(cursor, file)
    assert staged.columns == ('it\'s "b"', "picture")
    assert rows == [("café", "\\x89PNG\\xFF\\x00"), ("x", "y"), (None, None)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n,,\n", "no rows"),
        ("a.csv.gz", gzip.compress(b""), "is empty when unpacked"),
        ("a.csv", b"customer_id,item\n", "no rows"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 1000)[:30], "damaged"),
        ("a.parquet", b"PAR1" + bytes(100), "cannot be read"),
        ("a.json", b'[{"a": 1}, {"b', "cannot be read"),
        ("a.jsonl", b"[1, 2]\n", "cannot be read|no JSON objects"),
        ("a.jsonl", b"1\n2\n", "no JSON objects"),
        ("a.xlsx", b"PK\x03\x04" + bytes(50), "Excel"),
        ("a.duckdb", bytes(8) + b"DUCK" + bytes(50), "DuckDB file"),
    ],
)
def test_unusable_files(
    cursor: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=words) as caught:
        read(cursor, tmp_path / name)
    error = caught.value
    assert (error.reason, error.metadata) == ("FILE_UNREADABLE", {"path": name})
    assert str(tmp_path) not in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE.encode(encoding))
    assert read(cursor, tmp_path / "a.csv")[1] == ROWS


@pytest.mark.parametrize("head", [b"", b"a,b\n1,2\n", b'a,b\n1,2\n1,"', b'{"a": "'])
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, head: bytes, packed: bool) -> None:
    content = head + b"1,2," * 5_000_000
    (tmp_path / "a").write_bytes(gzip.compress(content, 1) if packed else content)
    line = 1 + head.count(b"\n")
    with pytest.raises(InvalidInput, match=f"a cannot be read: line {line} is longer than 16 MB; end each record"):
        read(cursor, tmp_path / "a")


def test_a_quote_left_open_costs_its_own_line(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,2\n3,"4\n' + "5,6\n" * 1000 + '7,"8\n9"\n')
    staged, rows = read(cursor, tmp_path / "a.csv")
    assert (staged.rows, staged.broken, broken(cursor)) == (1002, 1, [(2, "UNQUOTED VALUE")])
    assert rows[-1] == ("7", "8\n9")


def test_records_of_many_surplus_fields_and_of_too_much(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2,,,\n" + "1," * 100_000 + "\n" + "x" * 2_000_000 + ",2\n\x1f3\n4,5\n")
    _, rows = read(cursor, tmp_path / "a.csv")
    assert rows == [("1", "2"), ("4", "5")]
    assert broken(cursor) == [(2, "TOO MANY COLUMNS"), (3, "LINE SIZE OVER MAXIMUM"), (4, "MISSING COLUMNS")]


@pytest.mark.parametrize("cut", [1, 2, 50])
def test_files_that_are_cut_off(cursor: duckdb.DuckDBPyConnection, tmp_path: Path, cut: int) -> None:
    rows = "SELECT hash(i) AS a, i AS b FROM range(100000) AS r(i)"
    for ending, compression in (("gz", "gzip"), ("zst", "zstd")):
        whole = tmp_path / f"whole.csv.{ending}"
        cursor.execute(f"COPY ({rows}) TO '{whole}' (FORMAT csv, COMPRESSION {compression})")
        content = whole.read_bytes()
        part = tmp_path / f"cut.csv.{ending}"
        part.write_bytes(content[: len(content) * 9 // 10] if cut == 50 else content[:-cut])
        with pytest.raises(InvalidInput, match=r"damaged.*copy it again"):
            read(cursor, part)
        (tmp_path / "link").unlink()
    cursor.execute("DROP TABLE staged.broken")
    assert read(cursor, whole)[0].rows == 100_000


def test_too_many_columns(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(f"c{n}" for n in range(1001)) + "\n" + "1," * 1000 + "1\n")
    with pytest.raises(InvalidInput, match="1,001 columns; at most 1,000 are read"):
        read(cursor, tmp_path / "a.csv")


def test_no_file_and_a_folder(cursor: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file") as caught:
        read(cursor, tmp_path / "none.csv")
    assert caught.value.reason == "FILE_UNREADABLE"
    with pytest.raises(InvalidInput, match="is a folder"):
        read(cursor, tmp_path)
