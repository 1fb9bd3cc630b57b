"""Money: integer minor units of an ISO 4217 currency."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

_ZERO = ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]
_THREE = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]
_EXPONENTS = {**dict.fromkeys(_ZERO, 0), **dict.fromkeys(_THREE, 3)}


def is_currency(code: str) -> bool:
    """Whether `code` has the form of an ISO 4217 code: three capital letters."""
    return re.fullmatch(r"[A-Z]{3}", code) is not None


def exponent(currency: str) -> int:
    """Decimal places of a currency's minor unit: 2 but for the exceptions of ISO 4217."""
    return _EXPONENTS.get(currency, 2)


def to_minor_units(amount: Decimal, currency: str) -> int:
    """A decimal amount in minor units, half to even."""
    return int((amount * (Decimal(10) ** exponent(currency))).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def format_money(minor_units: int, currency: str) -> str:
    """For people: `12.34 GBP`."""
    places = exponent(currency)
    return f"{Decimal(minor_units).scaleb(-places):.{places}f} {currency}"


__all__ = ["exponent", "format_money", "is_currency", "to_minor_units"]
