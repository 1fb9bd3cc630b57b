"""The base class of segmenters: which customers belong together?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from visavis.history import Features
from visavis.plugin.base import Plugin


class Segmenter(Plugin):
    """Labels customers. A working segmenter needs `name` and `label`."""

    kind: ClassVar[str] = "segmenter"

    def fit(self, features: Features) -> Self:
        """Learn cut points or centres from all customers and return self. The default learns nothing."""
        return self

    def label(self, features: Features) -> Sequence[str]:
        """One label a row; empty for "in no segment"."""
        raise NotImplementedError


__all__ = ["Segmenter"]
