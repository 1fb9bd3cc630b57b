"""What the views say, against what the rooms say of the same store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from visavis import Consent, Interaction, Money
from visavis.differentiate.features import build_features
from visavis.engine import Engine

END = datetime(2024, 3, 1, tzinfo=UTC)


def read(shop: Engine, sql: str) -> list[tuple[Any, ...]]:
    with shop.store.cursor() as cursor:
        return cursor.execute(sql).fetchall()


def trade(kind: str, customer: str, item: str, days_ago: int, amount: int | None, **more: Any) -> Interaction:
    currency = more.pop("currency", "EUR")
    money = None if amount is None else Money(amount, currency)
    return Interaction(kind, customer, item, occurred_at=END - timedelta(days=days_ago), amount=money, **more)


LOG = [
    trade("purchase", "ann", "tea", 9, 900, interaction_id="a1", quantity=3, order_id="o1"),
    trade("purchase", "ann", "cup", 9, 1000, interaction_id="a2", order_id="o1"),
    trade("purchase", "ann", "pot", 8, 5000, interaction_id="a3"),
    trade("purchase", "ann", "milk", 7, None, interaction_id="a4"),
    # In part, at another price; wholly, in another currency and without a price.
    trade("return", "ann", "tea", 6, 100, reverses_id="a1", quantity=1),
    trade("return", "ann", "pot", 5, 4000, reverses_id="a3", currency="USD"),
    trade("return", "ann", "milk", 4, None, reverses_id="a4"),
    # More than was bought, by two returns: what is over takes off its own money.
    trade("purchase", "bob", "cup", 9, 1000, interaction_id="b1", quantity=2),
    trade("purchase", "bob", "tea", 8, 700, interaction_id="b2"),
    trade("return", "bob", "cup", 7, 1500, reverses_id="b1", quantity=3),
    trade("return", "bob", "cup", 6, 500, reverses_id="b1", quantity=1),
    # Another customer's purchase, and another item: taken off nobody's.
    trade("return", "cyd", "cup", 5, 1000, reverses_id="a2"),
    trade("return", "bob", "cup", 4, 50, reverses_id="b2"),
    trade("purchase", "dan", "tea", 3, 300),
    trade("view", "eve", "tea", 2, None),
]


def test_rfm_agrees_with_the_features(shop: Engine) -> None:
    shop.identify.record(LOG)
    features = build_features(shop.live.history(shop.live.build()), shop.live.identities.customers.texts)
    never = np.isnan(features["frequency"])
    wanted = {
        features.ids[place]: (
            features["frequency"][place],
            round(features["monetary"][place] / 100, 3),
            END - timedelta(days=2) - timedelta(days=features["recency_days"][place]),
        )
        for place in np.flatnonzero(~never).tolist()
    }
    rows = read(shop, "SELECT customer_id, frequency, monetary, last_purchase_at, currency FROM rfm")
    assert {row[4] for row in rows} == {"EUR"}
    assert {row[0]: (row[1], float(row[2]), row[3].replace(tzinfo=UTC)) for row in rows} == wanted
    assert wanted["ann"] == (1, 16.0, END - timedelta(days=9))
    assert wanted["bob"][:2] == (1, -3.5)
    assert set(wanted) == {"ann", "bob", "dan"}


def test_money_is_decimal_and_of_one_currency_a_row(shop: Engine) -> None:
    shop.identify.record(
        [
            trade("purchase", "ann", "tea", 3, 10, currency="EUR"),
            trade("purchase", "ann", "cup", 3, 20, currency="EUR"),
            trade("purchase", "ann", "pot", 2, 500, currency="JPY"),
            trade("purchase", "ann", "urn", 1, 1234, currency="KWD"),
        ]
    )
    assert read(shop, "SELECT currency, frequency, monetary FROM rfm ORDER BY currency") == [
        ("EUR", 3, Decimal("0.3")),
        ("JPY", 3, Decimal(500)),
        ("KWD", 3, Decimal("1.234")),
    ]
    assert read(shop, "SELECT DISTINCT typeof(amount)[:7] FROM interaction_log") == [("DECIMAL",)]
    assert read(shop, "SELECT DISTINCT typeof(monetary)[:7] FROM rfm") == [("DECIMAL",)]
    assert read(shop, "SELECT sum(amount) FROM interaction_log WHERE currency = 'EUR'") == [(Decimal("0.3"),)]


@pytest.mark.parametrize("by_order", [True, False])
def test_an_order_id_that_looks_like_a_day_is_no_day(shop: Engine, by_order: bool) -> None:
    day = (END - timedelta(days=3)).date().isoformat()
    shop.identify.record(
        [
            trade("purchase", "ann", "tea", 3, 100, order_id=day if by_order else ""),
            trade("purchase", "ann", "cup", 3, 100),
        ]
    )
    assert read(shop, "SELECT frequency FROM rfm") == [(1 + by_order,)]


def test_an_objection_after_the_fit_takes_a_customer_out_of_the_segments(shop: Engine) -> None:
    shop.identify.record(LOG)
    shop.fit()
    assert {row[0] for row in read(shop, "SELECT customer_id FROM segments")} == {"ann", "bob", "dan"}
    shop.identify.set_consent("bob", Consent("personalization", False))
    shop.identify.set_consent("ann", Consent("marketing", False))
    assert {row[0] for row in read(shop, "SELECT customer_id FROM segments")} == {"ann", "dan"}
