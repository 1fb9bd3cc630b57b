"""A stranger's plugin: one scorer, one segmenter, one channel and one observer, each a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from visavis import Channel, Delivery, InteractionsRecorded, Message, Scorer, Segmenter, hookimpl
from visavis.history import DAY, Customers, Features, Items

recorded: Counter[str] = Counter()
"""How many interactions of each kind this process has recorded."""

kept: dict[str, Message] = {}
"""What the channel `memory` was given, by message id."""


class Newest(Scorer):
    """What came into the shop last: the day an item was first seen."""

    name: ClassVar[str] = "newest"
    personal: ClassVar[bool] = False

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        known = (candidates.codes >= 0) & (candidates.first_seen > 0)
        return np.tile(np.where(known, candidates.first_seen / DAY, np.nan), (len(customers), 1))


class Loyalty(Segmenter):
    """Customers by the number of their orders."""

    name: ClassVar[str] = "loyalty"

    def label(self, features: Features) -> Sequence[str]:
        return ["" if np.isnan(n) else "once" if n == 1 else "again" for n in features["frequency"]]


class Memory(Channel):
    """Keeps messages in memory. A repeat of the same message id takes the place of the first."""

    name: ClassVar[str] = "memory"

    def send(self, message: Message) -> Delivery:
        kept[message.message_id] = message
        return Delivery(message.message_id, accepted=True)


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    return [Newest]


@hookimpl
def visavis_segmenters() -> list[type[Segmenter]]:
    return [Loyalty]


@hookimpl
def visavis_channels() -> list[type[Channel]]:
    return [Memory]


@hookimpl
def visavis_interactions_recorded(context: InteractionsRecorded) -> None:
    recorded.update(context.kinds)
