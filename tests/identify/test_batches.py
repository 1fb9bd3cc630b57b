"""Batches by column: the same rows, answers and refusals as row by row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis import Identifier, Interaction
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput, VisavisError
from visavis.model import RecordResult
from visavis.rpc.convert_batches import batch_from_proto
from visavis.rpc.convert_interactions import interactions_from_columns

MOMENT = 1_700_000_000_000_000
LATER = int(time.time() * 1e6) + 30 * 86_400_000_000

texts = st.sampled_from(["ann", "bob", "e1", "e2", "e3", "é🍵", "x" * 256])
odd = st.sampled_from(["", "\x00", "a\x1fb", "x" * 257, "\x7f"])
kinds = st.sampled_from(["view", "purchase", "rating", "return", "search"])
COLUMNS: dict[str, tuple[Any, Any]] = {
    # What is mostly sent, and what is not good.
    "kind": (kinds, st.sampled_from(["", "View", "rating", "9"])),
    "customer_id": (st.just("") | texts, odd),
    "identifier_kind": (
        st.sampled_from(["", "email", "card"]),
        st.sampled_from(["customer", "E-mail", "card_number"]),
    ),
    "identifier_value": (st.just("") | texts, st.sampled_from(["4111 1111 1111 1111", "\x00"])),
    "item_id": (texts, odd),
    "interaction_id": (st.integers(0, 300).map(str), odd),
    "amount_currency": (st.sampled_from(["", "EUR", "GBP"]), st.sampled_from(["euro", "E"])),
    "order_id": (st.just("") | texts, odd),
    "touchpoint": (st.just("") | texts, odd),
    "decision_id": (st.just("") | texts, odd),
    "reverses_id": (st.just("") | texts, odd),
    "occurred_micros": (st.sampled_from([0, MOMENT, MOMENT + 1]), st.sampled_from([-1, LATER, 2**62, -(2**62)])),
    "quantity": (st.sampled_from([1.0, 0.5, 1e9]), st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 2e9])),
    "amount_minor_units": (st.sampled_from([0, 1, 2**53]), st.sampled_from([-1, 2**53 + 1])),
    "rating": (st.just(float("nan")), st.sampled_from([4.5, -1e6, 2e6, float("inf")])),
}
TEXTS = tuple(COLUMNS)[:11]


@st.composite
def messages(draw: Callable[..., Any]) -> pb.StreamInteractionsRequest:
    """A batch: good, or with something wrong in it. Some texts stand twice in the table, or are not used."""
    n = draw(st.integers(1, 5))
    wrong = draw(st.sampled_from(list(COLUMNS))) if draw(st.integers(0, 2)) == 2 else ""
    strings: list[str] = [""]
    message = pb.StreamInteractionsRequest()
    for name, (good, bad) in COLUMNS.items():
        needed = name in ("kind", "item_id") or (name == "identifier_value" and message.identifier_kind)
        if not (needed or name == wrong or draw(st.booleans())):
            continue
        values = draw(st.lists(good, min_size=n, max_size=n))
        if name == "rating" and message.kind:
            values = [
                4.0 if strings[code] == "rating" else value for code, value in zip(message.kind, values, strict=True)
            ]
        if name == "identifier_value":
            named = message.identifier_kind or [0] * n
            values = [(value or "a@x") if kind else "" for kind, value in zip(named, values, strict=True)]
        if name == wrong:
            values[draw(st.integers(0, n - 1))] = draw(bad)
        if name == "amount_minor_units":
            currencies = message.amount_currency or [0] * n
            values = [value if code or name == wrong else 0 for value, code in zip(values, currencies, strict=True)]
        if name in TEXTS:
            values = [_place(strings, value, twice=draw(st.booleans())) for value in values]
        getattr(message, name).extend(values)
    if not message.rating:
        message.rating.extend(4.0 if strings[code] == "rating" else float("nan") for code in message.kind)
    message.strings.extend(strings)
    if draw(st.integers(0, 9)) == 0:
        draw(
            st.sampled_from([message.strings.pop, lambda: message.item_id.append(0), lambda: message.kind.append(99)])
        )()
    message.request_id = draw(st.sampled_from(["", "", "r1", "r2", "\x00"]))
    return message


def _place(strings: list[str], value: str, *, twice: bool) -> int:
    if not value:
        return 0
    if value not in strings or twice:
        strings.append(value)
    return len(strings) - 1 - strings[::-1].index(value)


def by_rows(shop: Engine, message: pb.StreamInteractionsRequest) -> Any:
    return _answer(lambda: shop.identify.record_soon(interactions_from_columns(message), request_id=message.request_id))


def by_columns(shop: Engine, message: pb.StreamInteractionsRequest) -> Any:
    """The columnar way alone; None if it leaves the batch to the other."""

    def record() -> Future[RecordResult] | None:
        batch = batch_from_proto(message)
        return None if batch is None else shop.identify.record_batch_soon(batch, request_id=message.request_id)

    return _answer(record)


def _answer(record: Callable[[], Future[RecordResult] | None]) -> Any:
    try:
        future = record()
        return None if future is None else future.result(10)
    except InvalidInput as error:
        return error.violations
    except VisavisError as error:
        return type(error), error.message


MADE = "if(regexp_full_match({0}, '(c-)?[0-9a-f]{{32}}'), 'made', {0})"
ROWS = (
    f"SELECT kind, {MADE.format('customer_id')}, item_id, {MADE.format('interaction_id')}, quantity, amount, currency, "
    "rating, order_id, touchpoint, decision_id, reverses_id, "
    "if(occurred_at > '2024-01-01', 'now', occurred_at::VARCHAR) FROM interaction_log ORDER BY ALL"
)


def stored(shop: Engine) -> list[tuple[Any, ...]]:
    with shop.store.cursor() as cursor:
        identifiers = "SELECT kind, if(kind = 'customer', '', value) FROM identities ORDER BY ALL"
        return cursor.execute(ROWS).fetchall() + cursor.execute(identifiers).fetchall()


def remembered(shop: Engine) -> Any:
    """What memory says of each customer, by a name that both shops know."""
    live = shop.live
    kinds = live.kinds.names
    said = []
    for code in range(len(live.identities.customers)):
        past = live.histories.of(np.array([code], dtype=np.int32), [""], kinds, 0)
        columns = [[live.catalog.ids.texts[item] if item >= 0 else "" for item in past.item.tolist()]]
        columns += [[kinds[kind] for kind in past.kind.tolist()], past.quantity.tolist(), repr_of(past.rating)]
        # A basket without an order is the customer's day, and customers have other codes in the other shop.
        columns += [[basket if basket >= 0 else -1 for basket in past.basket.tolist()]]
        columns += [[time if time < 1_704_067_200_000_000 else 0 for time in past.time.tolist()]]
        name = live.identities.customers.texts[code]
        said.append((name if not name.startswith("c-") else "made", sorted(zip(*columns, strict=True))))
    return sorted(said)


def repr_of(values: Any) -> list[str]:
    return [repr(value) for value in values.tolist()]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    import visavis

    folder = tmp_path_factory.mktemp("batches")
    with (
        visavis.open(folder / "rows.duckdb", linger_ms=0) as rows,
        visavis.open(folder / "columns.duckdb", linger_ms=0) as columns,
    ):
        yield rows, columns


@settings(max_examples=150, derandomize=True, deadline=None)
@given(message=messages())
def test_both_ways_agree(shops: tuple[Engine, Engine], message: pb.StreamInteractionsRequest) -> None:
    rows, columns = shops
    expected, found = by_rows(rows, message), by_columns(columns, message)
    if found is None:
        # Left to the other way: because something is wrong, or might be (a text that no row uses).
        found = by_rows(columns, message)
    else:
        by_columns_alone.append(found)
    assert found == expected


by_columns_alone: list[Any] = []


def test_both_shops_hold_the_same_now_and_after_opening_again(shops: tuple[Engine, Engine]) -> None:
    import visavis

    rows, columns = shops
    assert len(by_columns_alone) > 40
    assert stored(rows) == stored(columns)
    before = remembered(columns)
    assert len(before) > 3
    assert columns.admin.status().interactions > 100
    assert remembered(rows) == before
    path = columns.store.path
    columns.close()
    with visavis.open(path) as again:
        assert remembered(again) == before
        codes = np.arange(len(again.live.identities.customers), dtype=np.int32)
        past, then = (one.live.histories.of(codes, [""] * len(codes), [], 0) for one in (again, columns))
        np.testing.assert_array_equal(past.basket, then.basket)
        np.testing.assert_array_equal(past.time, then.time)


def batch(n: int = 3, **columns: Any) -> pb.StreamInteractionsRequest:
    """Good rows of one customer, with ids of their own."""
    ids = [f"e{number}" for number in range(n)]
    message = pb.StreamInteractionsRequest(
        strings=["", "view", "ann", "tea", *ids], kind=[1] * n, customer_id=[2] * n, item_id=[3] * n
    )
    message.interaction_id.extend(range(4, 4 + n))
    for name, values in columns.items():
        getattr(message, name)[:] = values
    return message


def test_a_good_batch_goes_by_columns(shop: Engine) -> None:
    assert by_columns(shop, batch()) == RecordResult(3, 0)
    assert by_columns(shop, batch(4)) == RecordResult(1, 3)
    assert by_columns(shop, batch(2, interaction_id=[4, 4])) == RecordResult(0, 2)
    assert by_columns(shop, batch(3, interaction_id=[0, 0, 0])) == RecordResult(3, 0)
    assert shop.profile("ann").interaction_count == 7


def test_a_repeated_request_is_known_whichever_way_it_comes(open_shop: Callable[..., Engine]) -> None:
    message = batch(3, interaction_id=[0, 0, 0], occurred_micros=[0, MOMENT, MOMENT + 1], quantity=[1.0, 2.0, 0.5])
    message.request_id = "r"
    shop = open_shop()
    assert by_columns(shop, message) == by_rows(shop, message) == by_columns(shop, message) == RecordResult(3, 0)
    shop.close()
    again = open_shop()
    assert by_rows(again, message) == by_columns(again, message) == RecordResult(3, 0)
    assert again.admin.status().interactions == 3
    message.quantity[0] = 3.0
    assert by_columns(again, message)[0] is by_rows(again, message)[0] is Conflict


def test_the_kind_that_is_one_too_many_is_named_by_its_row(shop: Engine) -> None:
    shop.identify.record([Interaction(f"k{n}", interaction_id=str(n)) for n in range(1023)])
    message = batch(4, kind=[1, 7, 1, 6])
    message.strings[:] = ["", "k1", "ann", "tea", "0", "e", "new2", "new1", "f", "g"]
    message.interaction_id[:] = [4, 5, 8, 9]
    (violation,) = by_columns(shop, message)
    assert violation.field == "interactions[3].kind"
    assert [violation] == list(by_rows(shop, message))
    assert shop.live.kinds.find("new1") == -1
    assert not shop.live.catalog.ids.texts


def test_batches_that_meet_in_one_commit_share_what_they_make(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(linger_ms=50)
    email = batch(2, customer_id=[0, 0], identifier_kind=[6, 6], identifier_value=[7, 7], interaction_id=[0, 0])
    email.strings.extend(["email", "a@x"])
    ways: list[Future[RecordResult]] = []
    for number in range(6):
        columns = batch_from_proto(email if number % 2 else batch(2 + number))
        assert columns is not None
        future = shop.identify.record_batch_soon(columns)
        assert future is not None
        ways.append(future)
    ways.append(shop.identify.record_soon([Interaction("view", Identifier("email", "a@x"), "tea")]))
    recorded = [future.result(10).recorded for future in ways]
    assert recorded == [2, 2, 2, 2, 2, 2, 1]
    assert shop.profile(Identifier("email", "a@x")).interaction_count == 7
    assert shop.profile("ann").interaction_count == 6
    assert len(shop.live.identities.customers) == 2


def test_what_a_later_batch_of_the_commit_makes_is_there_for_the_rows_of_all(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(linger_ms=50)
    shop.live.warm_up()
    assert by_columns(shop, batch(1)) == RecordResult(1, 0)
    before = shop.store.mark.sequence
    ways = []
    for message in (batch(2, interaction_id=[0, 0]), batch(2, interaction_id=[0, 0])):
        if ways:
            message.strings[1:4] = ["basket", "bob", "cup"]
        columns = batch_from_proto(message)
        assert columns is not None
        ways.append(shop.identify.record_batch_soon(columns))
    assert [future.result(10).recorded for future in ways if future is not None] == [2, 2]
    assert shop.store.mark.sequence == before + 1
    assert [shop.profile(who).interaction_count for who in ("ann", "bob")] == [3, 2]


def test_a_time_just_ahead_is_now(shop: Engine) -> None:
    ahead = int((datetime.now(UTC) + timedelta(minutes=5)).timestamp() * 1e6)
    assert by_columns(shop, batch(1, occurred_micros=[ahead])) == RecordResult(1, 0)
    last = shop.profile("ann").last_seen
    assert last is not None
    assert last <= datetime.now(UTC)
