"""What must not be recommended: filters, availability, the caller's list, what the customer bought or skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers, Exclusions, Items
from visavis.identify.checks import Violations, check_id, check_number, shorten
from visavis.live import Live
from visavis.model import AttributeFilter

BOUGHT = ("purchase", "return")
HIDDEN = ("skip",)
MOST_FILTERS = 20
MOST_EXCLUDED = 10_000
CACHED_FILTERS = 64


class Filters:
    """Which items pass a set of filters; remembered while the catalogue stays as it is."""

    def __init__(self, live: Live) -> None:
        self._live = live
        # Items and the masks made of them go together; threads that race make a mask twice, never a wrong one.
        self._cache: tuple[Items | None, dict[tuple[AttributeFilter, ...], NDArray[np.bool_]]] = (None, {})

    def excluded(
        self, items: Items, filters: Sequence[AttributeFilter], exclude: Sequence[str], available_only: bool
    ) -> NDArray[np.bool_]:
        """bool [n_items]: what of the catalogue `items` is left out for everybody. Not to be written."""
        of, masks = self._cache
        if items is not of:
            masks = {}
            self._cache = (items, masks)
        # Lists where tuples are asked for work too, but cannot be keys.
        wanted = tuple(replace(one, any_of=tuple(one.any_of), none_of=tuple(one.none_of)) for one in filters)
        mask = masks.get(wanted)
        if mask is None:
            mask = np.zeros(len(items), dtype=np.bool_)
            for one in wanted:
                mask |= ~_passes(one, items)
            if len(masks) >= CACHED_FILTERS:
                masks.clear()
            masks[wanted] = mask
        if available_only:
            mask = mask | ~items.available
        if exclude:
            mask = mask.copy()
            codes = [self._live.catalog.ids.find(item_id) for item_id in exclude]
            mask[[code for code in codes if 0 <= code < len(mask)]] = True
        return mask


def exclusions(customers: Customers, everywhere: NDArray[np.bool_], exclude_bought: bool) -> Exclusions:
    """Add what each customer skipped and, if asked, bought."""
    hidden = customers.is_kind(*HIDDEN, *(BOUGHT if exclude_bought else ())) & (customers.item >= 0)
    # An item that came after `everywhere` was made cannot be recommended by this request anyway.
    hidden &= customers.item < len(everywhere)
    counts = np.concatenate([[0], np.cumsum(hidden)])
    return Exclusions(everywhere, counts[customers.indptr].astype(np.int64), customers.item[hidden])


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


__all__ = ["Filters", "check_excluded", "check_filters", "exclusions"]
