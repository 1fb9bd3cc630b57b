"""What all plugin kinds share: a name, typed options, learned state.

scikit-learn's habits: the constructor stores its options and does nothing else; `fit` learns and returns self;
what was learned ends in `_` and is a NumPy array, a number or a text, never an object to be pickled, so that the
framework can store, share and erase it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

State = dict[str, Any]
"""Learned state by attribute name: NumPy arrays (no object dtype), ints, floats, bools, strings."""


class Plugin:
    """Base of `Scorer`, `Segmenter` and `Channel`; not subclassed directly.

    `name` is how users call the plugin: lower-case words joined by `_`. `Options` is an optional frozen
    dataclass; each field has a default, and a `doc` in its metadata. The framework fills it from the
    settings table `[plugins.<name>]`, refusing unknown keys, and shows it in `visavis plugins`.
    """

    name: ClassVar[str]
    kind: ClassVar[str]

    @dataclass(frozen=True)
    class Options:
        """No options."""

    options: Any

    def __init__(self, options: object | None = None) -> None:
        self.options = self.Options() if options is None else options

    def state(self) -> State:
        """Learned state: every instance attribute that ends in `_` (and not in `__`)."""
        return {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take back what `state()` gave, in this or an earlier process. Arrays come read-only."""
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            setattr(self, name, value)
        return self


__all__ = ["Plugin", "State"]
