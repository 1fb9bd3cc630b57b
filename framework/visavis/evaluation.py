"""Values of an evaluation: how well each scorer would have foretold what customers bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. `places`: of the first so many places of each list; `error`: one standard error over customers, None
    where the figure is not a mean over customers, or there is one customer only."""

    name: str
    places: int
    value: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """How one scorer did at one task, over so many customers. `baseline`: it is what others must beat.

    `seconds`: what fitting it on the past took; the same at each task.
    """

    scorer: str
    baseline: bool
    task: str
    customers: int
    measures: tuple[Measure, ...]
    seconds: float

    def value(self, name: str, places: int) -> float:
        """The value of one measure. Raises `KeyError` for one that was not taken."""
        return self.measure(name, places).value

    def measure(self, name: str, places: int) -> Measure:
        """One measure. Raises `KeyError` for one that was not taken."""
        for one in self.measures:
            if (one.name, one.places) == (name, places):
                return one
        raise KeyError(f"{name} at {places}")


@dataclass(frozen=True, slots=True)
class Compared:
    """One scorer beside another at one task: mean difference of a measure for the same customers, with the 95 %
    interval of a paired bootstrap. `verdict`: better, worse or unclear (the interval holds 0)."""

    task: str
    scorer: str
    against: str
    measure: str
    places: int
    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it. All before `begin` was known to the scorers; what was bought from then until `end` (not
    included) was to be foretold. Both are None where past and truth were given as files.

    `items`: how many could be recommended; `known_interactions`: how many the scorers learned from; `truths`: how many
    pairs of customer and item were to be foretold. `failed`: why scorers were left out, by name.
    """

    begin: datetime | None
    end: datetime | None
    items: int
    known_interactions: int
    truths: int
    seed: int
    judged: tuple[Judged, ...]
    compared: tuple[Compared, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


__all__ = ["Compared", "Evaluation", "Judged", "Measure"]
