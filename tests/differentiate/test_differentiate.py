"""Features, segments and profiles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from visavis import Consent, Identifier, Interaction, Money
from visavis.differentiate.features import build_features
from visavis.engine import Engine
from visavis.errors import InvalidInput, NotFound
from visavis.testing import Event, make_history

END = datetime(2024, 3, 1, tzinfo=UTC)


def purchase(customer: str, days_ago: int, **more: Any) -> Interaction:
    return Interaction("purchase", customer, "tea", occurred_at=END - timedelta(days=days_ago), **more)


def test_features_by_hand() -> None:
    history = make_history(
        [
            Event(0, 1, day=0.0, amount=100.0, basket=1),
            Event(0, 2, day=0.1, amount=50.0, basket=1),
            Event(0, 1, day=6.0, amount=10.0),
            Event(0, 1, "return", day=7.0, amount=30.0),
            Event(1, 1, "view", day=10.0),
            Event(-1, 1, day=2.0, amount=1e6),
        ],
        n_customers=3,
    )
    features = build_features(history, ["a", "b", "c"])
    expected = {"recency_days": 4.0, "frequency": 2.0, "monetary": 130.0, "tenure_days": 10.0}
    for name, value in expected.items():
        np.testing.assert_allclose(features[name], [value, np.nan, np.nan])
    assert len(features) == 3


def test_what_came_back_is_not_worth_less_than_nothing(shop: Engine) -> None:
    """A purchase that was wholly returned leaves no money behind, and takes none of another's either."""
    money = Money(1000, "EUR")
    shop.identify.record(
        [
            purchase("ann", 5, amount=money, interaction_id="p"),
            Interaction("return", "ann", "tea", amount=money, reverses_id="p", occurred_at=END),
            purchase("ann", 9, amount=Money(300, "EUR")),
        ]
    )
    features = build_features(shop.live.build().history, ["ann"])
    assert features["monetary"].tolist() == [300.0]
    assert features["frequency"].tolist() == [1.0]


def test_an_empty_history_has_no_features_worth_a_name() -> None:
    features = build_features(make_history([], n_customers=2), ["a", "b"])
    assert np.isnan(features["frequency"]).all()


@pytest.fixture
def fitted(shop: Engine) -> Engine:
    shop.identify.record(
        [purchase(f"c{n}", n * 10 + k, amount=Money(100 * (n + 1), "EUR")) for n in range(6) for k in range(n + 1)]
    )
    shop.fit()
    return shop


def test_every_customer_who_bought_is_in_one_segment(fitted: Engine) -> None:
    segments = fitted.differentiate.segments()
    assert sum(one.customers for one in segments if one.segmentation == "rfm") == 6
    sizes = [one.customers for one in segments]
    assert sizes == sorted(sizes, reverse=True)
    seen: list[str] = []
    for one in segments:
        token, members = "", []
        while True:
            page = fitted.differentiate.members("rfm", one.name, page_size=1, page_token=token)
            members += page.items
            token = page.next_page_token
            if not token:
                break
        assert len(members) == one.customers
        assert all(fitted.profile(member).segments["rfm"] == one.name for member in members)
        seen += members
    assert sorted(seen) == [f"c{n}" for n in range(6)]


def test_a_profile(fitted: Engine) -> None:
    profile = fitted.profile("c2")
    assert profile.interaction_count == 3
    assert profile.first_seen == END - timedelta(days=22)
    assert profile.last_seen == END - timedelta(days=20)
    assert (profile.may_personalize, profile.may_market, profile.consents) == (True, False, ())
    assert set(profile.segments) == {"rfm"}
    fitted.identify.set_consent("c2", Consent("personalization", False))
    assert fitted.profile("c2").segments == {}


def test_unknown_names(fitted: Engine) -> None:
    with pytest.raises(NotFound, match="there is no segmentation 'x'; known are rfm"):
        fitted.differentiate.members("x", "y")
    with pytest.raises(NotFound, match="segmentation rfm has no segment 'y'"):
        fitted.differentiate.members("rfm", "y")
    for ref in ("nobody", Identifier("email", "x")):
        with pytest.raises(NotFound, match="is not known"):
            fitted.profile(ref)
    for bad in (5, "", None, Identifier("", "")):
        with pytest.raises(InvalidInput, match="customer"):
            fitted.profile(bad)  # type: ignore[arg-type]


def test_before_the_first_fit(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    assert shop.differentiate.segments() == ()
    with pytest.raises(NotFound, match="known are none"):
        shop.differentiate.members("rfm", "x")
