"""Whether calls may come in, and how those that may not are told.

Of calls that are refused because there are too many, one line a second tells the number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from visavis.errors import Overloaded, Unavailable, VisavisError
from visavis.rpc.errors import LEAST_PAUSE_S, PUSHBACK_KEY, to_status
from visavis.rpc.intake import End
from visavis.rpc.logs import CallLines
from visavis.rpc.turns import LONGEST_WAIT_S, Turns, busy

log = logging.getLogger("visavis.rpc")
_TELL_S = 1.0
_COME_BACK = 50.0  # refused callers who wait as they are asked to; so many a second may come back together
_LONGEST_PAUSE_S = 4.0
_READY = 32  # refusals of one kind that are made beforehand, each with another pause
STREAM_SHARE = 4
"""Of `max_concurrent_rpcs`, a quarter may be streams, beside the calls."""


class Gate:
    """Whether calls may come in: shared by all ports of a server.

    Calls with one request and one answer, and streams, have a limit each: many long streams leave room for calls, and
    many calls for streams.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.stream_limit = max(1, limit // STREAM_SHARE)
        self.calls = 0
        """Calls in progress, the one that asks included; streams apart."""
        self.streams = 0
        self.turns = Turns()
        self.refused: Counter[tuple[str, str]] = Counter()
        """Refused calls that the log has not told yet, by method and reason."""
        self.pause_s = LEAST_PAUSE_S
        """What refused callers are asked to wait, on average: the longer, the more there are."""
        self.lines = CallLines()
        """Where the log hears of calls."""
        self._telling = False
        self._too_many_ends = deque[End]()
        self._busy_ends = deque[End]()
        self.closed_because = "is warming up"
        """Why no call is taken; empty while the server serves."""

    @property
    def running(self) -> int:
        """Calls and streams in progress."""
        return self.calls + self.streams

    def check(self, *, stream: bool) -> None:
        """Raises `Unavailable` or `Overloaded`."""
        if self.closed_because:
            raise Unavailable(f"the server {self.closed_because}; try again in a moment")
        if self.streams > self.stream_limit if stream else self.calls > self.limit:
            raise self._too_many(stream=stream)

    def refusal(self, method: str) -> End | None:
        """How a unary call that has just come in ends, unread, if it is refused; None: there may be room."""
        if self.closed_because:
            return None
        if self.calls >= self.limit:
            ready = self._too_many_ends
            if not ready:
                ready.extend(_ends_of(self._too_many(), self.pause_s))
        elif self.turns.wait_s(method) > LONGEST_WAIT_S:
            ready = self._busy_ends
            if not ready:
                ready.extend(_ends_of(busy(LONGEST_WAIT_S), self.pause_s))
        else:
            return None
        self.count_refused(method)
        ready.rotate()
        return ready[0]

    def count_refused(self, method: str, reason: str = Overloaded.reason) -> None:
        """Count it; the log tells of it within a second."""
        self.refused[method, reason] += 1
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(_TELL_S, self._tell)

    def _too_many(self, *, stream: bool = False) -> Overloaded:
        limit, what = (self.stream_limit, "streams") if stream else (self.limit, "calls")
        return Overloaded(
            f"{limit} {what} are in progress already (max_concurrent_rpcs); try again after a pause",
            metadata={"limit": str(limit)},
        )

    def _tell(self) -> None:
        refused, self.refused = self.refused, Counter()
        # Callers who wait are as many as are refused in a second, times the pause. The root is where it settles.
        too_many = sum(calls for (_, reason), calls in refused.items() if reason == Overloaded.reason)
        pause_s = (self.pause_s * too_many / _TELL_S / _COME_BACK) ** 0.5
        self.pause_s = min(max(LEAST_PAUSE_S, pause_s), _LONGEST_PAUSE_S)
        self._too_many_ends.clear()
        self._busy_ends.clear()
        self._telling = bool(refused)
        if self._telling:
            asyncio.get_running_loop().call_later(_TELL_S, self._tell)
        for (method, reason), calls in refused.items():
            log.warning("refused", extra={"fields": {"rpc": method, "reason": reason, "calls": calls}})


async def abort(context: Any, error: VisavisError, pause_s: float = LEAST_PAUSE_S) -> None:
    """End a call with an error. Raises what `context.abort` raises."""
    await context.abort(*end_of(error, pause_s))


def turning_away(end: End) -> Any:
    """A handler that ends each call so, and reads nothing."""

    async def turn_away(_: object, context: Any) -> None:
        await context.abort(*end)

    return grpc.stream_unary_rpc_method_handler(turn_away)


def _ends_of(refusal: Overloaded, pause_s: float) -> Iterator[End]:
    """Several, for each asks for a pause of another length."""
    return (end_of(refusal, pause_s) for _ in range(_READY))


def end_of(error: VisavisError, pause_s: float = LEAST_PAUSE_S) -> End:
    """How a call ends that ends with an error."""
    told = to_status(error, pause_s)
    status: Any = rpc_status.to_status(told)
    trailers = status.trailing_metadata
    retry = error_details_pb2.RetryInfo()
    if any(detail.Unpack(retry) for detail in reversed(told.details)):
        trailers = (*trailers, (PUSHBACK_KEY, str(retry.retry_delay.ToMilliseconds())))
    return status.code, status.details, trailers


__all__ = ["STREAM_SHARE", "Gate", "abort", "end_of", "turning_away"]
