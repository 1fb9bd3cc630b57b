"""What must not be recommended: filters, availability, the caller's list, what the customer bought or skipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers, Exclusions, Items
from visavis.identify.checks import Violations, check_id, check_number
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
        self._of: Items | None = None
        self._masks: dict[tuple[AttributeFilter, ...], NDArray[np.bool_]] = {}

    def excluded(
        self, filters: Sequence[AttributeFilter], exclude: Sequence[str], available_only: bool
    ) -> NDArray[np.bool_]:
        """bool [n_items]: what is left out for everybody. Not to be written."""
        items = self._live.catalog.whole()
        if items is not self._of:
            self._of, self._masks = items, {}
        wanted = tuple(filters)
        if wanted not in self._masks:
            check_filters(wanted)
            mask = np.zeros(len(items), dtype=np.bool_)
            for one in wanted:
                mask |= ~_passes(one, items)
            if len(self._masks) >= CACHED_FILTERS:
                self._masks.clear()
            self._masks[wanted] = mask
        mask = self._masks[wanted]
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


def check_filters(filters: Sequence[AttributeFilter]) -> None:
    """Raises `InvalidInput` for a filter that says nothing or two things."""
    bad = Violations()
    if len(filters) > MOST_FILTERS:
        bad.add("filters", f"holds {len(filters)}; give at most {MOST_FILTERS}")
    for place, one in enumerate(filters):
        field = f"filters[{place}]"
        check_id(bad, f"{field}.name", one.name)
        ranged = one.at_least is not None or one.at_most is not None
        if bool(one.any_of) + bool(one.none_of) + ranged != 1:
            bad.add(field, "sets none or several of any_of, none_of, at_least/at_most; set one")
        for bound in ("at_least", "at_most"):
            if (value := getattr(one, bound)) is not None:
                check_number(bad, f"{field}.{bound}", value, minimum=-1e300, maximum=1e300)
    bad.check()


def check_excluded(exclude: Sequence[str]) -> None:
    """Raises `InvalidInput` for a list that is too long. Ids that no item has are fine."""
    bad = Violations()
    if len(exclude) > MOST_EXCLUDED:
        bad.add("exclude", f"holds {len(exclude):,}; give at most {MOST_EXCLUDED:,}")
    bad.check()


def _passes(one: AttributeFilter, items: Items) -> NDArray[np.bool_]:
    ranged = one.at_least is not None or one.at_most is not None
    if one.name == "price" and ranged:
        return _within(items.price, one)
    values = items.column(one.name)
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
    return (f"{value:g}" if isinstance(value, float) else str(value),)


__all__ = ["Filters", "check_excluded", "check_filters", "exclusions"]
