"""Always live: how soon the table of similar items knows what was recorded, and what that costs those who ask.

A server takes in a thousand interactions a second while one caller asks for recommendations, one call at a time, and
another looks at the status. A commit counts as known when the status says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
from tests.bench import data, shops
from tests.bench.child import Child, Step
from tests.bench.plan import Plan
from tests.bench.report import Row, Table, ratios
from tests.bench.served import fit, visavis_at

EVENTS_A_SECOND = 1_000
_EVENTS = 20  # in one call
_LOOK_S = 0.05
_LONGEST_S = 120.0  # for the last commits to become known
_ALONE, _TAKING, _FRESH = "nothing else", "taking in, not refreshed", "taking in and refreshed"


def run(plan: Plan) -> Iterator[Table]:
    """A table for each set that is served."""
    for name in plan.chosen(("S",), ("S",)):
        if name in data.SHAPES:
            yield _one_set(name, plan)


def _one_set(name: str, plan: Plan) -> Table:
    table = Table("fresh", name, f"{EVENTS_A_SECOND:,} interactions a second into a fitted store", "of nothing else")
    shape = data.SHAPES[name]
    told: dict[str, list[dict[str, Any]]] = {_ALONE: [], _TAKING: [], _FRESH: []}
    seconds = max(plan.seconds, 1.0) if plan.quick else 10.0
    with ExitStack() as stack:
        client = stack.enter_context(
            Child("tests.bench.fresh:eventful", n_customers=shape.customers, n_items=shape.items)
        )
        addresses = {}
        for who, refresh_ms in ((_TAKING, "0"), (_FRESH, "100")):
            store = shops.copy(shops.imported(name, plan.cache), plan.scratch / f"fresh-{name}-{refresh_ms}")
            fit(store)
            addresses[who] = stack.enter_context(visavis_at(store, VISAVIS_REFRESH_MS=refresh_ms))
        addresses[_ALONE] = addresses[_FRESH]
        for _ in range(plan.rounds(3)):
            for who, answers in told.items():
                rate = 0 if who == _ALONE else EVENTS_A_SECOND
                answers.append(
                    client.ask(address=addresses[who], seconds=seconds, events_a_second=rate, follow=who == _FRESH)
                )
    for who, answers in told.items():
        calls = [answer["p50_ms"] for answer in answers]
        longer = ratios([answer["p50_ms"] for answer in told[_ALONE]], calls) if who != _ALONE else ()
        table.rows.append(Row("median of a Recommend, 1 in flight", who, "ms", calls, longer))
    beside = [answer["p50_ms"] for answer in told[_TAKING]], [answer["p50_ms"] for answer in told[_FRESH]]
    table.rows.append(Row("refreshed / not refreshed", "visavis", "times", ratios(*beside), target="≤ 1.1"))
    for key, what, target in (("lag_p50", "median", ""), ("lag_p99", "p99", "≤ 1"), ("lag_most", "longest", "")):
        lags = [answer[key] for answer in told[_FRESH]]
        table.rows.append(Row(f"{what} from commit to refreshed table", "visavis", "s", lags, target=target))
    table.rows.append(
        Row("interactions taken in", "visavis", "events/s", [answer["events"] / seconds for answer in told[_FRESH]])
    )
    return table


def eventful(n_customers: int, n_items: int) -> Step:
    """In the child: records at a rate, asks one call at a time, looks how far the table has come."""
    chance = np.random.default_rng(11)

    def step(address: str, seconds: float, events_a_second: int, follow: bool) -> dict[str, Any]:
        return asyncio.run(_live(address, seconds, events_a_second, follow, chance, n_customers, n_items))

    return step


async def _live(
    address: str,
    seconds: float,
    events_a_second: int,
    follow: bool,
    chance: np.random.Generator,
    n_customers: int,
    n_items: int,
) -> dict[str, Any]:
    import grpc

    from visavis.api.v1 import admin_service_pb2 as admin_pb
    from visavis.api.v1 import interaction_service_pb2 as interaction_pb
    from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
    from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
    from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
    from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

    channel = grpc.aio.insecure_channel(address)
    end = time.perf_counter() + seconds
    events = 0
    took: list[float] = []
    seen: list[tuple[float, int, int]] = []

    def customer() -> str:
        return shops.customer_id(int(chance.integers(n_customers)))

    async def record() -> None:
        nonlocal events
        stub, due = InteractionServiceStub(channel), time.perf_counter()
        while events_a_second and due < end:
            rows = interaction_pb.RecordInteractionsRequest()
            for _ in range(_EVENTS):
                one = rows.interactions.add(kind="purchase", item_id=shops.item_id(int(chance.integers(n_items))))
                one.customer.customer_id = customer()
            events += (await stub.RecordInteractions(rows)).recorded_count
            due += _EVENTS / events_a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def ask() -> None:
        stub = RecommendationServiceStub(channel)
        while time.perf_counter() < end:
            question = recommendation_pb.RecommendRequest(n=20)
            question.customer.customer_id = customer()
            began = time.perf_counter()
            await stub.Recommend(question)
            took.append(time.perf_counter() - began)

    async def look() -> None:
        stub = AdminServiceStub(channel)
        while follow:
            status = await stub.GetStatus(admin_pb.GetStatusRequest())
            now = time.perf_counter()
            seen.append((now, status.sequence, status.refreshed_sequence))
            if now > end + _LONGEST_S:
                raise RuntimeError(f"commit {status.sequence} is not known after {_LONGEST_S:.0f} s")
            if now > end and status.refreshed_sequence >= status.sequence:
                return
            await asyncio.sleep(_LOOK_S)

    await asyncio.gather(record(), ask(), look())
    await channel.close()
    lags = _lags(seen, end)
    return {
        "events": events,
        "p50_ms": float(np.median(took)) * 1000,
        "lag_p50": float(np.percentile(lags, 50)),
        "lag_p99": float(np.percentile(lags, 99)),
        "lag_most": max(lags),
    }


def _lags(seen: list[tuple[float, int, int]], end: float) -> list[float]:
    """For each look, seconds until the table knew of the commit that was the last one then."""
    lags, place = [], 0
    for at, sequence, _ in seen:
        while place < len(seen) - 1 and seen[place][2] < sequence:
            place += 1
        if at <= end:
            lags.append(max(0.0, seen[place][0] - at))
    return lags or [0.0]


__all__ = ["EVENTS_A_SECOND", "eventful", "run"]
