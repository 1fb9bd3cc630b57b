"""`up_sell`: what is an alternative, what is usual, what lies in the band, and the reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from tests.plugins.scorers.truth import check_reasons_by_removal

from visavis import Items
from visavis.errors import InvalidInput
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.up_sell import UpSell

PRICES = [100.0, 100.0, 120.0, 150.0, 151.0, 130.0, math.nan, 120.0]
KINDS = ["tea", "tea", "tea", "tea", "tea", "cup", "tea", None]
EVERYTHING = [Event(customer, item) for customer in (1, 2, 3) for item in range(8)]


def catalogue(prices: Sequence[float] = PRICES) -> Items:
    return make_items(len(prices), price=prices, attributes={"category": KINDS, "shelf": [1] * len(prices)})


def fitted(events: list[Event] = EVERYTHING, prices: Sequence[float] = PRICES, **options: object) -> UpSell:
    return UpSell(build_options(UpSell, options)).fit(make_history(events, items=catalogue(prices)))


def offered(scorer: UpSell, events: list[Event]) -> list[int]:
    scores = scorer.score(make_customers(events, [0]), catalogue())[0]
    return np.flatnonzero(~np.isnan(scores)).tolist()


def test_offers_the_same_need_within_the_band() -> None:
    assert offered(fitted(), [Event(0, 0)]) == [2, 3]
    assert offered(fitted(), [Event(0, 2)]) == [3, 4]
    assert offered(fitted(), [Event(0, 4)]) == []
    assert offered(fitted(), [Event(0, 5)]) == []
    assert offered(fitted(), [Event(0, 6)]) == []
    assert offered(fitted(), [Event(0, 7)]) == []
    assert offered(fitted(), []) == []
    assert offered(fitted(most_dearer=0.51), [Event(0, 0)]) == [2, 3, 4]
    assert offered(fitted(least_dearer=0.0, most_dearer=0.0), [Event(0, 0)]) == [1]
    # Item 5 serves another need by category, and the same one by shelf.
    assert offered(fitted(need="shelf"), [Event(0, 0)]) == [2, 3, 5, 7]


def test_the_borders_of_the_band_belong_to_it() -> None:
    prices = [100.0, 110.0, 109.0, 150.0, 151.0, 130.0, math.nan, 120.0]
    scores = fitted(prices=prices).score(make_customers([Event(0, 0)], [0]), catalogue(prices))[0]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [1, 3]


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"most_dearer is 0\.1"):
        build_options(UpSell, {"least_dearer": 0.2, "most_dearer": 0.1})


def test_alternatives_are_what_the_same_customers_had_to_do_with() -> None:
    events = [Event(1, 0, "view"), Event(1, 2, "view"), Event(2, 0), Event(2, 2), Event(3, 3), Event(3, 2)]
    scores = fitted(events).score(make_customers([Event(0, 0)], [0]), catalogue())[0]
    # Cosine over customers, a view weighing 0.2: item 2 was met by customer 3 as well.
    assert scores[2] == pytest.approx((0.2**2 + 1) / math.sqrt((0.2**2 + 1) * (0.2**2 + 2)), abs=1e-6)
    assert np.isnan(scores[3]), "nobody had to do with both"


def test_usual_is_what_was_paid_for_that_need() -> None:
    looked = [Event(0, 0, "view"), Event(0, 2, "view")]  # median 110: 121 to 165
    assert offered(fitted(), looked) == [3, 4]
    assert offered(fitted(), [*looked, Event(0, 1)]) == [3]  # paid 100: 110 to 150
    assert offered(fitted(), [*looked, Event(0, 5)]) == [3, 4]  # another need
    # Three bought: the middle one.
    assert offered(fitted(), [Event(0, 0), Event(0, 1), Event(0, 2)]) == [3]


def test_needs_of_long_ago_are_over_and_prices_are_not() -> None:
    events = [Event(0, 0, day=0), Event(0, 5, day=100)]
    assert offered(fitted(days=30), events) == []
    assert offered(fitted(days=0), events) == [2, 3]
    again = [Event(0, 2, day=0), Event(0, 0, "view", day=100)]
    assert offered(fitted(days=30), again) == [3, 4], "he paid 120 for that need"


def test_reasons_name_what_it_is_dearer_than() -> None:
    customers = make_customers([Event(0, 0), Event(0, 1, "cart")], [0])
    codes, scores = fitted().top(customers, catalogue(), 3, make_exclusions(8, [(2,)]))
    assert codes.tolist() == [[3, -1, -1]]
    told = fitted().explain(customers, codes, scores)[0]
    assert [(part.kind, part.text, part.item) for part in told[0]] == [
        ("step_up_from", "a step up from {item}, which you bought", 0),
        ("step_up_from", "a step up from {item}, which is in your cart", 1),
    ]
    assert told[1:] == [[], []]


def test_removing_a_cause_lowers_the_score_by_its_amount() -> None:
    # All of one price, so that what is usual stays.
    prices = [100.0, 100.0, 120.0, 150.0, 100.0, 130.0, 140.0, 120.0]
    events = [Event(1, item) for item in range(7)] + [Event(2, item) for item in (0, 2, 6)] + [Event(3, 1), Event(3, 3)]
    own = [Event(0, 0), Event(0, 1, "cart"), Event(0, 4, "view"), Event(0, 5)]
    check_reasons_by_removal(fitted(events, prices), own, catalogue(prices))


def test_categories_may_be_lists_and_numbers() -> None:
    items = make_items(4, price=[10, 12, 12, 12], attributes={"category": [("a", "b"), ("a", "b"), 3, "3"]})
    scorer = UpSell().fit(make_history([Event(1, item) for item in range(4)], items=items))
    scores = scorer.score(make_customers([Event(0, 0)], [0]), items)[0]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [1]
