"""Those who call a server: a process of its own, so many calls in flight, each the next when the last one is answered.

Requests are made before the clock starts where they cost something; answers are counted, not read.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import numpy as np
from tests.bench import shops
from tests.bench.child import Step

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1 import types_pb2 as types_pb

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
BATCH = "/visavis.api.v1.RecommendationService/BatchRecommend"
RECORD = "/visavis.api.v1.InteractionService/RecordInteractions"
STREAM = "/visavis.api.v1.InteractionService/StreamInteractions"
ROWS = 1_000
"""Customers of a batch call, and interactions of a batch on the stream."""
WINDOW = 8
"""Batches on the stream that wait for their acknowledgement; the next is sent when one comes."""
_CHANNELS = 4  # connections that many calls in flight are spread over
_QUESTIONS = 2_000  # different ones, asked in turn
_BATCHES = 20
_SETTLE_S = 0.3  # before anything counts
_TIMEOUT_S = 60.0
_FIRST_US = 1_735_689_600_000_000  # 2025-01-01


def callers(n_customers: int, n_items: int) -> Step:
    """In the child: answers `calls(...)` and `stream(...)`, whichever the question's `what` names."""
    made = itertools.count()  # every interaction has an id of its own, over all rounds
    chance = np.random.default_rng(5)

    def customer() -> types_pb.CustomerRef:
        return types_pb.CustomerRef(customer_id=shops.customer_id(int(chance.integers(n_customers))))

    def recommend(n: int) -> bytes:
        return recommendation_pb.RecommendRequest(customer=customer(), n=n).SerializeToString()

    def batch(n: int) -> bytes:
        customers = [customer() for _ in range(ROWS)]
        return recommendation_pb.BatchRecommendRequest(customers=customers, n=n).SerializeToString()

    def record(_: int) -> bytes:
        one = interaction_pb.Interaction(
            kind="view",
            customer=customer(),
            item_id=shops.item_id(int(chance.integers(n_items))),
            interaction_id=f"event-{next(made):09}",
        )
        return interaction_pb.RecordInteractionsRequest(interactions=[one]).SerializeToString()

    makers = {RECOMMEND: recommend, BATCH: batch, RECORD: record}

    def step(what: str, address: str, seconds: float = 0, batches: int = 0, **call: Any) -> dict[str, Any]:
        if what == "stream":
            ready = [_batch(chance, made, n_customers, n_items) for _ in range(batches)]
            return asyncio.run(_stream(address, ready))
        make, n = partial(makers[call["method"]], call["n"]), call["in_flight"]
        if call["method"] != RECORD:
            # Questions may repeat, so they are made beforehand; an interaction would be known already.
            kept = [make() for _ in range(_BATCHES if call["method"] == BATCH else _QUESTIONS)]
            make = itertools.cycle(kept).__next__
        return asyncio.run(_calls(address, call["method"], make, n, seconds))

    return step


async def _calls(
    address: str, method: str, make: Callable[[], bytes], in_flight: int, seconds: float
) -> dict[str, Any]:
    channels = [_channel(address) for _ in range(min(in_flight, _CHANNELS))]
    begin = time.perf_counter() + min(_SETTLE_S, seconds)
    end = begin + seconds
    took: list[float] = []
    sent = received = 0
    last = begin

    async def one(call: Any) -> None:
        nonlocal sent, received, last
        while (began := time.perf_counter()) < end:
            request = make()
            answer = await call(request, timeout=_TIMEOUT_S)
            answered = time.perf_counter()
            if answered > begin:
                last = answered
                took.append(answered - began)
                sent += len(request)
                received += len(answer)

    calls = [channel.unary_unary(method) for channel in channels]
    await asyncio.gather(*(one(calls[number % len(calls)]) for number in range(in_flight)))
    for channel in channels:
        await channel.close()
    middle, late = np.percentile(took, (50, 99)) * 1000
    return {
        "rate": len(took) / (last - begin),
        "p50_ms": float(middle),
        "p99_ms": float(late),
        "request_bytes": round(sent / len(took)),
        "response_bytes": round(received / len(took)),
    }


async def _stream(address: str, batches: list[bytes]) -> dict[str, Any]:
    channel = _channel(address)
    call = channel.stream_stream(STREAM)()
    room = asyncio.Semaphore(WINDOW)
    sent: list[float] = []
    took: list[float] = []

    async def send() -> None:
        for batch in batches:
            await room.acquire()
            sent.append(time.perf_counter())
            await call.write(batch)
        await call.done_writing()

    began = time.perf_counter()
    sending = asyncio.create_task(send())
    async for answer in call:
        took.append(time.perf_counter() - sent[len(took)])
        room.release()
        read = interaction_pb.StreamInteractionsResponse.FromString(answer)
        if read.recorded_count != ROWS:
            raise RuntimeError(f"a batch was not recorded: {read}")
    whole = time.perf_counter() - began
    await sending
    await channel.close()
    if len(took) != len(batches):
        raise RuntimeError(f"{len(took)} of {len(batches)} batches were acknowledged")
    middle, late = np.percentile(took, (50, 99)) * 1000
    return {
        "rate": len(batches) * ROWS / whole,
        "p50_ms": float(middle),
        "p99_ms": float(late),
        "longest_ms": max(took) * 1000,
        "request_bytes": round(sum(map(len, batches)) / len(batches)),
    }


def _batch(chance: np.random.Generator, made: Any, n_customers: int, n_items: int) -> bytes:
    """Columns of `ROWS` interactions, each with an id of its own."""
    table: dict[str, int] = {"": 0, "view": 1}

    def codes(texts: list[str]) -> list[int]:
        return [table.setdefault(text, len(table)) for text in texts]

    batch = interaction_pb.StreamInteractionsRequest(
        batch_id="batch-0000",
        kind=[1] * ROWS,
        customer_id=codes([shops.customer_id(one) for one in chance.integers(n_customers, size=ROWS).tolist()]),
        item_id=codes([shops.item_id(one) for one in chance.integers(n_items, size=ROWS).tolist()]),
        interaction_id=codes([f"event-{next(made):09}" for _ in range(ROWS)]),
        occurred_micros=[_FIRST_US + 1_000 * next(made) for _ in range(ROWS)],
    )
    batch.strings.extend(table)
    return batch.SerializeToString()


def _channel(address: str) -> Any:
    # A pool of its own, or all channels of this process would share one connection.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.aio.insecure_channel(address, options)


__all__ = ["BATCH", "RECOMMEND", "RECORD", "ROWS", "STREAM", "WINDOW", "callers"]
