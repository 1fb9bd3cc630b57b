"""Small calls that go together: each gets its own answer, whatever the others ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest

from visavis import Identifier, Interaction
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.engine import Engine
from visavis.errors import InvalidInput, Overloaded, StoreError, Unavailable
from visavis.identify.gathering import MOST_ROWS, Gathering
from visavis.model import RecordResult
from visavis.rpc.convert_batches import calls_from_bytes, interactions_from_bytes
from visavis.rpc.convert_interactions import interaction_to_proto
from visavis.store import Operation

KNOWN = RecordResult(0, 1)
NEW = RecordResult(1, 0)


def call(*rows: Interaction) -> bytes:
    return pb.RecordInteractionsRequest(
        interactions=[interaction_to_proto(row, "") for row in rows]
    ).SerializeToString()


def view(customer: Any = "ann", item: str = "tea", **fields: Any) -> Interaction:
    return Interaction("view", customer, item, **fields)


class Held:
    """Holds the writer back, so that calls gather."""

    def __init__(self, shop: Engine) -> None:
        self._go = threading.Event()
        entered = threading.Event()

        def work(_: object) -> None:
            entered.set()
            assert self._go.wait(10)

        self.done = shop.store.writer.submit(Operation(work, exclusive=True))
        assert entered.wait(10)

    def let_go(self) -> None:
        self._go.set()


def together(shop: Engine, calls: list[bytes], rows: int = 1) -> list[Any]:
    """The outcome of each of the calls, which wait for the writer together."""
    gathering = shop.identify.gathering(calls_from_bytes, interactions_from_bytes)
    held = Held(shop)
    handed_in = [gathering.add(one, rows) for one in calls]
    held.let_go()
    wait([future for future, _ in handed_in], 20)
    return [future.result()[place] for future, place in handed_in]


def violations(outcome: Any) -> list[str]:
    assert isinstance(outcome, InvalidInput)
    return [one.field for one in outcome.violations]


def test_calls_that_wait_go_in_one_commit_and_each_hears_of_its_own(shop: Engine) -> None:
    before = shop.store.mark.sequence
    calls = [
        call(view(interaction_id="a")),
        call(view("bob", interaction_id="b"), view(interaction_id="a")),
        call(view(Identifier("email", "a@x"), interaction_id="b")),
        call(view(), view(interaction_id="c"), view(interaction_id="c")),
    ]
    assert together(shop, calls) == [NEW, RecordResult(1, 1), KNOWN, RecordResult(2, 1)]
    assert shop.store.mark.sequence == before + 2  # with the one that held the writer
    assert shop.profile("ann").interaction_count == 3
    assert together(shop, calls[:2]) == [KNOWN, RecordResult(0, 2)]


def test_who_is_wrong_is_told_and_the_others_are_recorded(shop: Engine) -> None:
    late = Interaction("purchase", "ann")
    calls = [call(view(interaction_id="a")), call(view(), late), call(view("bob", "cup"))]
    first, second, third = together(shop, calls)
    assert (first, third) == (NEW, NEW)
    assert violations(second) == ["interactions[1].item_id"]
    assert shop.admin.status().interactions == 2


def test_where_all_are_wrong_nothing_is_written(shop: Engine) -> None:
    before = shop.store.mark.sequence
    first, second = together(shop, [call(Interaction("like", "ann")), call(Interaction("View", "ann", "tea"))])
    assert violations(first) == ["interactions[0].item_id"]
    assert violations(second) == ["interactions[0].kind"]
    assert shop.store.mark.sequence == before + 1  # of the one that held the writer


def test_one_that_the_store_refuses_does_not_take_the_others_along(shop: Engine) -> None:
    """A kind too many is known only in the transaction, and undoes it."""
    shop.identify.record([Interaction(f"k{n}", interaction_id=str(n)) for n in range(1023)])
    calls = [call(view()), call(view(), Interaction("new", "ann", "tea")), call(view("bob"))]
    first, second, third = together(shop, calls)
    assert (first, third) == (NEW, NEW)
    assert violations(second) == ["interactions[1].kind"]
    assert shop.admin.status().interactions == 1025


def test_what_columns_cannot_say_goes_by_rows(shop: Engine) -> None:
    nobody = pb.RecordInteractionsRequest(interactions=[pb.Interaction(kind="search")])
    nobody.interactions[0].customer.SetInParent()
    wrong, good = together(shop, [nobody.SerializeToString(), call(view())])
    assert violations(wrong) == ["interactions[0].customer"]
    assert good == NEW


def test_no_more_go_together_than_a_commit_can_bear(shop: Engine) -> None:
    gathering = shop.identify.gathering(calls_from_bytes, interactions_from_bytes)
    held = Held(shop)
    futures = [gathering.add(call(view()), MOST_ROWS // 2)[0] for _ in range(5)]
    held.let_go()
    assert [len(future.result(10)) for future in dict.fromkeys(futures)] == [2, 2, 1]


def test_too_many_rows_are_refused_and_a_closed_store_takes_nothing(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(queue_rows=10)
    gathering: Gathering = shop.identify.gathering(calls_from_bytes, interactions_from_bytes)
    held = Held(shop)
    first, _ = gathering.add(call(view()), 8)
    with pytest.raises(Overloaded):
        gathering.add(call(view()), 8)
    held.let_go()
    assert first.result(10) == [NEW]
    assert gathering.add(call(view()), 8)[0].result(10) == [NEW]
    shop.close()
    with pytest.raises(Unavailable):
        gathering.add(call(view()), 1)


def test_a_writer_that_broke_tells_every_call(shop: Engine, tmp_path: Path) -> None:
    gathering = shop.identify.gathering(calls_from_bytes, interactions_from_bytes)
    held = Held(shop)
    future, _ = gathering.add(call(view()), 1)
    gathering.add(call(view("bob")), 1)
    shop.store.writer.stop(StoreError("broken for the test"))
    held.let_go()
    with pytest.raises(StoreError, match="broken for the test"):
        future.result(10)
    with pytest.raises(StoreError, match="broken for the test"):
        gathering.add(call(view()), 1)


def test_what_was_gathered_is_there_after_opening_again(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    rows = [view(interaction_id="a", order_id="é", quantity=2.0), view("bob", "cup", touchpoint="🍵")]
    assert together(shop, [call(row) for row in rows]) == [NEW, NEW]
    shop.close()
    again = open_shop()
    with again.store.cursor() as cursor:
        found = cursor.execute(
            "SELECT customer_id, item_id, quantity, order_id, touchpoint FROM interaction_log ORDER BY customer_id"
        ).fetchall()
    assert found == [("ann", "tea", 2.0, "é", None), ("bob", "cup", 1.0, None, "🍵")]
    assert together(again, [call(rows[0])]) == [KNOWN]
