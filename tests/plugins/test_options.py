"""Options: what is taken, what is refused, and the schema that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.errors import InvalidInput, PluginError
from visavis.plugin import Scorer
from visavis.plugin.options import build_options, options_schema


class Sample(Scorer):
    name: ClassVar[str] = "sample"

    @dataclass(frozen=True)
    class Options:
        how: Literal["a", "b", 3] = field(default="a", metadata={"doc": "a way"})
        count: int = field(default=2, metadata={"minimum": 1, "maximum": 9})
        share: float = field(default=0.5, metadata={"minimum": 0})
        exact: bool = False
        label: str = "x"
        kinds: tuple[str, ...] = ("view",)

        def __post_init__(self) -> None:
            if self.exact and self.count > 5:
                raise ValueError("exact allows a count of up to 5")


def test_defaults() -> None:
    assert build_options(Sample, {}) == Sample.Options()


def test_values_take_their_declared_type() -> None:
    built = build_options(Sample, {"how": 3, "count": 4.0, "share": 1, "exact": True, "label": "", "kinds": ["a", "b"]})
    assert built == Sample.Options(how=3, count=4, share=1.0, exact=True, label="", kinds=("a", "b"))
    assert (type(built.count), type(built.share)) == (int, float)


REFUSED: list[tuple[str, Any, str]] = [
    ("how", "c", "one of 'a', 'b', 3"),
    ("how", True, "one of"),
    ("count", 0, "a whole number from 1 up to 9"),
    ("count", 10, "a whole number from 1 up to 9"),
    ("count", 2.5, "a whole number"),
    ("count", True, "a whole number"),
    ("count", "2", "a whole number"),
    ("count", 10**30, "a whole number"),
    ("count", float("inf"), "a whole number"),
    ("share", -0.1, "a number from 0"),
    ("share", float("nan"), "a number"),
    ("share", float("inf"), "a number"),
    ("share", 10**309, "a number"),
    ("share", None, "a number"),
    ("exact", 1, "true or false"),
    ("label", 1, "a text"),
    ("kinds", "view", "a list of texts"),
    ("kinds", [1], "a list of texts"),
]


@pytest.mark.parametrize(("key", "value", "wanted"), REFUSED, ids=lambda value: str(value)[:20])
def test_values_that_do_not_fit(key: str, value: Any, wanted: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        build_options(Sample, {key: value})
    (violation,) = caught.value.violations
    assert violation.field == f"plugins.sample.{key}"
    assert violation.description.startswith(f"is {value!r}; give {wanted}")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput, match="and 1 more field") as caught:
        build_options(Sample, {"cuont": 3, "count": 0})
    assert caught.value.violations[0].description == (
        "is no option of sample; known are count, exact, how, kinds, label, share"
    )


def test_rules_across_fields() -> None:
    with pytest.raises(InvalidInput, match=r"plugins\.sample: exact allows a count of up to 5"):
        build_options(Sample, {"exact": True, "count": 6})


def test_schema() -> None:
    assert options_schema(Sample) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "how": {"enum": ["a", "b", 3], "default": "a", "description": "a way"},
            "count": {"type": "integer", "default": 2, "minimum": 1, "maximum": 9},
            "share": {"type": "number", "default": 0.5, "minimum": 0},
            "exact": {"type": "boolean", "default": False},
            "label": {"type": "string", "default": "x"},
            "kinds": {"type": "array", "items": {"type": "string"}, "default": ["view"]},
        },
    }


_TEXT = st.sampled_from(["", "a", "view"])


@given(
    st.dictionaries(
        st.sampled_from(["how", "count", "share", "exact", "label", "kinds", "other"]),
        st.none()
        | st.booleans()
        | st.integers(-2, 12)
        | st.floats()
        | _TEXT
        | st.lists(_TEXT | st.integers(), max_size=2),
    )
)
@settings(derandomize=True, max_examples=60)
def test_whatever_is_given_is_taken_or_refused_with_its_key(given_options: dict[str, Any]) -> None:
    try:
        built = build_options(Sample, given_options)
    except InvalidInput as error:
        refused = {violation.field.removeprefix("plugins.sample").lstrip(".") for violation in error.violations}
        # the empty name is the rule across fields
        if not refused <= {*given_options, ""}:
            raise
    else:
        assert set(given_options) <= set(vars(built))


def _plugin(options: type) -> type[Scorer]:
    return type("Broken", (Scorer,), {"name": "broken", "Options": options})


def test_options_classes_that_break_the_rules() -> None:
    @dataclass
    class Changeable:
        x: int = 1

    @dataclass(frozen=True)
    class Needy:
        x: int

    @dataclass(frozen=True)
    class Strange:
        x: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class Nameless:
        x: Nowhere = 1  # type: ignore[name-defined]  # noqa: F821

    for options, message in (
        (Changeable, "can be changed"),
        (Needy, "option x of broken has no default"),
        (Strange, "supported are bool, int, float"),
        (Nameless, "has a type that cannot be found"),
        (dict, "is no dataclass"),
    ):
        with pytest.raises(PluginError, match=message):
            build_options(_plugin(options), {})


def test_a_default_out_of_range_is_told_too() -> None:
    @dataclass(frozen=True)
    class Wrong:
        x: int = field(default=0, metadata={"minimum": 1})

    with pytest.raises(InvalidInput, match=r"plugins\.broken\.x: is 0; give a whole number from 1"):
        build_options(_plugin(Wrong), {})
