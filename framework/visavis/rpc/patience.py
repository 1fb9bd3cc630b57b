"""How long a caller over gRPC may take to send his request, or to take his answer: nobody holds a place for ever.

gRPC runs each call in a task of its own, which ends when the answer has left. HTTP has time-outs of its own, and runs
many calls in the task of their connection; it begins none of these.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

LONGEST_S = 30.0
"""For one message, in either direction."""


class Patience:
    """Ends the task it is made in when the caller takes too long."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._timer: asyncio.TimerHandle | None = None
        task.add_done_callback(lambda _: self.stop())

    def start(self) -> None:
        """It is the caller's part now."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(LONGEST_S, self._task.cancel)

    def stop(self) -> None:
        """The caller has done it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


patience: ContextVar[Patience | None] = ContextVar("visavis_patience", default=None)
"""Of the call that runs; None for one that did not come over gRPC."""

__all__ = ["LONGEST_S", "Patience", "patience"]
