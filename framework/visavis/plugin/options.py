"""Typed options of plugins: a frozen dataclass is the schema, a table of the settings file fills it.

A field's type is one of `bool`, `int`, `float`, `str`, `Literal[...]` and `tuple[str, ...]`; it has a default. Its
metadata may hold `doc` (one line for people), `minimum` and `maximum` (both allowed values).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from visavis.errors import FieldViolation, InvalidInput, PluginError
from visavis.plugin.base import Plugin

_SCALARS: Mapping[object, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_WANTED: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def build_options(plugin: type[Plugin], given: Mapping[str, Any]) -> Any:
    """The plugin's `Options`, filled from `given` and its defaults.

    Raises `InvalidInput` whose violations name the plugin, the key, the value and what would fit, and `PluginError`
    if the `Options` class itself breaks a rule.
    """
    fields = _fields(plugin)
    violations = [
        FieldViolation(
            f"plugins.{plugin.name}.{key}",
            f"is no option of {plugin.name}; {'known are ' + ', '.join(sorted(fields)) if fields else 'it has none'}",
        )
        for key in given
        if key not in fields
    ]
    values: dict[str, Any] = {}
    for key, (field, annotation) in fields.items():
        value = given[key] if key in given else _default(plugin, field)
        try:
            values[key] = _checked(value, annotation, field.metadata)
        except ValueError as error:
            violations.append(FieldViolation(f"plugins.{plugin.name}.{key}", f"is {value!r}; give {error}"))
    if violations:
        raise InvalidInput(violations, metadata={"plugin": plugin.name})
    try:
        return plugin.Options(**values)
    except ValueError as error:
        # a rule across fields, from the plugin's own __post_init__
        raise InvalidInput(
            [FieldViolation(f"plugins.{plugin.name}", str(error))], metadata={"plugin": plugin.name}
        ) from error


def options_schema(plugin: type[Plugin]) -> dict[str, object]:
    """JSON Schema (2020-12) of the plugin's options. Raises `PluginError` as `build_options` does."""
    properties: dict[str, object] = {}
    for key, (field, annotation) in _fields(plugin).items():
        entry = _type_schema(annotation)
        default = _default(plugin, field)
        entry["default"] = list(default) if isinstance(default, tuple) else default
        for name, word in (("doc", "description"), ("minimum", "minimum"), ("maximum", "maximum")):
            if name in field.metadata:
                entry[word] = field.metadata[name]
        properties[key] = entry
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _fields(plugin: type[Plugin]) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    options: Any = plugin.Options
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        raise PluginError(f"Options of {plugin.name} is no dataclass; write @dataclass(frozen=True) above it")
    if not options.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"Options of {plugin.name} can be changed; write @dataclass(frozen=True) above it")
    try:
        hints = typing.get_type_hints(options)
    except NameError as error:
        raise PluginError(f"Options of {plugin.name} has a type that cannot be found: {error}") from error
    fields = {field.name: (field, hints[field.name]) for field in dataclasses.fields(options) if field.init}
    for key, (_, annotation) in fields.items():
        if (
            annotation not in _SCALARS
            and annotation != tuple[str, ...]
            and typing.get_origin(annotation) is not Literal
        ):
            raise PluginError(
                f"option {key} of {plugin.name} has the type {annotation!r}; "
                "supported are bool, int, float, str, Literal[...] and tuple[str, ...]"
            )
    return fields


def _default(plugin: type[Plugin], field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise PluginError(f"option {field.name} of {plugin.name} has no default; give it one")


def _checked(value: object, annotation: Any, metadata: Mapping[str, Any]) -> object:
    """The value in its declared type. Raises `ValueError` whose text says what would fit."""
    if typing.get_origin(annotation) is Literal:
        choices = typing.get_args(annotation)
        # True == 1 in Python, but an option that is 1 or 2 must refuse true
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise ValueError("one of " + ", ".join(repr(choice) for choice in choices))
        return value
    if annotation == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise ValueError("a list of texts")
        return tuple(value)
    if annotation in (bool, str):
        if not isinstance(value, annotation):
            raise ValueError(_WANTED[annotation])
        return value
    return _number(value, annotation, metadata)


def _number(value: object, annotation: Any, metadata: Mapping[str, Any]) -> int | float:
    minimum, maximum = metadata.get("minimum", -math.inf), metadata.get("maximum", math.inf)
    wanted = _WANTED[annotation]
    if minimum != -math.inf:
        wanted += f" from {minimum:g}"
    if maximum != math.inf:
        wanted += f" up to {maximum:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(wanted)
    try:
        number: int | float = annotation(value)
    except (OverflowError, ValueError):  # an infinity or NaN as int, a huge int as float
        raise ValueError(wanted) from None
    if number != value or not minimum <= number <= maximum or abs(number) == math.inf:
        raise ValueError(wanted)
    return number


def _type_schema(annotation: Any) -> dict[str, object]:
    if typing.get_origin(annotation) is Literal:
        choices: Sequence[object] = typing.get_args(annotation)
        return {"enum": list(choices)}
    if annotation == tuple[str, ...]:
        return {"type": "array", "items": {"type": "string"}}
    return {"type": _SCALARS[annotation]}


__all__ = ["build_options", "options_schema"]
