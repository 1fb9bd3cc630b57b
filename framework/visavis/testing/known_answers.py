"""Data whose right answer is known without computing anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers, Exclusions, History, Items
from visavis.testing.builders import (
    Event,
    make_customers,
    make_exclusions,
    make_history,
    make_items,
)


@dataclass(frozen=True, slots=True)
class Checkerboard:
    """Even customers like even items, odd ones odd items; each one's own number is held out.

    With what they bought excluded, `answers[r]` (item r) is the one right recommendation for customer r.
    """

    events: tuple[Event, ...]
    history: History
    items: Items
    customers: Customers
    bought: Exclusions
    answers: NDArray[np.int32]


def checkerboard(size: int = 12) -> Checkerboard:
    """A board of `size` customers and as many items.

    The idea is that of the shared model tests of the library `implicit`.
    """
    liked = [
        [item for item in range(size) if item % 2 == customer % 2 and item != customer] for customer in range(size)
    ]
    events = tuple(
        Event(customer, item, day=float(place))
        for customer in range(size)
        for place, item in enumerate(liked[customer])
    )
    return Checkerboard(
        events=events,
        history=make_history(events, n_customers=size, n_items=size),
        items=make_items(size),
        customers=make_customers(events, range(size)),
        bought=make_exclusions(size, liked),
        answers=np.arange(size, dtype=np.int32),
    )


__all__ = ["Checkerboard", "checkerboard"]
