"""The example passes the contract tests that come with Visavis, and its observer counts."""

from __future__ import annotations

import pytest
import visavis_example

from visavis import InteractionsRecorded
from visavis.testing import ChannelContract, ScorerContract, SegmenterContract


class TestNewest(ScorerContract):
    plugin = visavis_example.Newest


class TestLoyalty(SegmenterContract):
    plugin = visavis_example.Loyalty


class TestMemory(ChannelContract):
    plugin = visavis_example.Memory
    remembers_after_restart = False

    @pytest.fixture(autouse=True)
    def _empty(self) -> None:
        visavis_example.kept.clear()

    def effects(self) -> int:
        return len(visavis_example.kept)


def test_counts_what_was_recorded() -> None:
    before = visavis_example.recorded["view"]
    visavis_example.visavis_interactions_recorded(InteractionsRecorded(["view", "view"], ["a", ""], ["x", "y"]))
    assert visavis_example.recorded["view"] == before + 2
