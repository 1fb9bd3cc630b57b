"""The rules at the door, one by one. (What they do to whole batches is tested with the batches.)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.errors import InvalidInput
from visavis.identify.checks import (
    Violations,
    check_attributes,
    check_count,
    check_id,
    check_identifier,
    check_number,
    check_text,
    check_time,
    check_time_zone,
    check_word,
    shorten,
)
from visavis.model import Identifier

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
TOLERANCE = timedelta(minutes=10)


class Zoneless(tzinfo):
    """A zone that does not know its offset: as good as none."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


def time_of(value: object) -> tuple[int, Violations]:
    bad = Violations()
    return check_time(bad, "t", value, now=NOW, tolerance=TOLERANCE), bad


@settings(max_examples=200, derandomize=True)
@given(text=st.text(max_size=300))
def test_ids_are_printable_and_short(text: str) -> None:
    bad = Violations()
    clean = check_id(bad, "f", text)
    fine = 1 <= len(text) <= 256 and not any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text)
    assert (clean == text and not bad) if fine else (clean == "" and len(bad) == 1)


@pytest.mark.parametrize(
    ("value", "microseconds"),
    [
        (None, NOW),
        (NOW + timedelta(minutes=9), NOW),
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-8))), datetime(2024, 1, 1, 8, tzinfo=UTC)),
        (datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_times(value: datetime | None, microseconds: datetime) -> None:
    found, bad = time_of(value)
    assert not bad
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found) == microseconds


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime(2024, 1, 1), "without a zone"),  # noqa: DTZ001 - what is refused
        (datetime(2024, 1, 1, tzinfo=Zoneless()), "without a zone"),
        (NOW + timedelta(minutes=11), "660 s ahead of our clock"),
        (datetime(1969, 12, 31, 23, tzinfo=UTC), "before 1970"),
        (1_700_000_000, "give a datetime"),
    ],
)
def test_bad_times(value: object, words: str) -> None:
    found, bad = time_of(value)
    assert found == 0
    assert words in bad[0].description


@pytest.mark.parametrize("text", ["line\nnext\ttab\r", "é🍵", "", "x" * 2000])
def test_texts_for_people(text: str) -> None:
    bad = Violations()
    assert check_text(bad, "f", text) == text
    assert not bad


@pytest.mark.parametrize("text", ["\x00", "\x1f", "\x7f", "\udfff", "x" * 2001, None, 5])
def test_bad_texts(text: Any) -> None:
    bad = Violations()
    assert check_text(bad, "f", text) == ""
    assert bad[0].field == "f"


@pytest.mark.parametrize(
    ("word", "fine"), [("a", True), ("a1_b", True), ("1a", False), ("A", False), ("ä", False), (b"a", False)]
)
def test_words(word: Any, fine: bool) -> None:
    bad = Violations()
    assert bool(check_word(bad, "f", word)) == (not bad) == fine


@pytest.mark.parametrize("number", ["4111111111111111", "4111-1111 1111-1111", "5500005555555559"])
@pytest.mark.parametrize("kind", ["payment_token", "card", "card_number", "pan"])
def test_card_numbers_are_never_taken(kind: str, number: str) -> None:
    bad = Violations()
    assert check_identifier(bad, "f", Identifier(kind, number)) is None
    assert number not in bad[0].description


@pytest.mark.parametrize("value", ["4111111111111112", "tok_4111111111111111", "12345"])
def test_tokens_are_fine(value: str) -> None:
    bad = Violations()
    assert check_identifier(bad, "f", Identifier("payment_token", value)) == Identifier("payment_token", value)
    assert not bad


def test_numbers_and_their_limits() -> None:
    bad = Violations()
    assert check_number(bad, "f", 2, minimum=0) == 2.0
    assert check_number(bad, "f", 0, minimum=0) == 0.0
    assert not bad
    for value in (-1, float("nan"), float("-inf"), 10**400, True, "1", None):
        check_number(bad, "f", value, minimum=0)
    check_number(bad, "f", 0, minimum=0, above=True)
    assert len(bad) == 8
    assert max(len(one.description) for one in bad) < 120


def test_counts() -> None:
    bad = Violations()
    assert check_count(bad, "n", 5, most=5) == 5
    for value in (0, 6, True, 2.0, "3", None):
        assert check_count(bad, "n", value, most=5) == 1
    assert len(bad) == 6


def test_attributes_come_out_clean() -> None:
    bad = Violations()
    found = check_attributes(bad, "a", {"t": "x", "n": 3, "b": True, "l": ["x", "y"]})
    assert found == {"t": "x", "n": 3.0, "b": True, "l": ("x", "y")}
    assert not bad


@pytest.mark.parametrize(
    ("name", "fine"),
    [("", True), ("Europe/Berlin", True), ("Berlin", False), ("/etc/passwd", False), (5, False), ("a\x00", False)],
)
def test_time_zones(name: Any, fine: bool) -> None:
    bad = Violations()
    check_time_zone(bad, "z", name)
    assert (not bad) == fine


def test_messages_stay_short() -> None:
    assert shorten("x" * 1000) == "'" + "x" * 36 + "..."
    bad = Violations()
    bad.add("a", "is wrong")
    bad.add("b", "is wrong too")
    with pytest.raises(InvalidInput, match=r"^a: is wrong \(and 1 more field\)$"):
        bad.check()
