"""The hooks: what a plugin module may implement, marked with `hookimpl`.

Three return lists of classes. `visavis_interactions_recorded` observes and takes one context object.
Each hook has a heading of the same signature in `plugins/README.md`, a test, and a plugin that uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pluggy

from visavis.plugin.channel import Channel
from visavis.plugin.scorer import Scorer
from visavis.plugin.segmenter import Segmenter

hookspec = pluggy.HookspecMarker("visavis")
hookimpl = pluggy.HookimplMarker("visavis")


@hookspec
def visavis_scorers() -> Sequence[type[Scorer]]:
    """The scorer classes of this plugin."""
    raise NotImplementedError


@hookspec
def visavis_segmenters() -> Sequence[type[Segmenter]]:
    """The segmenter classes of this plugin."""
    raise NotImplementedError


@hookspec
def visavis_channels() -> Sequence[type[Channel]]:
    """The channel classes of this plugin."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class InteractionsRecorded:
    """What `visavis_interactions_recorded` gets: interactions that were committed just now, as columns of equal
    length. `customer_ids` and `item_ids` hold empty strings where there is none."""

    kinds: Sequence[str]
    customer_ids: Sequence[str]
    item_ids: Sequence[str]


@hookspec
def visavis_interactions_recorded(context: InteractionsRecorded) -> None:
    """Called after interactions were committed, before they are acknowledged; keep it short.

    An exception is logged with the plugin's name and does not fail the call.
    """


__all__ = [
    "InteractionsRecorded",
    "hookimpl",
    "hookspec",
    "visavis_channels",
    "visavis_interactions_recorded",
    "visavis_scorers",
    "visavis_segmenters",
]
