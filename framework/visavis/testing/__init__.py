"""For plugin authors: contract tests to subclass, data with known answers, builders of plugin input.

    class TestNewest(ScorerContract):
        plugin = Newest

pytest is not needed to import this package, only to run the contract classes.
"""

from __future__ import annotations

from visavis.testing.builders import (
    Event,
    make_customers,
    make_exclusions,
    make_features,
    make_history,
    make_items,
)
from visavis.testing.channels import ChannelContract
from visavis.testing.known_answers import Checkerboard, checkerboard
from visavis.testing.scorers import NeighbourScorerContract, ScorerContract
from visavis.testing.segmenters import SegmenterContract

__all__ = [
    "ChannelContract",
    "Checkerboard",
    "Event",
    "NeighbourScorerContract",
    "ScorerContract",
    "SegmenterContract",
    "checkerboard",
    "make_customers",
    "make_exclusions",
    "make_features",
    "make_history",
    "make_items",
]
