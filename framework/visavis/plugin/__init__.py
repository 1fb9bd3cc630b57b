"""Plugins: the hooks, the base class of each kind, and the registry that finds and checks them."""

from __future__ import annotations

from visavis.plugin.base import Plugin, State
from visavis.plugin.channel import Channel
from visavis.plugin.hooks import InteractionsRecorded, hookimpl
from visavis.plugin.registry import Registry
from visavis.plugin.scorer import Contribution, NeighbourScorer, ReasonColumns, Scorer
from visavis.plugin.segmenter import Segmenter
from visavis.plugin.sums import Sums, SumScorer

__all__ = [
    "Channel",
    "Contribution",
    "InteractionsRecorded",
    "NeighbourScorer",
    "Plugin",
    "ReasonColumns",
    "Registry",
    "Scorer",
    "Segmenter",
    "State",
    "SumScorer",
    "Sums",
    "hookimpl",
]
