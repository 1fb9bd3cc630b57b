"""What a scenario tells of each thing that it tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the report; `good` is False when a promise was broken."""

    good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok ' if self.good else 'BAD'} {self.text}"


__all__ = ["Found"]
