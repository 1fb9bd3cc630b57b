"""`popularity`: what counts, how it fades, and what it says of it."""

from __future__ import annotations

import numpy as np
import pytest

from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.popularity import Popularity

NOBODY = make_customers([], [-1])


def fitted(events: list[Event], *, n_items: int = 5, now_day: float | None = None, **options: float) -> Popularity:
    scorer = Popularity(Popularity.Options(**options))  # type: ignore[arg-type]
    return scorer.fit(make_history(events, n_items=n_items, now_day=now_day))


def scores(scorer: Popularity, n_items: int = 5) -> list[float]:
    return scorer.score(NOBODY, make_items(n_items))[0].tolist()


def reason(scorer: Popularity, item: int, now_day: float) -> str:
    customers = make_customers([], [-1], now_day=now_day)
    chosen = np.array([[item]], dtype=np.int32)
    ((told,),) = scorer.explain(customers, chosen, scorer.score(customers, make_items(5))[:, [item]])
    return told[0].text


def test_counts_each_buyer_once_and_each_nameless_basket_once() -> None:
    events = [
        *(Event(0, 1, basket=basket) for basket in range(9)),
        Event(0, 2, basket=20),
        Event(1, 2, basket=21),
        *(Event(-1, 3, basket=basket) for basket in (30, 30, 31, 32)),
    ]
    assert scores(fitted(events, half_life_days=0))[1:4] == [1.0, 2.0, 3.0]


def test_only_purchases_that_were_kept_count() -> None:
    events = [Event(0, 1), Event(1, 2, quantity=0.0), Event(1, 3, kind="view"), Event(0, -1)]
    assert scores(fitted(events, half_life_days=0)) == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_a_buyer_fades_from_the_latest_purchase() -> None:
    events = [Event(0, 1, day=0), Event(0, 1, day=14), Event(1, 2, day=0), Event(2, 0, day=28)]
    result = scores(fitted(events, window_days=28, half_life_days=14))
    assert result[:3] == pytest.approx([1.0, 0.5, 0.25], abs=1e-15)


def test_what_was_bought_before_the_window_comes_after_all_that_was_bought_in_it() -> None:
    old = [Event(customer, 2, day=0) for customer in range(50)] + [Event(0, 3, day=1)]
    result = scores(fitted([*old, Event(0, 1, day=73), Event(1, 0, day=100)], half_life_days=3))
    assert result[0] > result[1] > result[2] > result[3] > result[4] == 0.0


def test_an_ancient_buyer_still_counts_more_than_none() -> None:
    result = scores(fitted([Event(0, 1, day=-30_000), Event(0, 2, day=0)], window_days=0, half_life_days=0.5))
    assert result[2] > result[1] > result[0] == 0.0


def test_days_count_back_from_the_last_interaction_of_old_data() -> None:
    events = [Event(0, 1, day=3), Event(0, 2, day=5)]
    assert scores(fitted(events, now_day=9000)) == scores(fitted(events, now_day=5))


def test_an_interaction_of_tomorrow_does_not_move_today() -> None:
    events = [Event(0, 1, day=10), Event(0, 2, day=10.5)]
    assert scores(fitted(events, now_day=10))[1:3] == [1.0, 1.0]


def test_a_list_is_full_whenever_the_items_exist() -> None:
    scorer = fitted([Event(0, 3)])
    codes, values = scorer.top(NOBODY, make_items(7), 6, make_exclusions(7, [[1]]))
    assert codes[0].tolist() == [3, 0, 2, 4, 5, 6]
    assert values[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_reasons_say_who_bought_and_when() -> None:
    events = [Event(0, 0, day=40), Event(1, 0, day=40), Event(0, 1, day=40), Event(0, 2, day=0)]
    scorer = fitted(events)
    assert reason(scorer, 0, now_day=40.5) == "bought by 2 customers in the last 28 days"
    assert reason(scorer, 1, now_day=40.5) == "bought by 1 customer in the last 28 days"
    assert reason(scorer, 2, now_day=40.5) == "bought by 1 customer, none of them in the last 28 days"
    assert reason(scorer, 3, now_day=40.5) == "nobody bought it yet"
    # day 40 is 2010-02-10: "the last 28 days" would no longer be true
    assert reason(scorer, 0, now_day=400) == "bought by 2 customers in the 28 days to 2010-02-10"
    assert reason(fitted(events, window_days=0), 2, now_day=400) == "bought by 1 customer"
