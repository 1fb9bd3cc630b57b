"""Small calls that record, from the event loop into the writer's hands and back: one wake-up for all of a commit."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from functools import partial

from visavis.identify.gathering import Gathering, Outcome
from visavis.model import RecordResult
from visavis.rpc.landing import Landing

_Waiting = list[tuple[int, "asyncio.Future[RecordResult]"]]


class Gathered:
    """For one event loop, and from its thread only."""

    def __init__(self, gathering: Gathering, landing: Landing) -> None:
        self._gathering = gathering
        self._landing = landing
        self._future: Future[list[Outcome]] | None = None
        self._waiting: _Waiting = []

    def record(self, call: bytes, rows: int) -> asyncio.Future[RecordResult]:
        """Hand in a call, whole; answers after its commit. Whoever stops waiting takes nothing back."""
        future, place = self._gathering.add(call, rows)
        if future is not self._future:
            self._future, self._waiting = future, []
            self._landing.of(future).add_done_callback(partial(_settle, self._waiting))
        waiting: asyncio.Future[RecordResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((place, waiting))
        return waiting


def _settle(waiting: _Waiting, done: asyncio.Future[list[Outcome]]) -> None:
    error = None if done.cancelled() else done.exception()
    for place, one in waiting:
        if one.done():
            continue  # nobody waits any more
        if done.cancelled():
            one.cancel()
            continue
        outcome = error or done.result()[place]
        if isinstance(outcome, BaseException):
            one.set_exception(outcome)
        else:
            one.set_result(outcome)


__all__ = ["Gathered"]
