"""Calls that were gathered: each hears of its own outcome, in the loop that it was made in."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from visavis.errors import FieldViolation, InvalidInput, StoreError
from visavis.model import RecordResult
from visavis.rpc.gathered import Gathered
from visavis.rpc.landing import Landing

ONE, TWO = RecordResult(1, 0), RecordResult(0, 1)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that runs in an event loop."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class Room:
    """Stands in for a `Gathering`: `take` is the writer who takes what has gathered."""

    def __init__(self) -> None:
        self.future: Future[list[Any]] = Future()
        self.calls: list[bytes] = []
        self.failure: Exception | None = None

    def add(self, call: bytes, rows: int) -> tuple[Future[list[Any]], int]:
        if self.failure is not None:
            raise self.failure
        self.calls.append(call)
        return self.future, len(self.calls) - 1

    def take(self) -> Future[list[Any]]:
        taken, self.future, self.calls = self.future, Future(), []
        return taken


def gathered(room: Room) -> Gathered:
    return Gathered(room, Landing())  # type: ignore[arg-type]


@in_loop
async def test_each_gets_the_outcome_of_its_place() -> None:
    room = Room()
    calls = gathered(room)
    first, second = calls.record(b"1", 1), calls.record(b"2", 1)
    taken = room.take()
    third = calls.record(b"3", 1)
    wrong = InvalidInput([FieldViolation("interactions[0].kind", "is wrong")])
    taken.set_result([ONE, wrong])
    assert await first == ONE
    with pytest.raises(InvalidInput):
        await second
    assert not third.done()
    room.take().set_result([TWO])
    assert await third == TWO


@in_loop
async def test_an_error_of_all_reaches_all() -> None:
    room = Room()
    calls = gathered(room)
    waiting = [calls.record(b"", 1) for _ in range(3)]
    room.take().set_exception(StoreError("broken"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError] * 3


@in_loop
async def test_who_stops_waiting_is_left_out() -> None:
    room = Room()
    calls = gathered(room)
    gone, stays = calls.record(b"", 1), calls.record(b"", 1)
    gone.cancel()
    room.take().set_result([ONE, TWO])
    assert await stays == TWO
    assert gone.cancelled()


@in_loop
async def test_what_is_refused_at_once_is_raised_at_once() -> None:
    room = Room()
    room.failure = StoreError("closed")
    with pytest.raises(StoreError, match="closed"):
        gathered(room).record(b"", 1)
