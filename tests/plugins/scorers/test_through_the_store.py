"""Each scorer that learns answers from an open store, explains itself there, and answers the same after reopening."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from visavis import Interaction, Item, Money
from visavis.engine import Engine

START = datetime(2026, 3, 1, tzinfo=UTC)
SCORERS = {
    "content": "alike",
    "cross_sell": "bought_together",
    "rating": "because_you_rated",
    "session": "same_visit",
    "up_sell": "step_up_from",
}


def record(shop: Engine) -> None:
    shop.identify.upsert_items(
        [
            Item(
                f"i{n}",
                f"Item {n}",
                category=f"c{n % 2}",
                price=Money(1000 + 50 * n, "EUR"),
                attributes={"line": n % 3},
            )
            for n in range(8)
        ]
    )
    said = []
    for customer in range(12):
        own = [n for n in range(8) if n % 2 == customer % 2 and (customer % 3 or n < 6)]
        for place, n in enumerate(own):
            at = START + timedelta(days=customer, minutes=place)
            order = f"o{customer}"
            said.append(Interaction("purchase", f"c{customer}", f"i{n}", occurred_at=at, order_id=order))
            said.append(
                Interaction("rating", f"c{customer}", f"i{n}", occurred_at=at, rating=float(1 + (n + customer) % 5))
            )
    at = START + timedelta(days=30)
    said += [Interaction("purchase", "me", "i0", occurred_at=at, order_id="mine")]
    said += [Interaction("view", "me", "i1", occurred_at=at)]
    said += [
        Interaction("rating", "me", item, occurred_at=at, rating=rating) for item, rating in (("i0", 4.0), ("i1", 2.0))
    ]
    shop.identify.record(said)
    shop.fit()


def test_answers_are_explained_and_outlive_the_process(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    record(shop)
    first = {name: shop.recommend("me", 8, scorer=name, most_reasons=100).items for name in SCORERS}
    for name, kind in SCORERS.items():
        own = [item for item in first[name] if item.scorer == name]
        assert own, f"{name} has nothing to say: this tries nothing"
        for item in own:
            assert {reason.kind for reason in item.reasons} == {kind}
            assert {reason.item_id for reason in item.reasons} <= {"i0", "i1"}
            assert sum(reason.contribution for reason in item.reasons) == pytest.approx(item.score, abs=1e-9)
    shop.close()
    again = open_shop()
    assert {name: again.recommend("me", 8, scorer=name, most_reasons=100).items for name in SCORERS} == first


def test_what_the_customer_does_now_counts_at_once(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    record(shop)
    for name, kind in (("content", "view"), ("cross_sell", "cart"), ("session", "view")):
        customer = f"new to {name}"
        assert shop.recommend(customer, 1, scorer=name).fallback_reason == "unknown_customer"
        shop.identify.record([Interaction(kind, customer, "i2")])
        best = shop.recommend(customer, 1, scorer=name).items[0]
        assert (best.scorer, best.reasons[0].item_id) == (name, "i2")
