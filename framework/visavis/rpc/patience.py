"""How long a caller over gRPC may take to send his request, or to take his answer: nobody holds a place for ever.

gRPC runs each call in a task of its own, which ends when the answer has left. A look around now and then ends those
that have waited too long; a timer for each wait would cost more than the rest of it. HTTP has time-outs of its own, and
runs many calls in the task of their connection; none of those is watched here.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

LONGEST_S = 30.0
"""For one message, in either direction."""

_LOOK_S = 1.0
_LOOKS = 4  # at least, in the longest time
NOBODY = math.inf
"""A time that never comes: nobody is waited for."""


class Wait:
    """One call that may have to wait for its caller."""

    __slots__ = ("since", "task")

    def __init__(self) -> None:
        self.since = NOBODY
        """Since when it is the caller's part, monotonic."""
        self.task: asyncio.Task[Any] | None = None


class Patience:
    """Ends the tasks of calls whose callers take too long. For one event loop."""

    def __init__(self) -> None:
        self._watched: list[Wait] = []
        self._looking = False

    def watch(self, wait: Wait) -> None:
        """Watch it until its task ends; it waits from now on. Its task is told by the end of this round of the loop."""
        wait.since = time.monotonic()
        self._watched.append(wait)
        if not self._looking:
            self._looking = True
            self._look_later()

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(min(_LOOK_S, LONGEST_S / _LOOKS), self._look)

    def _look(self) -> None:
        too_long = time.monotonic() - LONGEST_S
        left = []
        for wait in self._watched:
            if wait.task is None or wait.task.done():
                continue
            left.append(wait)
            if wait.since <= too_long:
                wait.since = NOBODY
                wait.task.cancel()
        self._watched = left
        self._looking = bool(left)
        if self._looking:
            self._look_later()


__all__ = ["LONGEST_S", "NOBODY", "Patience", "Wait"]
