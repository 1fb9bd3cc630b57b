"""Where what other threads answer reaches the event loop: all that came at once, in one go.

A commit answers dozens of calls. To wake the loop for each of them costs more than the call itself did.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Landing:
    """For one event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._landed: list[tuple[asyncio.Future[Any], Future[Any]]] = []

    def of(self, future: Future[T]) -> asyncio.Future[T]:
        """What `future` answers, to be awaited in the loop that runs. Whoever stops waiting takes nothing back."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()

        def land(done: Future[T]) -> None:
            with self._lock:
                self._landed.append((waiting, done))
                is_first = len(self._landed) == 1
            # The loop is gone when a server was stopped before its store was.
            if is_first and not loop.is_closed():
                loop.call_soon_threadsafe(self._settle)

        future.add_done_callback(land)
        return waiting

    def _settle(self) -> None:
        with self._lock:
            landed, self._landed = self._landed, []
        for waiting, done in landed:
            if waiting.done():
                continue  # nobody waits any more
            try:
                error = done.exception()
            except CancelledError:
                waiting.cancel()
                continue
            if error is None:
                waiting.set_result(done.result())
            else:
                waiting.set_exception(error)


__all__ = ["Landing"]
