"""What the contract of every plugin kind says about names, options and learned state."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from visavis.plugin.base import Plugin, State
from visavis.plugin.options import build_options, options_schema


class PluginContract:
    """Base of the contract classes; not subclassed directly.

    `plugin` is the class under test, `options` its table of settings (by default none).
    """

    plugin: ClassVar[type[Any]]
    options: Mapping[str, Any] = {}

    def make(self) -> Any:
        """A fresh instance, built from `options` as the framework builds it."""
        return self.plugin(build_options(self.plugin, self.options))

    def test_has_a_name(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", self.plugin.name), f"{self.plugin.name!r} is no plugin name"

    def test_options_have_defaults_and_docs(self) -> None:
        build_options(self.plugin, {})
        schema: Any = options_schema(self.plugin)
        silent = [key for key, entry in schema["properties"].items() if not entry.get("description")]
        assert not silent, f"options without a doc in their metadata: {silent}"

    def test_constructor_only_stores(self) -> None:
        options = build_options(self.plugin, self.options)
        made: Plugin = self.plugin(options)
        assert made.options is options, "the constructor must keep the options it was given"
        assert made.state() == {}, "the constructor must not learn; nothing that ends in _ may exist before fit"


def through_the_store(state: State) -> State:
    """State as it comes back from the store: arrays by value, without pickle, everything else as it is."""
    assert all(name.endswith("_") for name in state), "names of learned state end in _"
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    others = {name: value for name, value in state.items() if name not in arrays}
    for name, value in others.items():
        assert isinstance(value, bool | int | float | str), (
            f"{name} is a {type(value).__name__}; use an array or a scalar"
        )
    buffer = io.BytesIO()
    # raises ValueError for arrays of objects
    np.savez(buffer, allow_pickle=False, **arrays)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        return {**others, **{name: stored[name] for name in arrays}}


def assert_same_state(one: State, other: State) -> None:
    """Two learned states are equal in names, types and values."""
    assert one.keys() == other.keys(), f"learned names differ: {sorted(one)} and {sorted(other)}"
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == other[name].dtype, f"{name} is {value.dtype} and {other[name].dtype}"
            np.testing.assert_array_equal(value, other[name], err_msg=name)
        else:
            assert value == other[name], f"{name} is {value!r} and {other[name]!r}"


__all__ = ["PluginContract", "assert_same_state", "through_the_store"]
