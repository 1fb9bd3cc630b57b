"""JSON texts become messages, by the rules of proto3 JSON and stricter where a slip would pass unseen.

Our own, because the errors of `google.protobuf.json_format` do not say which field they mean, and because it takes
an empty list for an empty object. Fields may be named `customerId` or `customer_id`. Refused with the field named:
names that are no field, a name or an alternative given twice, values of another type or out of range.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from visavis.errors import FieldViolation, InvalidInput

_WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_QUOTED = 40
_MOST_PARTS = 250_000  # 10,000 interactions with 12 fields and a customer each
_FORMS = {
    "google.protobuf.Timestamp": 'a time such as "2026-01-31T12:00:00Z"',
    "google.protobuf.FieldMask": 'names of fields with commas between, such as "name,groupId"',
}


class _Twice(ValueError):
    """A name stands twice in one object."""


def parse_json(data: bytes, make: Callable[[], Message]) -> Message:
    """The message that a UTF-8 JSON text says. Raises `InvalidInput` with one clear line."""
    message = make()
    _fill(message, _load(data), "")
    return message


def _load(data: bytes) -> Any:
    if not data.strip():
        raise InvalidInput("the body is empty; send a JSON object, {} at least")
    if data.startswith(b"\xef\xbb\xbf"):
        raise InvalidInput("the body begins with a byte order mark; send JSON in UTF-8 without one")
    # Nothing else runs while the parser does, and its time goes by the number of values; to count them is quick.
    if sum(map(data.count, (b",", b"[", b"{"))) > _MOST_PARTS:
        raise InvalidInput(f"the body has more than {_MOST_PARTS:,} commas and opening brackets; send less at once")
    try:
        return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8 text (byte {error.start + 1}); send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"the body is not valid JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply; no message of the API goes that deep") from None
    except _Twice as error:
        raise InvalidInput(f"the body names {_quote(error.args[0])} twice in one object; name it once") from None
    except ValueError:  # of int(), for thousands of digits
        raise InvalidInput("the body holds a number with more digits than any field takes") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        met: set[str] = set()
        for name, _ in pairs:
            if name in met:
                raise _Twice(name)
            met.add(name)
    return made


def _no_constant(text: str) -> NoReturn:
    raise InvalidInput(f"the body is not valid JSON: {text} is no number there; leave the field out")


def _fill(message: Message, value: Any, path: str) -> None:
    if not isinstance(value, dict):
        _refuse(path or "body", value, "an object")
    descriptor: Any = message.DESCRIPTOR
    known = _fields(descriptor)
    given: dict[str, str] = {}
    for name, one in value.items():
        here = f"{path}.{name}" if path else name
        field = known.get(name)
        if field is None:
            names = ", ".join(field.json_name for field in descriptor.fields) or "no fields"
            raise _invalid(here, f"is no field of {descriptor.name}, which has {names}")
        if one is None:
            continue  # as if it were not there
        # The oneof's name cannot be a field's: they share one scope.
        for taken in (field.name, field.containing_oneof.name if field.containing_oneof else field.name):
            if given.get(taken, name) != name:
                raise _invalid(here, f"must not be set together with {given[taken]}; set one of them")
            given[taken] = name
        _set(message, field, one, here)


@cache
def _fields(descriptor: Descriptor) -> dict[str, Any]:
    """Fields by both of their names."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


def _set(message: Any, field: Any, value: Any, path: str) -> None:
    entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
    held = entry.fields_by_name["value"] if entry else field
    if held.type not in _SCALARS and not _is_own(held.message_type):
        _by_library(message, field, value, path)
    elif entry:
        _set_entries(getattr(message, field.name), held, value, path)
    elif field.is_repeated:
        if not isinstance(value, list):
            _refuse(path, value, "a list")
        values = getattr(message, field.name)
        for row, one in enumerate(value):
            if held.message_type:
                _fill(values.add(), one, f"{path}[{row}]")
            else:
                values.append(_SCALARS[held.type](one, f"{path}[{row}]"))
    elif held.message_type:
        part = getattr(message, field.name)
        part.SetInParent()
        _fill(part, value, path)
    else:
        setattr(message, field.name, _SCALARS[held.type](value, path))


def _set_entries(entries: Any, held: Any, value: Any, path: str) -> None:
    """Fill a map; all maps of the API have texts as keys."""
    if not isinstance(value, dict):
        _refuse(path, value, "an object")
    for key, one in value.items():
        here = f"{path}[{_quote(key)}]"
        name = _text(key, here)
        if held.message_type:
            _fill(entries[name], one, here)
        else:
            entries[name] = _SCALARS[held.type](one, here)


def _is_own(descriptor: Any) -> bool:
    """Whether a message is written field by field; Google's own (times, masks) have forms of their own."""
    return descriptor is not None and not descriptor.full_name.startswith("google.protobuf.")


def _by_library(message: Message, field: Any, value: Any, path: str) -> None:
    try:
        json_format.ParseDict({field.json_name: value}, message)
    except (json_format.ParseError, ValueError, TypeError, OverflowError, AttributeError):
        name = field.message_type.full_name if field.message_type else ""
        _refuse(path, value, _FORMS.get(name, "it the form of proto3 JSON"))


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        _refuse(path, value, "a text in quotes")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(path, "holds half of a surrogate pair, which is no character; send both halves") from None
    return value


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        _refuse(path, value, "true or false, without quotes")
    return value


def _whole(lowest: int, highest: int) -> Callable[[Any, str], int]:
    """What reads whole numbers of one size. Also `"17"` and `1e3`, as proto3 JSON wants."""

    def read(value: Any, path: str) -> int:
        number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            _refuse(path, value, "a whole number")
        if not lowest <= number <= highest:
            _refuse(path, value, f"{lowest} to {highest}")
        return number

    return read


def _number(value: Any, path: str) -> float:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]  # whoever wants a finite number says so, with the field named
        number = float(value) if _NUMBER.fullmatch(value) else None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        number = None
    else:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    if number is None:
        _refuse(path, value, "a number")
    if math.isinf(number):
        _refuse(path, value, "a number that a double can hold")
    return number


_SCALARS: dict[int, Callable[[Any, str], Any]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BOOL: _flag,
    FieldDescriptor.TYPE_INT32: _whole(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: _whole(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_DOUBLE: _number,
}
"""What reads each plain type that requests have; what is not here goes to the library."""


def _refuse(path: str, value: Any, wanted: str) -> NoReturn:
    raise _invalid(path, f"is {_quote(value)}; give {wanted}")


def _invalid(path: str, description: str) -> InvalidInput:
    return InvalidInput([FieldViolation(path[:200], description)])


def _quote(value: Any) -> str:
    """The beginning of a value, as JSON."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value if not isinstance(value, str) else value[:_QUOTED])
    return text if len(text) <= 2 * _QUOTED else f"{text[:_QUOTED]}…"


__all__ = ["parse_json"]
