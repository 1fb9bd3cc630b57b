"""What a customer's interactions say of each item, as one number a pair; the same for the past and for live rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import Customers, History, kernels
from visavis.history import KindColumns

Signal = Literal["presence", "weight", "rating"]

CAUSES: tuple[tuple[str, str], ...] = (
    ("because_you_noticed", "because of {item}, which you took notice of"),
    ("because_you_viewed", "because you looked at {item}"),
    ("because_you_carted", "because you put {item} in your cart"),
    ("because_you_liked", "because you liked {item}"),
    ("because_you_bought", "because you bought {item}"),
    ("because_you_rated", "because you rated {item}"),
)
"""Kind and text of a reason, by `Tastes.cause`. What says more stands later; a rating stands by itself."""

_NOTICED = 0
"""Kinds of which only the user's own table knows what they mean."""
_CAUSE_OF_KIND = {"view": 1, "click": 1, "cart": 2, "like": 3, "purchase": 4}
_RATED = 5


@dataclass(frozen=True, slots=True)
class Tastes:
    """Customer r's items are `indptr[r]:indptr[r+1]` of `item` (int32, ascending), `value` and `cause`."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    value: NDArray[np.float64]
    cause: NDArray[np.int8]

    @property
    def owner(self) -> NDArray[np.int32]:
        """The customer row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


class _Words(NamedTuple):
    """What the kinds of a store say, by code."""

    kinds: list[str]
    meaning: KindColumns
    cause_of: NDArray[np.int8]
    fades: bool


class LiveTastes:
    """Reads the tastes of customers of requests. What was read last is kept, for a scorer is asked twice about the same
    customers, to rank and to explain. Safe in several threads."""

    def __init__(self) -> None:
        self._words: _Words | None = None
        self._last: tuple[Customers, Signal, Tastes] | None = None

    def of(self, customers: Customers, signal: Signal) -> Tastes:
        """One entry for each item that a customer has shown a liking for. Ratings as they are, not centred.

        Values by `signal`: `presence` the weight of the strongest kind; `weight` log(1 + summed weights), where lines
        of one basket count once; `rating` the latest rating. An item whose purchases were all returned says nothing,
        and neither does one that was skipped after the last good word. Ratings hold whatever was returned.
        """
        last = self._last
        if last is not None and last[0] is customers and last[1] == signal:
            return last[2]
        words = self._words
        meaning = customers.meaning
        if words is None or words.meaning is not meaning:
            words = self._words = _words_of(customers.kinds, meaning)
        tastes = _read(customers, slice(None), customers.indptr, words, signal)
        self._last = (customers, signal, tastes)
        return tastes


def read_tastes(customers: Customers, signal: Signal, now: int | None = None) -> Tastes:
    """What `LiveTastes.of` answers, kept nowhere: for many customers, who are asked about once. What fades does so as
    of `now`, if that is given."""
    words = _words_of(customers.kinds, customers.meaning)
    return _read(customers, slice(None), customers.indptr, words, signal, now)


def past_tastes(history: History, signal: Signal) -> Tastes:
    """The same of all customers of a history; nobody's rows say nothing."""
    first = int(np.searchsorted(history.customer, 0))
    indptr = np.zeros(history.n_customers + 1, dtype=np.int64)
    np.cumsum(np.bincount(history.customer[first:], minlength=history.n_customers), out=indptr[1:])
    return _read(history, slice(first, None), indptr, _words_of(history.kinds, history.meaning), signal)


def _words_of(kinds: Sequence[str], meaning: KindColumns) -> _Words:
    # Kinds may have come since, and no row that was read before is of those.
    names = list(kinds)[: len(meaning.weight)]
    causes = np.array([_CAUSE_OF_KIND.get(kind, _NOTICED) for kind in names], dtype=np.int8)
    return _Words(names, meaning, causes, bool(meaning.half_life.any()))


def _read(
    rows: History | Customers,
    whose: slice,
    indptr: NDArray[np.int64],
    words: _Words,
    signal: Signal,
    now: int | None = None,
) -> Tastes:
    kinds, meaning, cause_of, fades = words
    starts, item, value, cause = kernels.tastes_of(
        indptr,
        rows.item[whose],
        rows.kind[whose],
        rows.quantity[whose],
        rows.rating[whose],
        rows.basket[whose],
        meaning.weight,
        cause_of,
        kinds.index("purchase") if "purchase" in kinds else -1,
        kinds.index("skip") if "skip" in kinds else -1,
        signal,
        rows.time[whose] if fades else None,
        meaning.half_life if fades else None,
        rows.now if now is None else now,
    )
    if signal == "rating":
        cause = np.full(len(item), _RATED, dtype=np.int8)
    return Tastes(starts, item, value, cause)


def centred(tastes: Tastes) -> Tastes:
    """Values less the customer's own mean; entries that become 0 say nothing and are left out."""
    n_owners, owner = len(tastes.indptr) - 1, tastes.owner
    count = np.bincount(owner, minlength=n_owners)
    mean = np.bincount(owner, weights=tastes.value, minlength=n_owners) / np.maximum(count, 1)
    value = tastes.value - mean[owner]
    # a mean of equal ratings may be off by rounding, which must not count as an opinion
    says = np.abs(value) > 1e-12
    indptr = np.searchsorted(owner[says], np.arange(n_owners + 1)).astype(np.int64)
    return Tastes(indptr, tastes.item[says], value[says], tastes.cause[says])


__all__ = ["CAUSES", "LiveTastes", "Signal", "Tastes", "centred", "past_tastes", "read_tastes"]
