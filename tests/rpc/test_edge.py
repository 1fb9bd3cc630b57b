"""Keys, limits, deadlines, malformed messages, logs: what happens around each call."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from tests.rpc.standin import Standin, until

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import catalog_service_pb2 as catalog_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.api.v1.catalog_service_pb2_grpc import CatalogServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.client import Client, connect
from visavis.errors import DeadlineExceeded, InvalidInput, Overloaded
from visavis.model import Interaction, Item
from visavis.rpc.auth import by_keys
from visavis.rpc.edge import Edge
from visavis.rpc.errors import from_call
from visavis.rpc.gate import Gate
from visavis.rpc.logs import JsonLines
from visavis.rpc.server import Server
from visavis.testing.server import serve

ANN = pb.RecommendRequest(customer={"customer_id": "ann"})


def test_malformed_messages_are_the_callers_fault(channel: grpc.Channel, shop: Standin) -> None:
    unary = channel.unary_unary("/visavis.api.v1.RecommendationService/Recommend")
    stream = channel.stream_stream("/visavis.api.v1.InteractionService/StreamInteractions")
    for call in (lambda: unary(b"\xff\xff\xff"), lambda: list(stream(iter([b"\x08\x96"])))):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        error = from_call(caught.value, "here")
        assert isinstance(error, InvalidInput)
        assert "is not a valid protobuf message for visavis.api.v1." in error.message
    assert not shop.seen


def test_unknown_calls_are_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/visavis.api.v1.RecommendationService/Nonsense")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_too_large_messages_are_refused(shop: Standin) -> None:
    with serve(shop, max_message_mb=1) as server, connect(server.address) as client:
        with pytest.raises(InvalidInput, match="the message is too large; send or ask for less at once"):
            client.identify.upsert_items([Item(f"i{k}", "x" * 200) for k in range(9000)])
        assert not shop.seen
        with pytest.raises(InvalidInput, match="the message is too large"):
            client.customize.recommend_many(["ann"] * 1000, 100)
        assert client.recommend("ann").customer_id == "ann"


def test_too_much_metadata_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        RecommendationServiceStub(channel).Recommend(ANN, metadata=[("x-note", "x" * 40_000)])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class Late:
    """The context of a call whose time is over; a real client gives such a call up by itself, most of the time."""

    def __init__(self) -> None:
        self.status: tuple[grpc.StatusCode, str] | None = None

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> float:
        return 0.0

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: object) -> None:
        self.status = (code, details)
        raise grpc.aio.AbortError


def test_deadlines_in_the_past_are_refused() -> None:
    async def behaviour(request: object, context: object) -> None:
        raise NotImplementedError("a call that is late must not be begun")

    async def call() -> Late:
        gate, context = Gate(10), Late()
        gate.closed_because = ""
        handler = grpc.unary_unary_rpc_method_handler(behaviour)
        details: Any = SimpleNamespace(method="/visavis.api.v1.RecommendationService/Recommend", invocation_metadata=())
        everybody = by_keys(lambda: None)
        edge = Edge(gate, everybody)
        edge.add(details.method, handler)
        wrapped = edge.service(details)
        with pytest.raises(grpc.aio.AbortError):
            await wrapped.unary_unary(ANN, context)
        assert gate.running == 0
        return context

    assert asyncio.run(call()).status == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "the deadline passed before the call began; give more time",
    )


def test_a_slow_answer_is_given_up_at_the_deadline(server: Server, shop: Standin) -> None:
    shop.hold.clear()
    with connect(server.address, timeout=0.3) as client:
        with pytest.raises(DeadlineExceeded, match=r"no answer from 127\.0\.0\.1:[0-9]+ in the time given"):
            client.identify.record([Interaction("view", "ann")])
        shop.hold.set()
        # The commit that nobody waited for went its way, and did not break what serves the next caller.
        assert client.identify.record([Interaction("view", "ann")]).recorded == 1
    assert len(shop.identify.interactions) == 2


def test_work_whose_deadline_passed_in_the_queue_is_not_begun(shop: Standin) -> None:
    shop.hold.clear()
    with serve(shop, executor_threads=1) as server, connect(server.address) as client:
        with ThreadPoolExecutor(1) as threads:
            blocking = threads.submit(client.customize.recommend_many, ["ann"])
            until(lambda: server.running == 1)
            with connect(server.address, timeout=0.2) as hasty, pytest.raises(DeadlineExceeded):
                hasty.identify.get_item("late")
            shop.hold.set()
            assert len(blocking.result()) == 1
        client.admin.status()  # queued behind the late call
    assert ("get_item", "late") not in shop.seen


def test_too_many_calls_are_refused_in_time(shop: Standin) -> None:
    shop.hold.clear()
    with serve(shop, max_concurrent_rpcs=3) as server, connect(server.address) as client:
        with ThreadPoolExecutor(3) as threads:
            waiting = [threads.submit(client.identify.record, [Interaction("view")]) for _ in range(3)]
            until(lambda: server.running == 3)
            with pytest.raises(Overloaded, match="3 calls are in progress already") as caught:
                client.recommend("ann")
            assert caught.value.metadata == {"limit": "3"}
            shop.hold.set()
            assert [future.result().recorded for future in waiting] == [1, 1, 1]
        until(lambda: server.running == 0)
        assert client.recommend("ann").customer_id == "ann"


def test_cancelled_calls_leave_nothing_behind(channel: grpc.Channel, server: Server, shop: Standin) -> None:
    shop.hold.clear()
    stub = AdminServiceStub(channel)
    call = stub.Fit(admin_pb.FitRequest())
    assert next(iter(call)).progress.step == "fit"
    call.cancel()
    until(lambda: server.running == 0)
    shop.hold.set()
    until(lambda: shop.admin.fits == 1)
    assert shop.ended == ["fit"]


def test_many_callers_at_once(client: Client, shop: Standin) -> None:
    def one(number: int) -> bool:
        name = f"c{number}"
        recorded = client.identify.record([Interaction("view", name, "tea", f"e{number}")]).recorded
        return recorded == 1 and client.recommend(name, 3).customer_id == name and client.admin.status().sequence == 42

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(one, range(200)))
    assert len(shop.identify.interactions) == 200


class Lines(logging.Handler):
    """Keeps what would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.lock_ = threading.Lock()
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        with self.lock_:
            self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = Lines()
    logger = logging.getLogger("visavis.rpc")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_logs_say_what_happened_and_not_to_whom(lines: list[str], client: Client, shop: Standin) -> None:
    client.identify.record([Interaction("view", "ann@example.com", "tea")])
    with pytest.raises(InvalidInput):
        client.recommend("ann@example.com", 0)
    shop.fail = RuntimeError("ann@example.com owes us")
    with pytest.raises(Exception, match="internal error"):
        client.profile("ann@example.com")
    until(lambda: sum("GetProfile" in line and '"call"' in line for line in lines) == 1)
    assert not [line for line in lines if "ann" in line]
    assert not [line for line in lines if "\n" in line]
    calls = [entry for entry in map(json.loads, lines) if entry["event"] == "call"]
    assert [(call["rpc"].split("/")[-1], call["code"], call.get("reason")) for call in calls] == [
        ("RecordInteractions", "OK", None),
        ("Recommend", "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("GetProfile", "INTERNAL", "INTERNAL"),
    ]
    assert all(call["ms"] >= 0 and call["received_bytes"] > 0 and call["level"] == "info" for call in calls)
    (failure,) = [entry for entry in map(json.loads, lines) if entry["event"] == "failed"]
    assert failure["exception"] == "RuntimeError"
    assert any("standin.py" in frame for frame in failure["stack"])


def test_the_size_of_a_stream_is_counted(lines: list[str], channel: grpc.Channel) -> None:
    batch = interaction_pb.StreamInteractionsRequest(batch_id="b", strings=["", "view"], kind=[1])
    method = channel.stream_stream(
        "/visavis.api.v1.InteractionService/StreamInteractions",
        request_serializer=interaction_pb.StreamInteractionsRequest.SerializeToString,
    )
    assert len(list(method(iter([batch] * 5)))) == 5
    until(lambda: any("StreamInteractions" in line for line in lines))
    (call,) = [entry for entry in map(json.loads, lines) if entry["event"] == "call"]
    assert call["received_bytes"] == 5 * batch.ByteSize()


def test_calls_without_a_message_body_work(channel: grpc.Channel) -> None:
    assert CatalogServiceStub(channel).ListItems(catalog_pb.ListItemsRequest()).next_page_token == ""
