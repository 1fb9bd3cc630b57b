"""Threads beside the event loop.

Calls of rooms that take longer than about 100 µs run here. There are two pools, so that a fit of minutes never
keeps a lookup waiting: `calls` for short work, `jobs` for long work. A call whose deadline cannot be met any more
is refused before it waits, and skipped when its turn comes too late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, ParamSpec, TypeVar

from visavis.errors import DeadlineExceeded

P = ParamSpec("P")
T = TypeVar("T")

deadline: ContextVar[float | None] = ContextVar("visavis_deadline", default=None)
"""When the caller stops waiting, by `time.monotonic()`; None: never. Set around each call by `edge`."""


class Work:
    """The two pools of a server, `threads` each."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._calls = ThreadPoolExecutor(threads, "visavis-call")
        self._jobs = ThreadPoolExecutor(threads, "visavis-job")
        self._pending = 0
        self._mean_s = 0.0

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run short work. Raises `DeadlineExceeded` if the caller would not live to see the answer."""
        until = deadline.get()
        waiting = self._pending - self._threads + 1
        if until is not None and time.monotonic() + max(0, waiting) * self._mean_s / self._threads > until:
            raise DeadlineExceeded("the deadline is too near for the work that waits already; give more time")
        self._pending += 1
        try:
            return await self._run(self._calls, partial(self._timed, until, partial(function, *args, **kwargs)))
        finally:
            self._pending -= 1

    async def job(self, function: Callable[[], T]) -> T:
        """Run long work; it has no deadline of its own."""
        return await self._run(self._jobs, function)

    def soon(self, function: Callable[[], Any]) -> None:
        """Run short work that nobody waits for; it must not raise."""
        self._calls.submit(function)

    async def close(self) -> None:
        """Wait for all that was begun; drop what was not."""
        for pool in (self._jobs, self._calls):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=pool is self._jobs)

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function)

    def _timed(self, until: float | None, function: Callable[[], T]) -> T:
        began = time.monotonic()
        if until is not None and began > until:
            raise DeadlineExceeded("the deadline passed before the work could begin; give more time")
        try:
            return function()
        finally:
            # An estimate only: two threads that write at once lose one sample, which does not matter.
            self._mean_s += 0.1 * (time.monotonic() - began - self._mean_s)


__all__ = ["Work", "deadline"]
