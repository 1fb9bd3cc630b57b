"""The generation that is served: fitted scorers and the memberships of segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from visavis.plugin import Scorer


@dataclass(frozen=True, slots=True)
class Memberships:
    """One segmentation: `segment_of[place]` is the segment of customer `customers[place]` (ascending)."""

    customers: NDArray[np.int32]
    segment_of: Sequence[str]

    def find(self, customer: int) -> str:
        """The segment of a customer; empty for none."""
        place = int(np.searchsorted(self.customers, customer))
        if place < len(self.customers) and self.customers[place] == customer:
            return self.segment_of[place]
        return ""


@dataclass(frozen=True, slots=True)
class Generation:
    """An immutable version of everything fitted. Number 0 means that nothing was fitted yet.

    `failed` says why scorers are left out; those of `unloaded` were fitted, but nothing here provides them.
    """

    number: int = 0
    fitted_at: datetime | None = None
    interactions: int = 0
    sequence: int = 0
    """The last commit that it learned from when it was fitted."""
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    segmentations: Mapping[str, Memberships] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    unloaded: frozenset[str] = frozenset()


__all__ = ["Generation", "Memberships"]
