"""Too many calls at once: who is refused, how he is told, and who goes on undisturbed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from tests.rpc.standin import Standin, until

from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.client import connect
from visavis.errors import DeadlineExceeded, Overloaded
from visavis.model import Interaction
from visavis.rpc.auth import by_keys
from visavis.rpc.edge import Edge
from visavis.rpc.errors import DETAILS_KEY, LEAST_PAUSE_S, PUSHBACK_KEY, to_status
from visavis.rpc.gate import Gate
from visavis.rpc.turns import LONGEST_WAIT_S, Turns
from visavis.testing.server import serve

ANN = recommendation_pb.RecommendRequest(customer={"customer_id": "ann"})


def driven(test: Callable[[Turns], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(Turns())

    asyncio.run(run())


async def work(turns: Turns, kind: str, seconds: float, done: list[str], until: float | None = None) -> None:
    if not turns.at_once(kind, until):
        await turns.wait(kind, until)
    time.sleep(seconds)
    done.append(kind)


def test_kinds_take_turns_so_that_slow_calls_do_not_starve_others() -> None:
    async def test(turns: Turns) -> None:
        done: list[str] = []
        slow = [asyncio.create_task(work(turns, "slow", 0.002, done)) for _ in range(20)]
        await asyncio.sleep(0)
        quick = [asyncio.create_task(work(turns, "quick", 0, done)) for _ in range(5)]
        await asyncio.gather(*slow, *quick)
        assert done.index("quick") <= 4
        assert max(place for place, kind in enumerate(done) if kind == "quick") <= 13
        assert sorted(done) == ["quick"] * 5 + ["slow"] * 20

    driven(test)


def test_quick_calls_begin_at_once_and_wait_only_behind_slow_ones() -> None:
    async def test(turns: Turns) -> None:
        for _ in range(200):
            assert turns.at_once("quick", None)
            await asyncio.sleep(0.001)
        assert turns.at_once("slow", None)
        assert not turns.at_once("slow", None), "nobody knows yet how long it takes"
        time.sleep(0.05)
        await asyncio.sleep(0)
        assert not turns.at_once("quick", None), "calls that came meanwhile are taken in first"
        done: list[str] = []
        await asyncio.gather(*(work(turns, "quick", 0, done) for _ in range(30)))
        assert len(done) == 30
        await asyncio.sleep(0.01)
        assert turns.at_once("quick", None)

    driven(test)


def test_who_would_wait_too_long_is_refused_at_once_and_who_has_time_is_not() -> None:
    async def test(turns: Turns) -> None:
        done: list[str] = []
        for _ in range(3):
            await work(turns, "ask", 0.02, done)
            await asyncio.sleep(0.03)
        waiting = [asyncio.create_task(work(turns, "ask", 0.02, done)) for _ in range(20)]
        await asyncio.sleep(0)
        assert 0 < turns.wait_s("ask") < LONGEST_WAIT_S
        with pytest.raises(Overloaded, match=r"would wait [0-9]+ ms for its turn") as caught:
            await turns.wait("ask", time.monotonic() + turns.wait_s("ask"))
        assert int(caught.value.metadata["wait_ms"]) > 0
        waiting.append(asyncio.create_task(work(turns, "ask", 0, done, time.monotonic() + 60)))
        await asyncio.gather(*waiting)
        assert len(done) == 24

    driven(test)


def test_calls_whose_deadline_passed_while_they_waited_are_not_begun() -> None:
    async def test(turns: Turns) -> None:
        done: list[str] = []
        soon_over = time.monotonic() + 0.05
        first = asyncio.create_task(work(turns, "block", 0.1, done))
        soon = asyncio.create_task(work(turns, "late", 0, done, soon_over))
        with pytest.raises(DeadlineExceeded, match="too near"):
            await soon
        await first
        assert done == ["block"]

    driven(test)


def test_who_leaves_the_queue_is_forgotten() -> None:
    async def test(turns: Turns) -> None:
        done: list[str] = []
        tasks = [asyncio.create_task(work(turns, "ask", 0.001, done)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in tasks[1:9]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(done) == 2
        await asyncio.sleep(0.01)
        assert turns.wait_s("ask") == 0
        await work(turns, "ask", 0, done)
        assert len(done) == 3

    driven(test)


def test_refusals_have_different_pauses_so_that_callers_do_not_come_back_together() -> None:
    pauses = set()
    for _ in range(8):
        status = to_status(Overloaded("too much"), 3.0)
        retry = error_details_pb2.RetryInfo()
        assert status.details[1].Unpack(retry)
        pauses.add(retry.retry_delay.ToMilliseconds())
    assert len(pauses) > 4
    assert all(1500 <= one <= 4500 for one in pauses)


def test_refused_callers_are_told_when_to_come_back(shop: Standin) -> None:
    shop.hold.clear()
    with (
        serve(shop, max_concurrent_rpcs=3) as server,
        connect(server.address) as client,
        grpc.insecure_channel(server.address) as channel,
        ThreadPoolExecutor(3) as threads,
    ):
        waiting = [threads.submit(client.identify.record, [Interaction("view")]) for _ in range(3)]
        until(lambda: server.running == 3)
        for message in (ANN, recommendation_pb.RecommendRequest()):  # refused before it is looked at
            with pytest.raises(grpc.RpcError) as caught:
                RecommendationServiceStub(channel).Recommend(message)
        shop.hold.set()
        assert all(future.result() for future in waiting)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(caught.value.trailing_metadata())
    details = status_pb2.Status.FromString(trailers[DETAILS_KEY]).details
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert details[0].Unpack(info)
    assert details[1].Unpack(retry)
    assert (info.reason, dict(info.metadata)) == ("OVERLOADED", {"limit": "3"})
    assert 250 <= retry.retry_delay.ToMilliseconds() == int(trailers[PUSHBACK_KEY]) <= 750


def test_our_client_comes_back_when_it_is_asked_to(shop: Standin) -> None:
    shop.hold.clear()
    with (
        serve(shop, max_concurrent_rpcs=1) as server,
        connect(server.address) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        blocking = threads.submit(client.identify.record, [Interaction("view")])
        until(lambda: server.running == 1)
        asking = threads.submit(client.recommend, "ann")
        time.sleep(0.1)
        assert not asking.done()
        shop.hold.set()
        assert blocking.result().recorded == 1
        assert asking.result().customer_id == "ann"


def test_long_streams_leave_room_for_calls_and_calls_for_streams(shop: Standin) -> None:
    batch = pb.StreamInteractionsRequest(batch_id="b", strings=["", "view"], kind=[1])
    with (
        serve(shop, max_concurrent_rpcs=8) as server,
        connect(server.address) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = InteractionServiceStub(channel)
        shop.hold.clear()
        open_ = [stub.StreamInteractions(iter([batch])) for _ in range(2)]
        until(lambda: server.running == 2)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.StreamInteractions(iter([batch])))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 streams are in progress already" in caught.value.details()
        with ThreadPoolExecutor(8) as threads:
            waiting = [threads.submit(client.identify.record, [Interaction("view")]) for _ in range(8)]
            until(lambda: server.running == 10)
            shop.hold.set()
            assert [future.result().recorded for future in waiting] == [1] * 8
        assert [len(list(one)) for one in open_] == [1, 1]


METHOD = "/visavis.api.v1.RecommendationService/Recommend"


def test_refusals_are_counted_in_one_line_and_cost_no_reading(caplog: pytest.LogCaptureFixture) -> None:
    aborted = []

    class Context:
        async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: object) -> None:
            aborted.append(code)

    async def behaviour(request: object, context: object) -> None:
        raise NotImplementedError("a refused call must not be begun")

    async def run() -> None:
        gate = Gate(1)
        gate.closed_because = ""
        edge = Edge(gate, by_keys(lambda: None))
        details: Any = SimpleNamespace(method=METHOD, invocation_metadata=())
        handler = grpc.unary_unary_rpc_method_handler(behaviour)
        edge.add(METHOD, handler)
        whole = edge.service(details)
        assert whole.unary_unary is not None
        gate.calls = 1
        for _ in range(500):
            # Its request comes as a stream that is never read.
            refusing = edge.service(details)
            await refusing.stream_unary(None, Context())
        assert gate.calls == 1
        assert gate.pause_s == LEAST_PAUSE_S
        await asyncio.sleep(1.1)
        assert gate.pause_s > 2 * LEAST_PAUSE_S, "a crowd is asked to wait longer"
        await asyncio.sleep(1.0)
        assert gate.pause_s == LEAST_PAUSE_S, "and nobody once it has gone"

    with caplog.at_level(logging.INFO, "visavis.rpc"):
        asyncio.run(run())
    assert aborted == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 500
    (record,) = [one for one in caplog.records if one.getMessage() == "refused"]
    assert record.fields == {"rpc": METHOD, "reason": "OVERLOADED", "calls": 500}  # type: ignore[attr-defined]
    assert len(caplog.records) == 1
