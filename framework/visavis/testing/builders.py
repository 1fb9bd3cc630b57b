"""Histories, customers, items, exclusions and features from plain lists, for tests.

Codes are used as they come: customer 3 is code 3 and is called `customer-3`. Days count from 2010-01-01 UTC. All
arrays are read-only, so that code which changes its input fails where it does so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from visavis.history import DAY, Customers, Exclusions, Features, History, Items

DAY_ZERO = int(np.datetime64("2010-01-01", "us").astype(np.int64))
"""Day 0 of all builders, in microseconds since 1970."""

KINDS = ("purchase", "return", "view", "cart", "like", "skip", "click", "rating")
"""Kinds by code. Other kinds follow in order of appearance."""


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction. `customer` −1 is nobody, `item` −1 none.

    `basket` None: one customer's interactions of one day share a basket. `quantity` is what is left after returns.
    """

    customer: int
    item: int
    kind: str = "purchase"
    day: float = 0.0
    quantity: float = 1.0
    amount: float = 100.0
    rating: float = math.nan
    basket: int | None = None


EventLike = Event | tuple[Any, ...]
"""An `Event` or a tuple of its first fields: `(customer, item)`, `(customer, item, "view", 3.5)`."""


def make_items(
    n: int,
    *,
    codes: Sequence[int] | None = None,
    price: Sequence[float] | None = None,
    available: Sequence[bool] | None = None,
    group: Sequence[int] | None = None,
    first_seen_day: Sequence[float] | None = None,
    attributes: Mapping[str, Sequence[object]] | None = None,
) -> Items:
    """A catalogue of n items with codes 0 … n − 1, or with `codes` if given (−1 for an unknown id).

    The sequences are aligned with the items. Attributes are looked up by code, None where there is none.
    """
    numbers = _array(range(n) if codes is None else codes, np.int32)
    columns = {name: dict(zip(numbers.tolist(), values, strict=True)) for name, values in (attributes or {}).items()}

    def read_column(name: str, wanted: NDArray[np.int32]) -> NDArray[Any]:
        known = columns.get(name, {})
        values = np.empty(len(wanted), dtype=object)
        values[:] = [known.get(code) for code in wanted.tolist()]
        return values

    seen = [0] * n if first_seen_day is None else [_time(day) for day in first_seen_day]
    return Items(
        codes=numbers,
        ids=[f"item-{code}" if code >= 0 else f"unknown-{place}" for place, code in enumerate(numbers.tolist())],
        price=_array([math.nan] * n if price is None else price, np.float64),
        available=_array([True] * n if available is None else available, np.bool_),
        group=_array([-1] * n if group is None else group, np.int32),
        first_seen=_array(seen, np.int64),
        read_column=read_column,
        read_names=lambda: sorted(columns.keys() - {"name", "group_id", "category", "brand"}),
    )


def make_history(
    events: Iterable[EventLike],
    *,
    n_customers: int | None = None,
    n_items: int | None = None,
    items: Items | None = None,
    now_day: float | None = None,
    currency: str = "EUR",
) -> History:
    """A history of these events, sorted as the contract says.

    The vocabularies are as long as the largest codes need, unless `n_customers`, `n_items` or `items` say more.
    Now is the last event's time, unless `now_day` says otherwise.
    """
    rows = sorted(_events(events), key=lambda event: (event.customer, event.day))
    if items is None:
        items = make_items(max([-1, *(event.item for event in rows)]) + 1 if n_items is None else n_items)
    kinds = _kinds(rows)
    return History(
        n_customers=max([-1, *(e.customer for e in rows)]) + 1 if n_customers is None else n_customers,
        items=items,
        kinds=kinds,
        now=_time(_last_day(rows) if now_day is None else now_day),
        currency=currency,
        customer=_array([event.customer for event in rows], np.int32),
        amount=_array([event.amount for event in rows], np.float64),
        **_columns(rows, kinds),
    )


def make_customers(events: Iterable[EventLike], codes: Sequence[int], *, now_day: float | None = None) -> Customers:
    """The customers `codes` with those of the events that are theirs; code −1 is an unknown one without any."""
    everything = sorted(_events(events), key=lambda event: event.day)
    own = [[event for event in everything if event.customer == code >= 0] for code in codes]
    rows = [event for part in own for event in part]
    kinds = _kinds(everything)
    return Customers(
        codes=_array(codes, np.int32),
        ids=[f"customer-{code}" if code >= 0 else f"unknown-{place}" for place, code in enumerate(codes)],
        kinds=kinds,
        now=_time(_last_day(everything) if now_day is None else now_day),
        indptr=_array(np.cumsum([0, *map(len, own)]), np.int64),
        **_columns(rows, kinds),
    )


def make_exclusions(n_items: int, per_customer: Sequence[Iterable[int]], everywhere: Iterable[int] = ()) -> Exclusions:
    """Item codes that nobody gets, and those that each customer does not get."""
    mask = np.zeros(n_items, dtype=bool)
    mask[list(everywhere)] = True
    own = [sorted(codes) for codes in per_customer]
    return Exclusions(
        everywhere=_array(mask, np.bool_),
        indptr=_array(np.cumsum([0, *map(len, own)]), np.int64),
        indices=_array([code for codes in own for code in codes], np.int32),
    )


def make_features(rows: Sequence[tuple[float, float, float, float]], **columns: Sequence[object]) -> Features:
    """One customer a row of `(recency_days, frequency, monetary, tenure_days)`, and further columns."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    names = ("recency_days", "frequency", "monetary", "tenure_days")
    return Features(
        codes=_array(range(len(table)), np.int32),
        ids=[f"customer-{code}" for code in range(len(table))],
        columns={
            **{name: _array(table[:, place], np.float64) for place, name in enumerate(names)},
            **{name: _array(values, None) for name, values in columns.items()},
        },
    )


def _events(events: Iterable[EventLike]) -> list[Event]:
    return [event if isinstance(event, Event) else Event(*event) for event in events]


def _kinds(rows: Sequence[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*KINDS, *(event.kind for event in rows)]))


def _last_day(rows: Sequence[Event]) -> float:
    return max((event.day for event in rows), default=0.0)


def _time(day: float) -> int:
    return DAY_ZERO + round(day * DAY)


def _columns(rows: Sequence[Event], kinds: Sequence[str]) -> dict[str, Any]:
    """The columns that `History` and `Customers` share."""
    baskets: dict[object, int] = {}
    names = [(event.customer, math.floor(event.day)) if event.basket is None else event.basket for event in rows]
    return {
        "item": _array([event.item for event in rows], np.int32),
        "kind": _array([kinds.index(event.kind) for event in rows], np.uint16),
        "time": _array([_time(event.day) for event in rows], np.int64),
        "quantity": _array([event.quantity for event in rows], np.float64),
        "rating": _array([event.rating for event in rows], np.float64),
        "basket": _array([baskets.setdefault(name, len(baskets)) for name in names], np.int64),
    }


def _array(values: Any, dtype: DTypeLike | None) -> NDArray[Any]:
    array = np.array(values if isinstance(values, np.ndarray) else list(values), dtype=dtype)
    array.flags.writeable = False
    return array


__all__ = [
    "DAY_ZERO",
    "KINDS",
    "Event",
    "EventLike",
    "make_customers",
    "make_exclusions",
    "make_features",
    "make_history",
    "make_items",
]
