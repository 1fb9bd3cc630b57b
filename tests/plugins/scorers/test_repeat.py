"""`repeat`: habits of one customer, against the plain definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.testing import Event, make_customers, make_exclusions, make_items
from visavis_plugins.scorers.repeat import Repeat


def scores(events: list[Event], decay: float = 0.5, n_items: int = 5) -> list[float]:
    scorer = Repeat(Repeat.Options(decay=decay))
    return scorer.score(make_customers(events, [0]), make_items(n_items))[0].tolist()


def test_sums_the_decayed_baskets() -> None:
    events = [
        *(Event(0, item, day=1) for item in (1, 2)),
        *(Event(0, item, day=2) for item in (1, 3, 3)),
        Event(0, 2, day=9),
    ]
    result = scores(events)
    assert result[1:4] == [0.25 + 0.5, 0.25 + 1.0, 0.5]
    assert math.isnan(result[0])


def test_baskets_of_one_day_are_ordered_by_time() -> None:
    events = [Event(0, 1, day=1.5, basket=4), Event(0, 2, day=1.2, basket=9)]
    assert scores(events)[1:3] == [1.0, 0.5]


def test_what_was_returned_is_no_habit_and_makes_no_basket() -> None:
    events = [Event(0, 1, day=1), Event(0, 2, day=2, quantity=0.0), Event(0, 3, day=3, kind="view")]
    result = scores(events)
    assert result[1] == 1.0
    assert math.isnan(result[2])
    assert math.isnan(result[3])


def test_a_new_purchase_counts_at_once() -> None:
    old = [Event(0, 1, day=1)]
    assert math.isnan(scores(old)[2])
    assert scores([*old, Event(0, 2, day=2)])[1:3] == [0.5, 1.0]


def test_one_customers_habits_are_not_anothers() -> None:
    events = [Event(0, 1, basket=7), Event(3, 2, basket=7), Event(3, 2, day=1, basket=8)]
    result = Repeat(Repeat.Options(decay=0.5)).score(make_customers(events, [3, 0]), make_items(4))
    np.testing.assert_array_equal(result, [[np.nan, np.nan, 1.5, np.nan], [np.nan, 1.0, np.nan, np.nan]])


def test_reasons_count_baskets_and_name_the_last_day() -> None:
    events = [Event(0, 1, day=day) for day in (0, 0, 3, 59)] + [Event(0, 2, day=31)]
    customers, scorer = make_customers(events, [0]), Repeat()
    codes, values = scorer.top(customers, make_items(4), 3, make_exclusions(4, [[]]))
    told = scorer.explain(customers, codes, values)
    assert [[(part.kind, part.text, part.item) for part in parts] for parts in told[0]] == [
        [("you_buy_this", "you bought it 3 times, last on 2010-03-01", 1)],
        [("you_buy_this", "you bought it once, on 2010-02-01", 2)],
        [],
    ]


_LINES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 6), st.sampled_from([0.0, 1.0, 3.0])), max_size=25
)


@given(_LINES, st.sampled_from([0.5, 0.9, 1.0]))
@settings(derandomize=True, max_examples=60)
def test_equals_the_plain_definition(lines: list[tuple[int, int, int, float]], decay: float) -> None:
    events = [Event(c, i, day=float(day), quantity=q) for c, i, day, q in lines]
    result = Repeat(Repeat.Options(decay=decay)).score(make_customers(events, [2, 0, 1]), make_items(5))
    for row, customer in enumerate([2, 0, 1]):
        baskets: dict[int, set[int]] = {}
        for c, item, day, quantity in lines:
            if c == customer and quantity:
                baskets.setdefault(day, set()).add(item)
        newest_first = [baskets[day] for day in sorted(baskets, reverse=True)]
        for item in range(5):
            parts = [decay**ago for ago, basket in enumerate(newest_first) if item in basket]
            assert result[row, item] == pytest.approx(sum(parts) if parts else math.nan, abs=1e-12, nan_ok=True)
