"""Tables, JSON and texts that are safe to show."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest

from visavis.cli.output import Output, columns_of, safe
from visavis.model import Segment


def _output(encoding: str = "utf-8", *, width: int | None = None) -> tuple[Output, io.BytesIO]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", newline="", write_through=True)
    return Output(stream, width=width), raw


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("nul\0", r"nul\x00"),
        ("\u202eevil", r"\u202eevil"),
        ("no\u00a0break", "no break"),
        ("👩\u200d🚀 ☕️", "👩\u200d🚀 ☕️"),
        ("Ünïcödé 茶", "Ünïcödé 茶"),
    ],
)
def test_safe(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_columns_of_wide_and_combining_signs() -> None:
    assert columns_of("abc") == 3
    assert columns_of("茶") == 2
    assert columns_of("e\u0301") == 1


def test_a_table_is_aligned() -> None:
    out, raw = _output()
    out.table(("item", "score"), [("茶", 1), ("coffee", 12.5)], right=("score",))
    assert raw.getvalue().decode().splitlines() == ["item    score", "茶          1", "coffee   12.5"]


@pytest.mark.parametrize("width", [20, 31, 40])
def test_a_table_is_cut_to_the_width(width: int) -> None:
    out, raw = _output(width=width)
    out.table(("id", "name", "because"), [("7", "Tea " * 9, "because you bought 茶 " * 5)])
    lines = raw.getvalue().decode().splitlines()
    assert all(columns_of(line) <= width for line in lines)
    assert columns_of(lines[1]) >= width - 1
    assert lines[1].startswith("7   Tea")
    assert lines[1].endswith("…")


def test_a_line_is_safe_and_whole() -> None:
    out, raw = _output(width=10)
    out.line("a path to copy\n/somewhere")
    assert raw.getvalue().decode() == "a path to copy\\n/somewhere\n"


def test_an_encoding_that_lacks_signs() -> None:
    out, raw = _output("ascii", width=8)
    out.line("café ☕ au lait")
    out.table(("name",), [("a name too long",)])
    out.json({"name": "☕"})
    text = raw.getvalue().decode("ascii")
    assert text.startswith("caf\\xe9 \\u2615 au lait\nname\na name ~\n{")
    assert json.loads(text.partition("~\n")[2]) == {"name": "☕"}


def test_json_of_values() -> None:
    out, raw = _output()
    out.json(
        {"segments": (Segment("rfm", "ch\x1bampions", 3),), "at": datetime(2026, 1, 2, tzinfo=UTC), "lone": "\ud800"}
    )
    assert json.loads(raw.getvalue()) == {
        "segments": [{"segmentation": "rfm", "name": "ch\x1bampions", "customers": 3}],
        "at": "2026-01-02T00:00:00+00:00",
        "lone": "\ud800",
    }
    assert b"\x1b" not in raw.getvalue()
