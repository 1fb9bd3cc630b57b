"""Recording: checked whole, acknowledged when durable, never twice."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visavis
from visavis import Customer, Identifier, Interaction, Item, Money
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput
from visavis.live import known

NOW = datetime.now(UTC)
GOOD = Interaction("purchase", "ann", "tea", interaction_id="1")


def rows(shop: Engine) -> list[tuple[Any, ...]]:
    with shop.store.cursor() as cursor:
        return cursor.execute(
            "SELECT interaction_id, kind, customer_id, item_id, quantity FROM interaction_log ORDER BY ALL"
        ).fetchall()


def untouched(shop: Engine) -> bool:
    live = shop.live
    return not rows(shop) and not live.catalog.ids.texts and not live.identities.customers.texts


def test_every_field_arrives(shop: Engine) -> None:
    one = Interaction(
        "purchase",
        "ann",
        "tea",
        interaction_id="é🍵",
        occurred_at=datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=timezone(timedelta(hours=2))),
        quantity=2.5,
        amount=Money(1234, "GBP"),
        order_id="o-1",
        touchpoint="web",
        decision_id="d-1",
        reverses_id="r-1",
    )
    assert shop.identify.record([one]) == visavis.model.RecordResult(1, 0)
    with shop.store.cursor() as cursor:
        found = cursor.execute(
            "SELECT interaction_id, kind, customer_id, item_id, occurred_at, quantity, amount, currency, order_id, "
            "touchpoint, decision_id, reverses_id, rating, source FROM interaction_log"
        ).fetchall()
    assert found == [
        ("é🍵", "purchase", "ann", "tea", datetime(2024, 2, 29, 10, 30, 0, 5), 2.5, Decimal("12.34"), "GBP", "o-1",  # noqa: DTZ001 - as stored
         "web", "d-1", "r-1", None, None)
    ]  # fmt: skip


def test_nobody_and_nothing_are_fine(shop: Engine) -> None:
    shop.identify.record([Interaction("search"), Interaction("view", item_id="tea"), Interaction("view", "ann")])
    assert {row[1:4] for row in rows(shop)} == {
        ("search", None, None),
        ("view", None, "tea"),
        ("view", "ann", None),
    }


def test_a_rating_arrives(shop: Engine) -> None:
    shop.identify.record([Interaction("rating", "ann", "tea", rating=4.5)])
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT rating FROM interaction_log").fetchall() == [(4.5,)]


def test_a_resend_counts_once(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    twice = [GOOD, replace(GOOD, item_id="milk"), replace(GOOD, interaction_id="2")]
    assert shop.identify.record(twice) == visavis.model.RecordResult(2, 1)
    assert shop.identify.record([GOOD]) == visavis.model.RecordResult(0, 1)
    shop.close()
    again = open_shop()
    assert again.identify.record([GOOD, replace(GOOD, interaction_id="3")]) == visavis.model.RecordResult(1, 1)
    assert [row[0] for row in rows(again)] == ["1", "2", "3"]
    # What was not recorded made nothing.
    assert again.live.catalog.ids.texts == ["tea"]


def test_a_resend_in_the_same_commit_counts_once(shop: Engine) -> None:
    results = [shop.identify.record_soon([GOOD]) for _ in range(20)]
    assert sum(future.result(10).recorded for future in results) == 1
    assert len(rows(shop)) == 1


def test_an_id_with_the_hash_of_another_is_no_resend(
    open_shop: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visavis.identify.recording.text_hash", lambda text: 7)
    shop = open_shop()
    for name in ("a", "b", "c"):
        assert shop.identify.record([replace(GOOD, interaction_id=name)]).recorded == 1
    assert shop.identify.record([replace(GOOD, interaction_id="b")]).recorded == 0
    assert [row[0] for row in rows(shop)] == ["a", "b", "c"]


def test_warming_up_loses_no_id(shop: Engine) -> None:
    """The set of ids is loaded while others record: each id must be known afterwards."""
    threads = [
        threading.Thread(target=lambda n=n: shop.identify.record([replace(GOOD, interaction_id=str(n))]))  # type: ignore[misc]
        for n in range(30)
    ]
    for place, thread in enumerate(threads):
        thread.start()
        if place == 10:
            shop.warm_up()
    for thread in threads:
        thread.join()
    assert shop.identify.record([replace(GOOD, interaction_id=str(n)) for n in range(30)]).already_known == 30


def test_a_repeated_request_gets_the_first_answer(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    without_id = [replace(GOOD, interaction_id="")]
    first = shop.identify.record(without_id, request_id="r1")
    assert shop.identify.record(tuple(without_id), request_id="r1") == first
    shop.close()
    again = open_shop()
    assert again.identify.record(without_id, request_id="r1") == first
    assert len(rows(again)) == 1
    with pytest.raises(Conflict, match="was used for another request") as caught:
        again.identify.record([GOOD], request_id="r1")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(Conflict):
        again.identify.upsert_items([Item("tea")], request_id="r1")
    assert len(rows(again)) == 1


def test_repeats_that_meet_in_one_commit_run_once(shop: Engine) -> None:
    futures = [shop.identify.record_soon([replace(GOOD, interaction_id="")], request_id="r") for _ in range(10)]
    assert {future.result(10).recorded for future in futures} == {1}
    assert len(rows(shop)) == 1


def test_request_ids_are_forgotten_after_a_day(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.identify.record([GOOD], request_id="r")

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW + timedelta(hours=25)

    monkeypatch.setattr(known, "datetime", Tomorrow)
    monkeypatch.setattr(known, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 25 * 3600))
    assert shop.identify.record([replace(GOOD, interaction_id="2")], request_id="r").recorded == 1
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM requests").fetchall() == [(1,)]


BAD: list[tuple[str, Any]] = [
    ("kind", {"kind": "Purchase"}),
    ("kind", {"kind": ""}),
    ("kind", {"kind": 3}),
    ("kind", {"kind": "view\n"}),
    ("kind", {"kind": "a" * 65}),
    ("customer", {"customer": ""}),
    ("customer", {"customer": 5}),
    ("customer", {"customer": "a\x00b"}),
    ("customer", {"customer": "a\ud800"}),
    ("customer", {"customer": "x" * 10_240}),
    ("customer.kind", {"customer": Identifier("", "x")}),
    ("customer.kind", {"customer": Identifier("customer", "x")}),
    ("customer.value", {"customer": Identifier("email", "")}),
    ("customer.value", {"customer": Identifier("card_number", "4111 1111 1111 1111")}),
    ("item_id", {"item_id": ""}),
    ("item_id", {"item_id": None}),
    ("item_id", {"item_id": "\x1f"}),
    ("item_id", {"item_id": 7}),
    ("interaction_id", {"interaction_id": "\x00"}),
    ("interaction_id", {"interaction_id": None}),
    ("occurred_at", {"occurred_at": datetime(2024, 1, 1)}),  # noqa: DTZ001 - a naive time is what is refused
    ("occurred_at", {"occurred_at": NOW + timedelta(days=1)}),
    ("occurred_at", {"occurred_at": datetime(1969, 12, 31, tzinfo=UTC)}),
    ("occurred_at", {"occurred_at": datetime.max.replace(tzinfo=UTC)}),
    ("occurred_at", {"occurred_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}),
    ("occurred_at", {"occurred_at": "2024-01-01"}),
    ("occurred_at", {"occurred_at": NOW.date()}),
    ("quantity", {"quantity": 0}),
    ("quantity", {"quantity": -1}),
    ("quantity", {"quantity": math.nan}),
    ("quantity", {"quantity": math.inf}),
    ("quantity", {"quantity": 10**400}),
    ("quantity", {"quantity": "2"}),
    ("quantity", {"quantity": True}),
    ("quantity", {"quantity": 1e10}),
    ("amount", {"amount": 12}),
    ("amount.minor_units", {"amount": Money(-1, "EUR")}),
    ("amount.minor_units", {"amount": Money(2**54, "EUR")}),
    ("amount.minor_units", {"amount": Money(1.5, "EUR")}),  # type: ignore[arg-type]
    ("amount.currency", {"amount": Money(1, "euro")}),
    ("rating", {"rating": 3.0}),
    ("rating", {"kind": "rating"}),
    ("rating", {"kind": "rating", "rating": math.nan}),
    ("order_id", {"order_id": "\x7f"}),
    ("touchpoint", {"touchpoint": None}),
    ("decision_id", {"decision_id": "d" * 300}),
    ("reverses_id", {"reverses_id": "\ud800"}),
]


@pytest.mark.parametrize(("field", "change"), BAD, ids=[f"{field}-{place}" for place, (field, _) in enumerate(BAD)])
def test_bad_input_names_the_field_and_changes_nothing(shop_module: Engine, field: str, change: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        shop_module.identify.record([replace(GOOD, interaction_id="ok"), replace(GOOD, **change)])
    assert f"interactions[1].{field}" in {violation.field for violation in caught.value.violations}
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
    assert untouched(shop_module)


@pytest.fixture(scope="module")
def shop_module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with visavis.open(tmp_path_factory.mktemp("bad") / "s.duckdb", linger_ms=0) as engine:
        yield engine


@pytest.mark.parametrize("batch", [[], (), "abc", GOOD, None, [GOOD, "x"], [None], [GOOD] * 10_001, {1: GOOD}])
def test_a_bad_batch_is_refused_whole(shop_module: Engine, batch: Any) -> None:
    with pytest.raises(InvalidInput, match="interactions"):
        shop_module.identify.record(batch)
    assert untouched(shop_module)


@pytest.mark.parametrize("request_id", ["\x00", "x" * 257, 5, "\ud800"])
def test_a_bad_request_id_is_refused(shop_module: Engine, request_id: Any) -> None:
    for call in (
        lambda: shop_module.identify.record([GOOD], request_id=request_id),
        lambda: shop_module.identify.upsert_items([Item("tea")], request_id=request_id),
        lambda: shop_module.identify.upsert_customers([Customer("ann")], request_id=request_id),
    ):
        with pytest.raises(InvalidInput, match="request_id"):
            call()
    assert untouched(shop_module)


def test_all_that_is_wrong_is_told_at_once(shop_module: Engine) -> None:
    with pytest.raises(InvalidInput) as caught:
        shop_module.identify.record([replace(GOOD, kind="", quantity=0), replace(GOOD, item_id="\0")])
    assert [one.field for one in caught.value.violations] == [
        "interactions[0].kind",
        "interactions[0].quantity",
        "interactions[1].item_id",
    ]


def test_a_time_just_ahead_is_now(shop: Engine) -> None:
    shop.identify.record([replace(GOOD, occurred_at=datetime.now(UTC) + timedelta(minutes=5))])
    last = shop.profile("ann").last_seen
    assert last is not None
    assert last <= datetime.now(UTC)


def test_kind_number_1025_is_refused_and_harms_nothing(shop: Engine) -> None:
    shop.identify.record([Interaction(f"k{n}", interaction_id=str(n)) for n in range(1024)])
    with pytest.raises(InvalidInput, match="1024") as caught:
        # The first is known already, so that places in the batch and among the new ones differ.
        shop.identify.record([Interaction("k0", interaction_id="0"), Interaction("k1024", "ann", "tea")])
    assert caught.value.violations[0].field == "interactions[1].kind"
    assert caught.value.reason == "TOO_MANY_KINDS"
    assert shop.live.kinds.find("k1024") == -1
    assert not shop.live.catalog.ids.texts
    shop.identify.record([Interaction("k3", "bob", "milk")])
    assert shop.profile("bob").interaction_count == 1


def test_a_refused_batch_in_a_full_house_leaves_the_others(shop: Engine) -> None:
    shop.identify.record([Interaction(f"k{n}") for n in range(1023)])
    futures = [shop.identify.record_soon([Interaction(f"new{n}", f"c{n}", f"i{n}")]) for n in range(6)]
    errors = [future.exception(10) for future in futures]
    assert sum(error is None for error in errors) == 1
    assert len(rows(shop)) == 1024
    assert len(shop.live.identities.customers) == len(shop.live.catalog) == 1


def test_an_unknown_identifier_makes_a_customer_with_an_opaque_id(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    email = Identifier("email", "ann@example.com")
    shop.identify.record([Interaction("view", email, "tea"), Interaction("view", email, "milk")])
    found = shop.profile(email)
    assert found.interaction_count == 2
    assert "ann" not in found.customer.customer_id
    assert found.customer.identifiers == (email,)
    assert shop.profile(found.customer.customer_id) == found
    shop.close()
    assert open_shop().profile(email) == found


OBSERVER = """
import json
import pathlib
from visavis import hookimpl

