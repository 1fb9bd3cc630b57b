"""How much is measured, and where things are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for, as the sections need it."""

    sets: tuple[str, ...]
    """Names of the sets asked for; empty: what each section takes by itself."""
    quick: bool
    most_rounds: int
    """How often each competitor is asked at most, in turn."""
    seconds: float
    """How long a server is called each time."""
    cache: Path
    """Sets and imported stores, kept from run to run."""
    scratch: Path
    """Gone when the run ends."""

    def chosen(self, usual: tuple[str, ...], quick: tuple[str, ...]) -> tuple[str, ...]:
        """The sets for a section that by itself takes `usual`."""
        return self.sets or (quick if self.quick else usual)

    def rounds(self, usual: int) -> int:
        """How often each competitor is asked where `usual` times is enough."""
        return min(self.most_rounds, usual)


__all__ = ["Plan"]
