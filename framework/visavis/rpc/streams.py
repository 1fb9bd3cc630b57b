"""A bidirectional stream with several requests under way: answered in order, each with its result or its error."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from visavis.errors import VisavisError
from visavis.rpc.errors import to_status

R = TypeVar("R", bound=Message)
T = TypeVar("T")
_UNDER_WAY = 16
"""Requests that may wait for their results: so many that the next commit fills up while one is made."""
_MOST_BYTES = 4 << 20
"""Of requests that wait, one more may come as long as they are fewer."""


async def pipelined(
    requests: AsyncIterator[R], begin: Callable[[R], Awaitable[asyncio.Future[T]]], *, under_way: int = _UNDER_WAY
) -> AsyncIterator[tuple[R, T | Status]]:
    """Begin requests in order, and answer each with its result, or with the status of its `VisavisError`.

    At most `under_way` requests wait for their results, fewer if they are large; no further one is read meanwhile.
    What was begun is not taken back when the caller goes away.
    """
    waiting: deque[tuple[R, int, asyncio.Future[T | Status]]] = deque()
    waiting_bytes = 0
    reading: asyncio.Future[R | None] | None = asyncio.ensure_future(_next(requests))
    try:
        while reading is not None or waiting:
            watched: set[asyncio.Future[Any]] = set()
            if reading is not None and len(waiting) < under_way and waiting_bytes < _MOST_BYTES:
                watched.add(reading)
            if waiting:
                watched.add(waiting[0][2])
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if waiting and waiting[0][2].done():
                request, size, outcome = waiting.popleft()
                waiting_bytes -= size
                yield request, outcome.result()
            elif reading is not None and reading.done():
                request_or_end = reading.result()
                reading = None
                if request_or_end is not None:
                    size = request_or_end.ByteSize()  # as dear as writing it, so asked once
                    waiting_bytes += size
                    waiting.append((request_or_end, size, await _begun(begin, request_or_end)))
                    reading = asyncio.ensure_future(_next(requests))
    finally:
        if reading is not None:
            reading.cancel()


async def _next(requests: AsyncIterator[R]) -> R | None:
    return await anext(requests, None)


async def _begun(begin: Callable[[R], Awaitable[asyncio.Future[T]]], request: R) -> asyncio.Future[T | Status]:
    try:
        future = await begin(request)
    except VisavisError as error:
        refused: asyncio.Future[T | Status] = asyncio.get_running_loop().create_future()
        refused.set_result(to_status(error))
        return refused
    return asyncio.ensure_future(_settled(future))


async def _settled(future: asyncio.Future[T]) -> T | Status:
    try:
        return await asyncio.shield(future)
    except VisavisError as error:
        return to_status(error)


__all__ = ["pipelined"]
