"""Items, customers and consent: all or none, known at once, and after reopening."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from visavis import Consent, Customer, Identifier, Interaction, Item, Money
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput, NotFound
from visavis.identify.upserting import upsert_customers_operation, upsert_items_operation
from visavis.model import UpsertResult

FULL = Item(
    "tea",
    "Tea 🍵",
    group_id="g",
    category="hot",
    brand="b",
    price=Money(1250, "EUR"),
    available=False,
    attributes={"sizes": ("s", "m"), "weight": 2.5, "new": True, "colour": 'gr"ün\n'},
)
EMAIL = Identifier("email", "ann@example.com")


def test_an_item_comes_back_as_it_was(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    assert shop.identify.upsert_items([FULL, Item("cup")]) == UpsertResult(2, 0)
    assert shop.identify.get_item("tea") == FULL
    assert shop.identify.get_item("cup") == Item("cup")
    shop.close()
    again = open_shop()
    assert [*again.identify.list_items().items] == [FULL, Item("cup")]


def test_items_change_whole_or_by_field(shop: Engine) -> None:
    shop.identify.upsert_items([FULL])
    changed = Item("tea", "Other", price=Money(1, "GBP"), attributes={"x": 1.0})
    assert shop.identify.upsert_items([changed], update_mask=["price", "attributes"]) == UpsertResult(0, 1)
    assert shop.identify.get_item("tea") == replace(FULL, price=changed.price, attributes=changed.attributes)
    shop.identify.upsert_items([changed])
    assert shop.identify.get_item("tea") == changed
    shop.identify.upsert_items([Item("new", "Name", category="c")], update_mask=["name"])
    assert shop.identify.get_item("new") == Item("new", "Name")
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT count(*), count(DISTINCT item_code) FROM items").fetchall() == [(2, 2)]


def test_an_item_that_was_met_first_is_completed(shop: Engine) -> None:
    shop.identify.record([Interaction("view", "ann", "tea")])
    assert shop.identify.get_item("tea") == Item("tea")
    assert shop.identify.upsert_items([FULL]) == UpsertResult(0, 1)
    with shop.store.cursor() as cursor:
        created, updated = cursor.execute("SELECT created_at, updated_at FROM items").fetchall()[0]
    assert created < updated


def test_calls_that_meet_in_one_commit_count_right(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(linger_ms=50)
    results: list[UpsertResult] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(shop.identify.upsert_items([Item("tea", str(n))])))  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.created for one in results) == 1
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT name FROM items").fetchall() == [(shop.identify.get_item("tea").name,)]


def test_customers_and_their_identifiers(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    ann = Customer("ann", (EMAIL, Identifier("device", "d1")), {"city": "Bonn"}, "Europe/Berlin")
    assert shop.identify.upsert_customers([ann, Customer("bob")]) == UpsertResult(2, 0)
    assert shop.profile(EMAIL).customer == shop.profile("ann").customer == ann
    shop.identify.upsert_customers([Customer("ann", (Identifier("phone", "1"),))], update_mask=["identifiers"])
    grown = replace(ann, identifiers=(*ann.identifiers, Identifier("phone", "1")))
    assert shop.profile(Identifier("phone", "1")).customer == grown
    # Identifiers are added, never taken away, here.
    assert shop.identify.upsert_customers([Customer("ann", time_zone="UTC")]) == UpsertResult(0, 1)
    bare = Customer("ann", grown.identifiers, {}, "UTC")
    assert shop.profile("ann").customer == bare
    shop.close()
    assert open_shop().profile(EMAIL).customer == bare


def test_an_identifier_of_another_is_a_conflict_and_leaves_no_trace(shop: Engine) -> None:
    shop.identify.upsert_customers([Customer("ann", (EMAIL,))])
    with pytest.raises(Conflict, match="already belongs to another customer") as caught:
        shop.identify.upsert_customers([Customer("new", (Identifier("device", "d"),)), Customer("bob", (EMAIL,))])
    assert caught.value.reason == "IDENTIFIER_TAKEN"
    assert "ann@example.com" not in str(caught.value)
    for ref in ("new", "bob", Identifier("device", "d")):
        with pytest.raises(NotFound):
            shop.profile(ref)
    # Codes stay dense: who comes next gets the next one, in memory and in the file.
    shop.identify.record([Interaction("view", "carl", "tea")])
    assert shop.live.identities.customers.texts == ["ann", "carl"]
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT customer_code FROM customers ORDER BY 1").fetchall() == [(0,), (1,)]
        assert cursor.execute("SELECT identity_code FROM identities ORDER BY 1").fetchall() == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("item_id", Item("")),
        ("item_id", Item("a\x00")),
        ("item_id", Item(["a"])),  # type: ignore[arg-type]
        ("name", Item("a", "x" * 2001)),
        ("name", Item("a", "\x1f")),
        ("group_id", Item("a", group_id="\n")),
        ("category", Item("a", category=None)),  # type: ignore[arg-type]
        ("brand", Item("a", brand="\ud800")),
        ("price.minor_units", Item("a", price=Money(-1, "EUR"))),
        ("price.currency", Item("a", price=Money(1, "€"))),
        ("price", Item("a", price=1.5)),  # type: ignore[arg-type]
        ("available", Item("a", available="no")),  # type: ignore[arg-type]
        ("attributes['x']", Item("a", attributes={"x": math.nan})),
        ("attributes['x']", Item("a", attributes={"x": None})),  # type: ignore[dict-item]
        ("attributes['x']", Item("a", attributes={"x": {"y": 1}})),  # type: ignore[dict-item]
        ("attributes['x']", Item("a", attributes={"x": ("a", 5)})),  # type: ignore[dict-item]
        ("attributes['x']", Item("a", attributes={"x": ("a",) * 1001})),
        ("attributes['']", Item("a", attributes={"": "a"})),
        ("attributes[5]", Item("a", attributes={5: "a"})),  # type: ignore[dict-item]
        ("attributes", Item("a", attributes={str(n): "a" for n in range(101)})),
        ("attributes", Item("a", attributes=[("a", 1)])),  # type: ignore[arg-type]
    ],
)
def test_bad_items_are_named(shop: Engine, field: str, item: Item) -> None:
    with pytest.raises(InvalidInput) as caught:
        shop.identify.upsert_items([Item("fine"), item])
    assert f"items[1].{field}" in {one.field for one in caught.value.violations}
    assert not shop.live.catalog.ids.texts


@pytest.mark.parametrize(
    ("field", "customer"),
    [
        ("customer_id", Customer("")),
        ("time_zone", Customer("a", time_zone="Mars/Base")),
        ("time_zone", Customer("a", time_zone="../etc")),
        ("identifiers", Customer("a", identifiers="x")),  # type: ignore[arg-type]
        ("identifiers[0]", Customer("a", identifiers=("x",))),  # type: ignore[arg-type]
        ("identifiers[0].kind", Customer("a", (Identifier("E-Mail", "x"),))),
        ("identifiers", Customer("a", (Identifier("device", "x"),) * 101)),
        ("attributes['x']", Customer("a", attributes={"x": math.inf})),
    ],
)
def test_bad_customers_are_named(shop: Engine, field: str, customer: Customer) -> None:
    with pytest.raises(InvalidInput) as caught:
        shop.identify.upsert_customers([Customer("fine"), customer])
    assert f"customers[1].{field}" in {one.field for one in caught.value.violations}
    assert not shop.live.identities.customers.texts


@pytest.mark.parametrize(
    "batch", [[], None, "ab", [Item("a"), "x"], [Item(str(n)) for n in range(1001)], [Item("a")] * 2]
)
def test_bad_batches(shop: Engine, batch: Any) -> None:
    with pytest.raises(InvalidInput, match="items"):
        shop.identify.upsert_items(batch)
    with pytest.raises(InvalidInput, match="customers"):
        shop.identify.upsert_customers(batch)


@pytest.mark.parametrize("mask", [["nme"], ["item_id"], "name"])
def test_bad_masks(shop: Engine, mask: Any) -> None:
    with pytest.raises(InvalidInput, match="update_mask"):
        shop.identify.upsert_items([Item("a")], update_mask=mask)


def test_repeated_requests(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    first = shop.identify.upsert_items([FULL], request_id="r")
    shop.identify.upsert_items([Item("tea", "changed since")])
    # The same content in another order of attributes is the same request; it changes nothing a second time.
    turned = replace(FULL, attributes=dict(reversed(FULL.attributes.items())))
    assert shop.identify.upsert_items((turned,), request_id="r") == first
    assert shop.identify.get_item("tea").name == "changed since"
    shop.identify.upsert_customers([Customer("ann", attributes={"a": 1.0})], request_id="c")
    shop.close()
    again = open_shop()
    assert again.identify.upsert_customers([Customer("ann", attributes={"a": 1.0})], request_id="c") == UpsertResult(
        1, 0
    )
    with pytest.raises(Conflict):
        again.identify.upsert_customers([Customer("ann", attributes={"a": 2.0})], request_id="c")


def test_items_by_pages(shop: Engine) -> None:
    shop.identify.upsert_items([Item(f"i{n}") for n in range(5)])
    seen, token = [], ""
    while True:
        page = shop.identify.list_items(page_size=2, page_token=token)
        seen += [item.item_id for item in page.items]
        token = page.next_page_token
        if not token:
            break
    assert seen == [f"i{n}" for n in range(5)]
    with pytest.raises(NotFound, match="item 'no' is not known"):
        shop.identify.get_item("no")


def test_consent_holds_from_the_next_answer_on(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    shop.identify.upsert_customers([Customer("ann", (EMAIL,))])
    assert (shop.profile("ann").may_personalize, shop.profile("ann").may_market) == (True, False)
    shop.identify.set_consent(EMAIL, Consent("personalization", False, source="call"))
    shop.identify.set_consent("ann", Consent("marketing", True))
    shop.identify.set_consent("ann", Consent("marketing", False, channel="email"))
    profile = shop.profile("ann")
    assert (profile.may_personalize, profile.may_market, len(profile.consents)) == (False, True, 3)
    assert not shop.live.consents.may_market(0, "email")
    assert shop.live.consents.may_market(0, "sms")
    shop.close()
    again = open_shop()
    assert again.profile("ann") == profile
    again.identify.set_consent("ann", Consent("marketing", False))
    assert not again.live.consents.may_market(0, "sms")
    assert not again.profile("ann").may_market


@pytest.mark.parametrize(
    ("field", "consent"),
    [
        ("consent.purpose", Consent("spam", True)),
        ("consent.purpose", Consent(None, True)),  # type: ignore[arg-type]
        ("consent.channel", Consent("marketing", True, channel="E mail")),
        ("consent.channel", Consent("personalization", True, channel="email")),
        ("consent.source", Consent("marketing", True, source="\x00")),
        ("consent.granted", Consent("marketing", "no")),  # type: ignore[arg-type]
        ("consent.at", Consent("marketing", True, at=datetime(2024, 1, 1))),  # noqa: DTZ001 - what is refused
        ("consent.at", Consent("marketing", True, at=datetime.now(UTC) + timedelta(days=1))),
        ("consent.at", Consent("marketing", True, at=datetime.min.replace(tzinfo=UTC))),
        ("consent[0]", "yes"),
    ],
)
def test_bad_consent(shop: Engine, field: str, consent: Any) -> None:
    shop.identify.upsert_customers([Customer("ann")])
    with pytest.raises(InvalidInput) as caught:
        shop.identify.set_consent("ann", consent)
    assert caught.value.violations[0].field == field
    assert shop.profile("ann").consents == ()


def test_consent_of_nobody(shop: Engine) -> None:
    with pytest.raises(NotFound, match="customer 'ann' is not known"):
        shop.identify.set_consent("ann", Consent("marketing", True))
    with pytest.raises(NotFound, match="the customer of that email") as caught:
        shop.identify.set_consent(EMAIL, Consent("marketing", True))
    assert EMAIL.value not in str(caught.value)
    with pytest.raises(InvalidInput, match="customer"):
        shop.identify.set_consent(5, Consent("marketing", True))  # type: ignore[arg-type]


def test_changes_that_meet_in_one_commit_are_all_kept(open_shop: Callable[..., Engine]) -> None:
    """Each names another field, so that none may put back what the other changed."""
    shop = open_shop(linger_ms=50)
    shop.identify.upsert_customers([Customer("ann", attributes={"a": 1.0}, time_zone="UTC")])
    shop.identify.upsert_items([FULL])
    calls: list[Callable[[], object]] = [
        lambda: shop.identify.upsert_customers([Customer("ann", attributes={"a": 2.0})], update_mask=["attributes"]),
        lambda: shop.identify.upsert_customers([Customer("ann", time_zone="Europe/Paris")], update_mask=["time_zone"]),
        lambda: shop.identify.upsert_items([Item("tea", "New name")], update_mask=["name"]),
        lambda: shop.identify.upsert_items([Item("tea", brand="new brand")], update_mask=["brand"]),
    ]
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shop.profile("ann").customer == Customer("ann", (), {"a": 2.0}, "Europe/Paris")
    assert shop.identify.get_item("tea") == replace(FULL, name="New name", brand="new brand")
    shop.close()
    again = open_shop()
    assert again.profile("ann").customer == Customer("ann", (), {"a": 2.0}, "Europe/Paris")
    assert again.identify.get_item("tea") == replace(FULL, name="New name", brand="new brand")


def test_writes_are_checked_at_once_and_answered_after_their_commit(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(linger_ms=100)
    before = shop.store.mark.sequence
    items = shop.identify.upsert_items_soon([FULL], request_id="r1")
    customers = shop.identify.upsert_customers_soon([Customer("ann", (EMAIL,))], request_id="r2")
    with pytest.raises(InvalidInput, match=r"items\[0\]\.item_id"):
        shop.identify.upsert_items_soon([Item("")])
    with pytest.raises(InvalidInput, match=r"customers\[0\]\.customer_id"):
        shop.identify.upsert_customers_soon([Customer("")])
    with pytest.raises(NotFound, match="customer 'bob' is not known"):
        shop.identify.set_consent_soon("bob", Consent("marketing", True))
    assert (items.result(), customers.result()) == (UpsertResult(1, 0), UpsertResult(1, 0))
    assert shop.store.mark.sequence == before + 1  # nobody waited in between, so one commit took both
    assert shop.identify.set_consent_soon("ann", Consent("marketing", True, "email")).result() is None
    assert shop.profile(EMAIL).consents[0].channel == "email"
    assert shop.identify.get_item("tea") == FULL
    assert shop.identify.upsert_items([FULL], request_id="r1") == UpsertResult(1, 0)
    with pytest.raises(Conflict):
        shop.identify.upsert_customers_soon([Customer("bob", (EMAIL,))]).result()


def test_upserts_weigh_what_they_hold(shop: Engine) -> None:
    items, customers = [Item(f"i{k}") for k in range(60)], [Customer(f"c{k}") for k in range(60)]
    assert upsert_items_operation(shop.live, items, (), "").rows == 60
    assert upsert_customers_operation(shop.live, customers, (), "").rows == 60
