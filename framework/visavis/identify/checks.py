"""The rules that ids, words, times and numbers keep, checked at every door.

Each check appends to a list of violations and answers the clean value, so that a caller learns of all that is
wrong at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from visavis.errors import FieldViolation, InvalidInput
from visavis.live.identities import CUSTOMER
from visavis.model import AttributeValue, CustomerRef, Identifier, Money
from visavis.money import is_currency

LONGEST_ID = 256
LONGEST_TEXT = 2_000
MOST_ATTRIBUTES = 100
MOST_TEXTS = 1_000
LARGEST_MINOR_UNITS = 2**53
LARGEST_QUANTITY = 1e9
LARGEST_RATING = 1e6
RATING = "rating"
NEEDS_ITEM = frozenset({"purchase", "return", RATING, "like", "skip"})
"""Kinds that are about an item."""
CARD_KINDS = frozenset({"payment_token", "card", "card_number", "pan"})
"""Kinds of identifiers that are not taken when they look like a card's number."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Violations(list[FieldViolation]):
    """What is wrong with a call; `check()` raises if anything is."""

    def add(self, field: str, description: str) -> None:
        self.append(FieldViolation(field, description))

    def check(self) -> None:
        if self:
            raise InvalidInput(self)


def shorten(value: object) -> str:
    """A value as it stands in messages: quoted, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def check_id(bad: Violations, field: str, value: object, *, required: bool = True) -> str:
    """An id chosen by the caller: 1 to 256 characters of any script, no control characters."""
    if not isinstance(value, str):
        bad.add(field, f"is {shorten(value)}; give a text")
    elif not value:
        if required:
            bad.add(field, "is empty; give an id of 1 to 256 characters")
    elif len(value) > LONGEST_ID:
        bad.add(field, f"has {len(value):,} characters; give at most {LONGEST_ID}")
    elif control := _CONTROL.search(value):
        bad.add(field, f"holds the control character U+{ord(control[0]):04X}; leave it out")
    else:
        return value
    return ""


def check_text(bad: Violations, field: str, value: object) -> str:
    """A text for people: at most 2,000 characters; tabs and line ends are fine, other control characters are not."""
    if not isinstance(value, str):
        bad.add(field, f"is {shorten(value)}; give a text")
    elif len(value) > LONGEST_TEXT:
        bad.add(field, f"has {len(value):,} characters; give at most {LONGEST_TEXT:,}")
    elif control := _CONTROL.search(re.sub(r"[\t\r\n]", " ", value)):
        bad.add(field, f"holds the control character U+{ord(control[0]):04X}; leave it out")
    else:
        return value
    return ""


def is_word(text: str) -> bool:
    """Whether a text has the form of a kind or a name."""
    return _WORD.fullmatch(text) is not None


def check_word(bad: Violations, field: str, value: object) -> str:
    """A kind or a name: lower-case letters, digits and `_`, at most 64, a letter first."""
    if isinstance(value, str) and is_word(value):
        return value
    bad.add(
        field, f"is {shorten(value)}; give 1 to 64 lower-case letters, digits or _, a letter first, such as `purchase`"
    )
    return ""


def check_customer(bad: Violations, field: str, ref: object) -> CustomerRef | None:
    """A customer id or an identifier."""
    if isinstance(ref, Identifier):
        return check_identifier(bad, field, ref)
    if isinstance(ref, str):
        return check_id(bad, field, ref) or None
    bad.add(field, f"is {shorten(ref)}; give a customer id or an Identifier")
    return None


def check_identifier(bad: Violations, field: str, identifier: object) -> Identifier | None:
    """An identifier: kind and value. Card numbers are never taken."""
    if not isinstance(identifier, Identifier):
        bad.add(field, f"is {shorten(identifier)}; give an Identifier")
        return None
    kind = check_word(bad, f"{field}.kind", identifier.kind)
    value = check_id(bad, f"{field}.value", identifier.value)
    if kind == CUSTOMER:
        bad.add(f"{field}.kind", "is `customer`; give the customer id itself instead of an identifier")
        return None
    digits = re.sub(r"[ -]", "", value)
    if kind in CARD_KINDS and re.fullmatch(r"\d{13,19}", digits) and _luhn(digits):
        bad.add(
            f"{field}.value", "looks like a card number, which is never stored; give the token of your payment provider"
        )
        return None
    return Identifier(kind, value) if kind and value else None


def check_time(bad: Violations, field: str, value: object, *, now: datetime, tolerance: timedelta) -> int:
    """Microseconds UTC of a time between 1970 and now plus `tolerance`; None means now.

    A time ahead of our clock within the tolerance counts as now.
    """
    at = now if value is None else value
    if not isinstance(at, datetime):
        bad.add(field, f"is {shorten(value)}; give a datetime")
    elif at.utcoffset() is None:
        bad.add(field, f"is {at.isoformat()} without a zone; give one with a zone, such as {at.isoformat()}+00:00")
    elif at < EPOCH:
        bad.add(field, f"is {at.isoformat()}, before 1970; give the time at which it happened")
    elif at > now + tolerance:
        ahead = int((at - now).total_seconds())
        bad.add(
            field,
            f"is {at.isoformat()}, {ahead:,} s ahead of our clock; give the time at which it happened, or leave it "
            "unset",
        )
    else:
        return (min(at, now) - EPOCH) // timedelta(microseconds=1)
    return 0


def check_number(
    bad: Violations, field: str, value: object, *, minimum: float, maximum: float = 1e15, above: bool = False
) -> float:
    """A finite number from `minimum` (excluded if `above`) to `maximum`."""
    word = "more than" if above else "at least"
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == math.inf:
        bad.add(field, f"is {shorten(value)}; give a number of {word} {minimum:g}")
    elif value < minimum or (above and value == minimum) or value > maximum:
        bad.add(field, f"is {shorten(value)}; give {word} {minimum:g} and at most {maximum:g}")
    else:
        return float(value)
    return 0.0


def check_money(bad: Violations, field: str, money: object, *, negative: bool = False) -> Money | None:
    """An amount of minor units below 2**53 in a three-letter currency."""
    if money is None:
        return None
    if not isinstance(money, Money):
        bad.add(field, f"is {shorten(money)}; give Money(minor_units, currency)")
        return None
    units = money.minor_units
    if isinstance(units, bool) or not isinstance(units, int):
        bad.add(f"{field}.minor_units", f"is {shorten(units)}; give whole minor units (pence, cents)")
    elif abs(units) > LARGEST_MINOR_UNITS or (units < 0 and not negative):
        bad.add(f"{field}.minor_units", f"is {shorten(units)}; give 0 to 2**53")
    if not isinstance(money.currency, str) or not is_currency(money.currency):
        bad.add(f"{field}.currency", f"is {shorten(money.currency)}; give an ISO 4217 code such as EUR")
    return money


def check_attributes(bad: Violations, field: str, attributes: object) -> dict[str, AttributeValue]:
    """Free attributes: at most 100, each a text, a finite number, a truth value or a list of texts."""
    if not isinstance(attributes, Mapping):
        bad.add(field, f"is {shorten(attributes)}; give a mapping")
        return {}
    if len(attributes) > MOST_ATTRIBUTES:
        bad.add(field, f"holds {len(attributes)} attributes; give at most {MOST_ATTRIBUTES}")
        return {}
    clean: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        place = f"{field}[{shorten(name)}]"
        check_id(bad, place, name)
        if isinstance(value, str):
            clean[name] = check_text(bad, place, value)
        elif isinstance(value, bool):
            clean[name] = value
        elif isinstance(value, int | float):
            clean[name] = check_number(bad, place, value, minimum=-1e300, maximum=1e300)
        elif isinstance(value, list | tuple) and len(value) > MOST_TEXTS:
            bad.add(place, f"holds {len(value):,} texts; give at most {MOST_TEXTS:,}")
        elif isinstance(value, list | tuple):
            clean[name] = tuple(check_text(bad, place, part) for part in value)
        else:
            bad.add(place, f"is {shorten(value)}; give a text, a number, true or false, or a list of texts")
    return clean


def check_values(bad: Violations, field: str, values: object, wanted: type, *, most: int) -> bool:
    """Whether `values` is a list or tuple of 1 to `most` values of one type."""
    if not isinstance(values, list | tuple):
        bad.add(field, f"is {shorten(values)}; give a list of {wanted.__name__}")
    elif not 1 <= len(values) <= most:
        bad.add(
            field, f"holds {len(values):,}; give 1 to {most:,} a call" if values else f"is empty; give 1 to {most:,}"
        )
    else:
        strange = [place for place, one in enumerate(values) if not isinstance(one, wanted)]
        for place in strange[:100]:
            bad.add(f"{field}[{place}]", f"is {shorten(values[place])}; give {wanted.__name__}(…)")
        return not strange
    return False


def check_request_id(bad: Violations, value: object) -> str:
    """The id of a request, by which a repeat is known: as any id; empty means that it is never taken for a repeat."""
    return check_id(bad, "request_id", value, required=False)


def check_time_zone(bad: Violations, field: str, name: object) -> str:
    """An IANA zone name; empty means the shop's."""
    if name == "":
        return ""
    try:
        if isinstance(name, str):
            ZoneInfo(name)
            return name
    except (KeyError, ValueError, OSError):
        pass  # reported below, like every other wrong value
    bad.add(field, f"is {shorten(name)}; give an IANA time zone such as Europe/London")
    return ""


def check_count(bad: Violations, field: str, value: object, *, most: int, least: int = 1) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bad.add(field, f"is {shorten(value)}; give a whole number from {least} to {most:,}")
        return least
    return value


def _luhn(digits: str) -> bool:
    """The check sum of card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


__all__ = [
    "CARD_KINDS",
    "EPOCH",
    "LARGEST_MINOR_UNITS",
    "LARGEST_QUANTITY",
    "LARGEST_RATING",
    "LONGEST_ID",
    "LONGEST_TEXT",
    "MOST_ATTRIBUTES",
    "MOST_TEXTS",
    "NEEDS_ITEM",
    "RATING",
    "Violations",
    "check_attributes",
    "check_count",
    "check_customer",
    "check_id",
    "check_identifier",
    "check_money",
    "check_number",
    "check_request_id",
    "check_text",
    "check_time",
    "check_time_zone",
    "check_values",
    "check_word",
    "is_word",
    "shorten",
]
