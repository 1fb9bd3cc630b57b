"""Money by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from visavis.money import exponent, format_money, is_currency, to_minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "units", "text"),
    [
        ("12.34", "GBP", 1234, "12.34 GBP"),
        ("0.05", "EUR", 5, "0.05 EUR"),
        ("-1.50", "EUR", -150, "-1.50 EUR"),
        ("500", "JPY", 500, "500 JPY"),
        ("1.234", "KWD", 1234, "1.234 KWD"),
    ],
)
def test_there_and_back(amount: str, currency: str, units: int, text: str) -> None:
    assert to_minor_units(Decimal(amount), currency) == units
    assert format_money(units, currency) == text


def test_half_goes_to_even() -> None:
    assert [to_minor_units(Decimal(text), "EUR") for text in ("0.005", "0.015", "0.025")] == [0, 2, 2]


@pytest.mark.parametrize(
    ("code", "fine"), [("EUR", True), ("eur", False), ("EURO", False), ("", False), ("EUR\n", False)]
)
def test_codes(code: str, fine: bool) -> None:
    assert is_currency(code) == fine


def test_exponents() -> None:
    assert (exponent("EUR"), exponent("JPY"), exponent("KWD")) == (2, 0, 3)