@hookimpl
def visavis_interactions_recorded(context):
    with pathlib.Path(__file__).with_suffix(".heard").open("a") as file:
        print(json.dumps([context.kinds, context.customer_ids, context.item_ids]), file=file)
"""


def test_observers_hear_of_what_was_recorded_once(open_shop: Callable[..., Engine], tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "ears.py").write_text(OBSERVER)
    shop = open_shop(plugins_dir=str(folder))
    shop.identify.record([GOOD, Interaction("search", interaction_id="2")])
    shop.identify.record([GOOD])
    (heard,) = (folder / "ears.heard").read_text().splitlines()
    assert json.loads(heard) == [["purchase", "search"], ["ann", ""], ["tea", ""]]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_is_stored_as_it_is_or_refused(shop_texts: Engine, text: str) -> None:
    one = Interaction("view", text, "tea", interaction_id="", order_id=text)
    try:
        shop_texts.identify.record([one])
    except InvalidInput as error:
        refused = {violation.field for violation in error.violations}
    else:
        refused = set()
    fine = 0 < len(text) <= 256 and not any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text)
    assert refused <= {"interactions[0].customer", "interactions[0].order_id"}
    assert bool(refused) != fine
    if fine:
        with shop_texts.store.cursor() as cursor:
            sql = "SELECT count(*) FROM interaction_log WHERE customer_id = ? AND order_id = ?"
            assert cursor.execute(sql, [text, text]).fetchall()[0][0] >= 1


@pytest.fixture(scope="module")
def shop_texts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with visavis.open(tmp_path_factory.mktemp("texts") / "s.duckdb", linger_ms=0) as engine:
        yield engine
