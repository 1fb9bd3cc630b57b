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
    features = build_features(shop.live.history(shop.live.build()), ["ann"])
    assert features["monetary"].tolist() == [300.0]
    assert features["frequency"].tolist() == [1.0]


def test_money_of_another_currency_is_not_added_up(shop: Engine) -> None:
    """The history is in the currency that most rows have; returns still find purchases in any."""
    shop.identify.record(
        [
            purchase("ann", 5, amount=Money(300, "EUR")),
            purchase("ann", 4, amount=Money(200, "EUR")),
            purchase("ann", 3, amount=Money(90_000, "JPY"), interaction_id="j"),
            Interaction("return", "ann", "tea", quantity=0.5, reverses_id="j", occurred_at=END),
        ]
    )
    base = shop.live.build()
    history = shop.live.history(base)
    assert history.currency == "EUR"
    np.testing.assert_array_equal(history.amount, [300.0, 200.0, np.nan, np.nan])
    assert history.quantity.tolist() == [1.0, 1.0, 0.5, 0.0]
    assert base.amount.tolist()[:3] == [300.0, 200.0, 90_000.0]
    assert build_features(history, ["ann"])["monetary"].tolist() == [500.0]


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


def test_what_was_returned_is_counted_as_stored(shop: Engine) -> None:
    shop.identify.record([purchase("ann", 3, interaction_id="p"), purchase("bob", 1)])
    shop.fit()
    shop.identify.record(
        [purchase("ann", 9), Interaction("return", "ann", "tea", reverses_id="p", occurred_at=END - timedelta(days=1))]
    )
    for _ in range(2):
        profile = shop.profile("ann")
        assert profile.interaction_count == 3
        assert (profile.first_seen, profile.last_seen) == (END - timedelta(days=9), END - timedelta(days=1))
        shop.fit()


def everyone(shop: Engine) -> dict[str, list[str]]:
    """The members of each segment."""
    segments = shop.differentiate.segments()
    found = {one.name: list(shop.differentiate.members("rfm", one.name).items) for one in segments}
    assert {one.name: one.customers for one in segments} == {name: len(ids) for name, ids in found.items()}
    return {name: ids for name, ids in found.items() if ids}


def segmented(shop: Engine) -> list[str]:
    """Whoever is in a segment."""
    return sorted(one for members in everyone(shop).values() for one in members)


def test_who_objects_is_in_no_segment(fitted: Engine) -> None:
    """At once after an objection; the next fit shows the customer to no segmenter."""
    before = everyone(fitted)
    objector = next(iter(before.values()))[0]
    fitted.identify.set_consent(objector, Consent("personalization", False))
    assert segmented(fitted) == sorted({f"c{n}" for n in range(6)} - {objector})
    fitted.fit()
    assert segmented(fitted) == sorted({f"c{n}" for n in range(6)} - {objector})
    code = fitted.live.identities.find(objector).customer
    assert not fitted.live.generation.segmentations["rfm"].find(code)
    with fitted.store.cursor() as cursor:
        sql = "SELECT count(*) FROM memberships WHERE customer_code = ? AND generation = 2"
        assert cursor.execute(sql, [code]).fetchall() == [(0,)]
    fitted.identify.set_consent(objector, Consent("personalization", True))
    fitted.fit()
    assert segmented(fitted) == [f"c{n}" for n in range(6)]


def test_when_everybody_objects_a_fit_still_ends(fitted: Engine) -> None:
    for number in range(6):
        fitted.identify.set_consent(f"c{number}", Consent("personalization", False))
    assert fitted.fit().failed == {}
    assert everyone(fitted) == {}


@pytest.fixture
def one_segment(shop: Engine) -> Engine:
    """Five customers whom the segmenter cannot tell apart."""
    shop.identify.record([purchase(f"c{n}", 3, amount=Money(100, "EUR")) for n in range(5)])
    shop.fit()
    assert len(shop.differentiate.segments()) == 1
    return shop


def test_an_objection_between_two_pages_skips_nobody_else(one_segment: Engine) -> None:
    room = one_segment.differentiate
    (segment,) = room.segments()
    first = room.members("rfm", segment.name, page_size=2)
    assert first.items == ("c0", "c1")
    for gone in ("c0", "c3"):
        one_segment.identify.set_consent(gone, Consent("personalization", False))
    assert room.members("rfm", segment.name, page_token=first.next_page_token).items == ("c2", "c4")
    one_segment.identify.set_consent("c4", Consent("personalization", False))
    last = room.members("rfm", segment.name, page_size=1, page_token=first.next_page_token)
    assert (last.items, last.next_page_token) == (("c2",), "")


def test_a_page_token_ends_with_its_generation(one_segment: Engine) -> None:
    room = one_segment.differentiate
    (segment,) = room.segments()
    token = room.members("rfm", segment.name, page_size=2).next_page_token
    one_segment.fit()
    with pytest.raises(InvalidInput, match="page_token: is of generation 1, but a fit has made 2 since; begin again"):
        room.members("rfm", segment.name, page_token=token)
    for bad in ("2", "2-", "-1", "2-1-1", "x", "٢-1", None):
        with pytest.raises(InvalidInput, match="page_token"):
            room.members("rfm", segment.name, page_token=bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="page_size"):
        room.members("rfm", segment.name, page_size=-1)
    assert room.members("rfm", segment.name, page_token=f"2-{2**31}").items == ()


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
