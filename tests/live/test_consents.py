"""Which word of a customer holds: in memory as it comes, after loading, and in the view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visavis
from visavis import Consent, Customer
from visavis.config import load_settings
from visavis.engine import Engine
from visavis.identify.upserting import consent_operation

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def word(granted: bool, hour: int, channel: str = "", purpose: str = "marketing") -> Consent:
    return Consent(purpose, granted, channel, "", NOON + timedelta(hours=hour))


def tell(shop: Engine, words: Sequence[Consent], customer: str = "ann") -> None:
    """All in one group commit, so that they share its sequence."""
    writer = shop.store.writer
    for one in [writer.submit(consent_operation(shop.live, customer, word, "")) for word in words]:
        one.result(10)


def in_the_view(shop: Engine, customer: str = "ann") -> set[tuple[str, str, bool, datetime]]:
    with shop.store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT purpose, coalesce(channel, ''), granted, given_at FROM consent_state WHERE customer_id = ?",
            [customer],
        ).fetchall()
    return {(purpose, channel, granted, at.replace(tzinfo=UTC)) for purpose, channel, granted, at in rows}


def in_memory(shop: Engine, customer: str = "ann") -> set[tuple[str, str, bool, datetime]]:
    words = shop.profile(customer).consents
    assert all(one.at for one in words)
    return {(one.purpose, one.channel, one.granted, one.at) for one in words if one.at}


@pytest.fixture
def ann(open_shop: Callable[..., Engine]) -> Engine:
    shop = open_shop(linger_ms=20)
    shop.identify.upsert_customers([Customer("ann")])
    return shop


def test_an_older_grant_that_arrives_late_changes_nothing(ann: Engine, open_shop: Callable[..., Engine]) -> None:
    for purpose in ("personalization", "marketing"):
        ann.identify.set_consent("ann", word(False, 2, purpose=purpose))
        ann.identify.set_consent("ann", word(True, 1, purpose=purpose))
    for _ in range(2):
        profile = ann.profile("ann")
        assert (profile.may_personalize, profile.may_market) == (False, False)
        assert [one.granted for one in profile.consents] == [False, False]
        assert in_the_view(ann) == in_memory(ann)
        ann.close()
        ann = open_shop()


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_one_moment_the_objection_holds(ann: Engine, open_shop: Callable[..., Engine], order: tuple[bool]) -> None:
    tell(ann, [word(granted, 0, purpose="personalization") for granted in order])
    for _ in range(2):
        assert not ann.profile("ann").may_personalize
        assert in_the_view(ann) == in_memory(ann) == {("personalization", "", False, NOON)}
        with ann.store.cursor() as cursor:
            assert cursor.execute("SELECT may_personalize FROM customer_profiles").fetchall() == [(False,)]
        ann.close()
        ann = open_shop()


def test_a_general_grant_leaves_an_objection_to_one_channel(ann: Engine) -> None:
    tell(ann, [word(False, 1, "email"), word(True, 2)])
    consents = ann.live.consents
    assert (consents.may_market(0, "email"), consents.may_market(0, "sms"), consents.may_market(0)) == (
        False,
        True,
        True,
    )
    assert in_the_view(ann) == in_memory(ann)
    assert len(in_memory(ann)) == 2


def test_a_general_objection_ends_earlier_grants_of_channels_only(ann: Engine) -> None:
    for order in permutations([word(True, 1, "email"), word(False, 2), word(True, 3, "sms")]):
        customer = f"c{len(ann.live.identities.customers)}"
        ann.identify.upsert_customers([Customer(customer)])
        tell(ann, order, customer)
        code = ann.live.identities.find(customer).customer
        consents = ann.live.consents
        assert not consents.may_market(code, "email")
        assert consents.may_market(code, "sms")
        assert not consents.may_market(code, "push")
        assert in_the_view(ann, customer) == in_memory(ann, customer)
        assert {one.channel for one in consents.of(code)} == {"", "sms"}


def test_a_grant_of_one_channel_is_leave_to_market(ann: Engine) -> None:
    ann.identify.set_consent("ann", word(True, 1, "email"))
    assert ann.profile("ann").may_market
    ann.identify.set_consent("ann", word(False, 2))
    assert not ann.profile("ann").may_market


WORDS = st.builds(
    word,
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from(["", "email", "sms"]),
)


@settings(derandomize=True, max_examples=12, deadline=None)
@given(said=st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=12))
def test_memory_view_and_reopened_store_agree(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[Consent]]
) -> None:
    path: Path = tmp_path_factory.mktemp("consents") / "shop.duckdb"
    names = [f"c{number}" for number in range(len(said))]
    with visavis.open(path, settings=load_settings({"linger_ms": 0}, environ={})) as shop:
        shop.identify.upsert_customers([Customer(name) for name in names])
        for name, words in zip(names, said, strict=True):
            tell(shop, words, name)
        before = [shop.profile(name) for name in names]
        assert [in_the_view(shop, name) for name in names] == [in_memory(shop, name) for name in names]
        for code, words in enumerate(said):
            for channel in ("email", "sms", "push"):
                assert shop.live.consents.may_market(code, channel) == _granted(words, channel)
    with visavis.open(path, settings=load_settings({"linger_ms": 0}, environ={})) as again:
        assert [again.profile(name) for name in names] == before


def _granted(words: list[Consent], channel: str) -> bool:
    """The rule said another way: the channel's last word, unless it is a grant that a later general one overrules."""

    def last(of: str) -> Consent | None:
        found = [one for one in words if one.channel == of]
        return max(found, key=lambda one: (one.at, not one.granted)) if found else None

    own, general = last(channel), last("")
    if own is None:
        return general is not None and general.granted
    if own.granted and general is not None and own.at is not None and general.at is not None:
        return general.granted or general.at < own.at
    return own.granted
