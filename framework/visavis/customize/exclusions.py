"""What must not be recommended: filters, availability, the caller's list, what the customer bought or skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import Customers, Exclusions, Items, KindTable
from visavis.identify.checks import Violations, check_id, check_number, shorten
from visavis.live import Live
from visavis.live.vocabulary import read_only
from visavis.model import AttributeFilter

BOUGHT = ("purchase", "return")
"""Kinds that hide only where what was bought is to be left out; all others hide in any case."""
MOST_FILTERS = 20
MOST_EXCLUDED = 10_000
CACHED_FILTERS = 64
_FOREVER_US = 2.0**62
"""Longer than all times, and short enough to be taken off any of them."""


class Filters:
    """Which items pass a set of filters; remembered while the catalogue stays as it is."""

    def __init__(self, live: Live) -> None:
        self._live = live
        # Items and what was made of them go together; threads that race make a mask twice, never a wrong one.
        self._cache: tuple[Items | None, dict[Any, NDArray[Any]]] = (None, {})

    def excluded(
        self, items: Items, filters: Sequence[AttributeFilter], exclude: Sequence[str], available_only: bool
    ) -> NDArray[np.bool_]:
        """bool [n_items]: what of the catalogue `items` is left out for everybody. Not to be written."""
        # Lists where tuples are asked for work too, but cannot be keys.
        wanted = tuple(replace(one, any_of=tuple(one.any_of), none_of=tuple(one.none_of)) for one in filters)
        made = self._made_of(items)
        mask = made.get((wanted, available_only))
        if mask is None:
            mask = np.zeros(len(items), dtype=np.bool_)
            for one in wanted:
                mask |= ~_passes(one, items)
            if available_only:
                mask |= ~items.available
            if len(made) >= CACHED_FILTERS:
                made.clear()
            made[wanted, available_only] = mask = read_only(mask)
        if exclude:
            mask = mask.copy()
            codes = [self._live.catalog.ids.find(item_id) for item_id in exclude]
            mask[[code for code in codes if 0 <= code < len(mask)]] = True
            mask = read_only(mask)
        return mask

    def groups(self, items: Items) -> NDArray[np.int32]:
        """int32 [n_items]: the group of each item of the catalogue; empty if none is in a group."""
        made = self._made_of(items)
        groups = made.get("groups")
        if groups is None:
            groups = made["groups"] = items.group if (items.group >= 0).any() else items.group[:0]
        return groups

    def _made_of(self, items: Items) -> dict[Any, NDArray[Any]]:
        of, made = self._cache
        if items is not of:
            made = {}
            self._cache = (items, made)
        return made


class Hidden:
    """What each customer skipped or bought must not be shown, for as long as the table of kinds says."""

    def __init__(self, kinds: Sequence[str], table: KindTable) -> None:
        self._kinds = kinds
        self._table = table
        self._marked: dict[bool, _Hiding] = {}

    def exclusions(self, customers: Customers, everywhere: NDArray[np.bool_], exclude_bought: bool) -> Exclusions:
        """Add to `everywhere` what each customer skipped and, if asked, bought."""
        hiding = self._marked.get(exclude_bought)
        if hiding is None or len(hiding.marked) < len(self._kinds):
            self._marked[exclude_bought] = hiding = self._hiding(exclude_bought)
        time = after = None
        if hiding.ends:
            time, after = customers.time, customers.now - hiding.for_us
        # An item that came after `everywhere` was made cannot be recommended by this request anyway.
        indptr, items = kernels.items_of(
            customers.indptr, customers.item, customers.kind, hiding.marked, len(everywhere), time, after
        )
        indptr.flags.writeable = items.flags.writeable = False
        return Exclusions(everywhere, indptr, items)

    def _hiding(self, exclude_bought: bool) -> _Hiding:
        names = list(self._kinds)
        hides = self._table.columns(names).hides
        marked = (hides > 0) & np.array([exclude_bought or name not in BOUGHT for name in names], dtype=np.bool_)
        for_us = np.where(np.isinf(hides), _FOREVER_US, hides).astype(np.int64)
        return _Hiding(read_only(marked), for_us, bool(np.isfinite(hides[marked]).any()))


class _Hiding(NamedTuple):
    """By kind: whether it hides, and for how many microseconds. `ends`: whether any ever ends."""

    marked: NDArray[np.bool_]
    for_us: NDArray[np.int64]
    ends: bool


def nobodys(everywhere: NDArray[np.bool_]) -> Exclusions:
    """What is left out for everybody, for one list that is no customer's."""
    return Exclusions(everywhere, np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int32))


def check_filters(filters: object) -> None:
    """Raises `InvalidInput` for a filter that says nothing or two things."""
    bad = Violations()
    if not isinstance(filters, list | tuple):
        bad.add("filters", f"is {shorten(filters)}; give a list of AttributeFilter")
        filters = ()
    if len(filters) > MOST_FILTERS:
        bad.add("filters", f"holds {len(filters)}; give at most {MOST_FILTERS}")
    for place, one in enumerate(filters):
        field = f"filters[{place}]"
        if not isinstance(one, AttributeFilter):
            bad.add(field, f"is {shorten(one)}; give an AttributeFilter")
            continue
        check_id(bad, f"{field}.name", one.name)
        for name in ("any_of", "none_of"):
            if not _is_texts(getattr(one, name)):
                bad.add(f"{field}.{name}", f"is {shorten(getattr(one, name))}; give a list of texts")
        ranged = one.at_least is not None or one.at_most is not None
        if bool(one.any_of) + bool(one.none_of) + ranged != 1:
            bad.add(field, "sets none or several of any_of, none_of, at_least/at_most; set one")
        for bound in ("at_least", "at_most"):
            if (value := getattr(one, bound)) is not None:
                check_number(bad, f"{field}.{bound}", value, minimum=-1e300, maximum=1e300)
    bad.check()


def check_excluded(exclude: object) -> None:
    """Raises `InvalidInput` for what is no list of ids, or too long a one. Ids that no item has are fine."""
    bad = Violations()
    if not isinstance(exclude, list | tuple) or not _is_texts(exclude):
        bad.add("exclude", f"is {shorten(exclude)}; give a list of item ids")
    elif len(exclude) > MOST_EXCLUDED:
        bad.add("exclude", f"holds {len(exclude):,}; give at most {MOST_EXCLUDED:,}")
    bad.check()


def _is_texts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def _passes(one: AttributeFilter, items: Items) -> NDArray[np.bool_]:
    ranged = one.at_least is not None or one.at_most is not None
    # A price is told by its minor units.
    if ranged and one.name == "price":
        return _within(items.price, one)
    values = [None if np.isnan(p) else float(p) for p in items.price] if one.name == "price" else items.column(one.name)
    if ranged:
        numbers = np.array(
            [value if isinstance(value, int | float) and not isinstance(value, bool) else np.nan for value in values],
            dtype=np.float64,
        )
        return _within(numbers, one)
    wanted = set(one.any_of or one.none_of)
    hit = np.array([not wanted.isdisjoint(_texts(value)) for value in values], dtype=np.bool_)
    return hit if one.any_of else ~hit


def _within(values: NDArray[np.float64], one: AttributeFilter) -> NDArray[np.bool_]:
    # A missing value is NaN and fails both comparisons.
    low = -np.inf if one.at_least is None else one.at_least
    high = np.inf if one.at_most is None else one.at_most
    return (values >= low) & (values <= high)


def _texts(value: object) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else repr(value),)
    return (str(value),)


__all__ = ["Filters", "Hidden", "check_excluded", "check_filters", "nobodys"]
