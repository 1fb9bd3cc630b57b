"""How calls come in: many at once, each told by us if there is no room; gRPC's own way where its parts are others."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tests.rpc.standin import Standin, until

from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.client import connect
from visavis.model import Interaction
from visavis.rpc import intake
from visavis.rpc.intake import Intake, usable
from visavis.rpc.turns import Turns
from visavis.testing.server import serve

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
ANN = pb.RecommendRequest(customer={"customer_id": "ann"}).SerializeToString()


async def _codes(address: str, calls: int, *, cancel: bool = False) -> list[grpc.StatusCode]:
    """How so many calls ended that were made at once, on one connection."""
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_unary(RECOMMEND)
        made = [method(ANN, timeout=30) for _ in range(calls)]
        if cancel:
            await asyncio.sleep(0.02)
            for one in made[::2]:
                one.cancel()
        return [await one.code() for one in made]


def test_the_parts_of_grpc_are_those_that_are_known_here() -> None:
    assert usable()


def test_a_crowd_that_finds_no_room_is_refused_by_us_to_the_last_call(shop: Standin) -> None:
    shop.hold.clear()
    with (
        serve(shop, max_concurrent_rpcs=100) as server,
        connect(server.address) as client,
        ThreadPoolExecutor(100) as threads,
    ):
        waiting = [threads.submit(client.identify.record, [Interaction("view")]) for _ in range(100)]
        until(lambda: server.running == 100)
        codes = asyncio.run(_codes(server.address, 200))
        shop.hold.set()
        assert all(future.result().recorded == 1 for future in waiting)
        assert set(codes) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert set(asyncio.run(_codes(server.address, 50))) == {grpc.StatusCode.OK}


def test_who_gives_up_leaves_the_others_answered(shop: Standin) -> None:
    with serve(shop) as server:
        codes = asyncio.run(_codes(server.address, 200, cancel=True))
        assert set(codes[1::2]) == {grpc.StatusCode.OK}
        assert set(codes[::2]) <= {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        until(lambda: server.running == 0)


@pytest.mark.parametrize("change", ["a name less", "another parameter", "a type less"])
def test_where_grpc_is_another_it_takes_in_calls_by_itself(
    shop: Standin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    known = dict(intake._KNOWN)
    if change == "a type less":
        monkeypatch.setattr(intake, "_KNOWN_TYPES", (*intake._KNOWN_TYPES, "Nonsense"))
    else:
        known |= {"_nonsense": ()} if change == "a name less" else {"_receive_message": ("call", "loop", "more")}
        monkeypatch.setattr(intake, "_KNOWN", known)
    assert not usable()
    with caplog.at_level(logging.WARNING, "visavis.rpc"), serve(shop) as server, connect(server.address) as client:
        assert client.recommend("ann").customer_id == "ann"
        assert set(asyncio.run(_codes(server.address, 100))) == {grpc.StatusCode.OK}
    assert any("gRPC takes in calls by itself" in record.getMessage() for record in caplog.records)


def test_a_server_that_was_stopped_is_asked_for_nothing(shop: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Intake] = []
    init = Intake.__init__

    def remember(self: Intake, *arguments: object) -> None:
        init(self, *arguments)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(Intake, "__init__", remember)
    with serve(shop) as server, connect(server.address) as client:
        assert client.recommend("ann").customer_id == "ann"
        assert any(lane.asked for one in made for lane in one._lanes)
    assert made
    assert not any(lane.asked for one in made for lane in one._lanes)
    for one in made:
        one._resume()  # must not reach a server that is gone
        assert not any(lane.asked for lane in one._lanes)


def test_refusing_has_a_share_of_the_time_of_turns_and_no_more() -> None:
    async def run() -> None:
        turns, resumed, done = Turns(), [], []
        turns.when_time(lambda: resumed.append(len(done)))

        async def work() -> None:
            await turns.wait("ask", None)
            time.sleep(0.002)
            done.append(1)

        turns.refused(60.0)
        assert turns.has_time, "nobody waits for a turn"
        working = [asyncio.create_task(work()) for _ in range(60)]
        await asyncio.sleep(0)
        turns.refused(0.19)
        assert turns.has_time, "saved in quiet times"
        turns.refused(0.03)
        assert not turns.has_time
        await asyncio.gather(*working)
        assert resumed, "turns have earned it back"
        assert 10 < resumed[0] <= 60
        turns.refused(60.0)
        await asyncio.sleep(0.01)
        assert turns.has_time, "and nobody waits any more"

    asyncio.run(run())
