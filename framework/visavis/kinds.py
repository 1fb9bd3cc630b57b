"""One table of what each kind of interaction means; `[kinds.<name>]` in `visavis.toml` changes it.

Kinds are an open set: one that the table does not list is kept and learned from, and says nothing about taste.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from visavis.errors import FieldViolation, InvalidInput

FOREVER = math.inf
"""Days; `inf` or `"forever"` in the settings."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """What one kind of interaction means. The defaults are those of a kind that the table does not list."""

    weight: float = 0.0
    """How much one interaction says for its item; 0: nothing. 0 to 1,000."""
    half_life_days: float = 0.0
    """Days after which it says half as much; 0: it does not fade. 0 to 36,500."""
    hides_days: float = 0.0
    """Days for which its item is not recommended to that customer; 0: it does not hide. 0 to 36,500, or for ever."""
    trains: bool = True
    """Whether scorers learn from it. What does not train still counts in its customer's own answers."""


KIND_RULES: Mapping[str, KindRule] = MappingProxyType(
    {
        "purchase": KindRule(1.0, hides_days=FOREVER),
        "return": KindRule(0.0, hides_days=FOREVER),
        "like": KindRule(1.0),
        "cart": KindRule(0.5),
        "view": KindRule(0.2),
        "click": KindRule(0.2),
        "skip": KindRule(0.0, hides_days=90.0),
        "rating": KindRule(0.0),
    }
)
"""The table as it comes. `purchase` and `return` hide only where what was bought is to be left out."""

_LIMITS = {"weight": 1_000.0, "half_life_days": 36_500.0, "hides_days": 36_500.0}
_KEYS = tuple(field.name for field in fields(KindRule))


def read_kind_rules(table: object, source: str) -> Mapping[str, KindRule]:
    """`KIND_RULES` with the tables `[kinds.<name>]` of a settings file laid over it, key by key.

    Raises `InvalidInput` that names each unknown key and each wrong value, and what would fit.
    """
    if not isinstance(table, Mapping) or not all(isinstance(rule, Mapping) for rule in table.values()):
        raise InvalidInput([FieldViolation("kinds", f"in {source} must hold one table a kind: [kinds.view]")])
    rules = dict(KIND_RULES)
    wrong: list[FieldViolation] = []
    for kind, keys in table.items():
        if not kind.strip():
            wrong.append(FieldViolation("kinds", f"names no kind (from {source}); give [kinds.view], say"))
        values: dict[str, Any] = {}
        for key, value in keys.items():
            field = f"kinds.{kind}.{key}"
            if key not in _KEYS:
                wrong.append(FieldViolation(field, f"is no key (from {source}); known are {', '.join(_KEYS)}"))
                continue
            read = _read(key, value)
            if read is None:
                wrong.append(FieldViolation(field, f"is {value!r} (from {source}); give {_wanted(key)}"))
            else:
                values[key] = read
        rules[kind] = replace(rules.get(kind, KindRule()), **values)
    if wrong:
        raise InvalidInput(wrong)
    return MappingProxyType(rules)


def _read(key: str, value: object) -> float | bool | None:
    """The value as it must be, or None."""
    if key == "trains":
        return value if isinstance(value, bool) else None
    if key == "hides_days" and value in ("forever", FOREVER):
        return FOREVER
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LIMITS[key]:
        return None
    return float(value)


def _wanted(key: str) -> str:
    if key == "trains":
        return "true or false"
    return f"a number from 0 to {_LIMITS[key]:g}" + (', or "forever"' if key == "hides_days" else "")


__all__ = ["FOREVER", "KIND_RULES", "KindRule", "read_kind_rules"]
