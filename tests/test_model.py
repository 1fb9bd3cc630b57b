"""Values are frozen, comparable, and made without more than they need."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from visavis import errors, model


@pytest.mark.parametrize("name", [name for name in model.__all__ if inspect.isclass(getattr(model, name))])
def test_values_are_frozen_and_documented(name: str) -> None:
    value = getattr(model, name)
    assert dataclasses.is_dataclass(value)
    assert value.__dataclass_params__.frozen
    assert hasattr(value, "__slots__")
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}(")


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_have_a_reason_and_a_place_in_the_tree(name: str) -> None:
    error = getattr(errors, name)
    if not issubclass(error, errors.VisavisError):
        return
    assert error.reason.isupper()
    assert f" {name} " in (errors.__doc__ or "") + " " or name == "VisavisError"
    made = error("what, where and what to do", reason="OTHER", metadata={"a": "b"})
    assert (str(made), made.message, made.reason, made.metadata) == (
        "what, where and what to do",
        "what, where and what to do",
        "OTHER",
        {"a": "b"},
    )


def test_violations_are_told_in_one_line() -> None:
    bad = [errors.FieldViolation("a", "is wrong"), errors.FieldViolation("b", "too"), errors.FieldViolation("c", "too")]
    assert str(errors.InvalidInput(bad)) == "a: is wrong (and 2 more fields)"
    assert errors.InvalidInput(bad).violations == tuple(bad)
    assert errors.InvalidInput("plainly").violations == ()
