"""Whose turn it is on the event loop: the one queue that calls wait in, so that its length is known.

Left to itself, an event loop runs each call as it takes it in, and the queue grows where nobody sees it: in gRPC,
first come first served, until every caller is answered just after it gave up. So calls take turns here. Between two
turns the loop takes in what has come; and who would wait for too long is told so at once, while there is time to ask
again or elsewhere. To tell him takes a share of the time of turns, no more: what comes on top of that is let in later.

Calls that are quick do not need this: where turns take less than half of the time, the loop takes in calls as fast as
it ever does, and each begins at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from visavis.errors import DeadlineExceeded, Overloaded

LONGEST_WAIT_S = 1.0
"""Calls that would wait longer are refused, whatever deadline they have."""

_ROUND_S = 0.001  # of turns in a row, after which further calls wait
_PAID_BACK = 0.5  # of the time, that turns may take without that
_SHORTER, _LONGER = 0.5, 0.02  # how far a call that took less, or more, moves what calls of its kind take
_SHARE = 0.25  # of the time of turns, that may go to refusing further calls
_MOST_CREDIT_S = 0.2  # of that, saved in quiet times: a crowd that comes at once is told at once
_LEAST_CREDIT_S = 0.003  # and spent in pieces no shorter
_MOST_AT_FIRST_S = 0.05  # the first call of a kind may be slow for reasons of its own
_MARGIN = 2.0  # a wait is an estimate: a caller must have this many times the estimate left


class Turns:
    """Calls wait by kind, first come first served, and the kinds take turns: slow calls do not starve quick ones.

    For one event loop, and from its thread only.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._cost_s: dict[str, float] = {}  # of a turn, with what else is done meanwhile
        self._own_s: dict[str, float] = {}  # of a call alone
        self._pacing: asyncio.Task[None] | None = None
        self._begun: list[str] = []  # kinds of the calls that began at once in this round of the loop
        self._began = 0.0
        self._debt_s = 0.0  # spent by those that began at once, less what is paid back
        self._debt_at = 0.0
        self._credit_s = _MOST_CREDIT_S  # what may go to refusing calls now
        self._saved_at = 0.0
        self._refusing_s = 0.0  # what went to it in this turn
        self._has_credit = True
        self._when_time: list[Callable[[], None]] = []

    @property
    def has_time(self) -> bool:
        """Whether calls may be taken in now: always, unless there are turns to give and refusing has had its share."""
        return self._has_credit

    def when_time(self, resume: Callable[[], None]) -> None:
        """`resume` is called each time when calls may be taken in again."""
        self._when_time.append(resume)

    def refused(self, seconds: float) -> None:
        """It took so long to refuse a call."""
        if self._pacing is None:
            return
        self._refusing_s += seconds
        self._credit_s -= seconds
        if self._credit_s <= 0:
            self._has_credit = False

    def wait_s(self, kind: str) -> float:
        """How long a call of this kind would wait now; an estimate."""
        ahead = len(self._waiting.get(kind, ()))
        if not ahead:
            return 0.0
        return sum(min(ahead, len(queue)) * self._cost_s.get(other, 0.0) for other, queue in self._waiting.items())

    def at_once(self, kind: str, until: float | None) -> bool:
        """Take a turn without waiting; False: it must be waited for.

        `until`: when its caller gives up, monotonic. Raises `DeadlineExceeded` if there is not time enough.
        """
        if self._pacing is not None or self._owing(kind):
            return False
        self._check(kind, until)
        if not self._begun:
            self._began = time.monotonic()
            asyncio.get_running_loop().call_soon(self._account)
        self._begun.append(kind)
        return True

    def _owing(self, kind: str) -> bool:
        """Whether the calls of this round, or of the time before, have taken so much that others come first."""
        expected_s = len(self._begun) * self._own_s.get(kind, _ROUND_S)
        return self._debt_s >= _ROUND_S or expected_s >= _ROUND_S

    def _account(self) -> None:
        """The round of the loop in which calls began is over."""
        now, begun, self._begun = time.monotonic(), self._begun, []
        took = (now - self._began) / len(begun)
        # A round holds other work, too, and pauses; what a call takes itself is nearer to the shortest that were seen.
        for kind in begun:
            own = self._own_s.setdefault(kind, took)
            self._own_s[kind] = own + (_SHORTER if took < own else _LONGER) * (took - own)
        spent = sum(self._own_s[kind] for kind in begun)
        self._debt_s = max(self._debt_s - (now - self._debt_at) * _PAID_BACK, 0.0) + spent
        self._debt_at = now

    async def wait(self, kind: str, until: float | None) -> None:
        """Wait for a turn; it lasts until the caller next waits for something.

        Raises `Overloaded` at once if the wait would be too long, `DeadlineExceeded` if it was.
        """
        self._check(kind, until)
        wait = self.wait_s(kind)
        left = LONGEST_WAIT_S if until is None else min(LONGEST_WAIT_S, (until - time.monotonic()) / _MARGIN)
        if wait > left:
            raise busy(wait)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(kind, deque()).append(turn)
        if self._pacing is None:
            self._credit_s = min(self._credit_s + time.monotonic() - self._saved_at, _MOST_CREDIT_S)
            self._pacing = asyncio.create_task(self._pace())
        try:
            await turn
        except asyncio.CancelledError:
            queue = self._waiting.get(kind)
            if queue is not None and turn in queue:
                queue.remove(turn)
            raise
        self._check(kind, until)

    def _check(self, kind: str, until: float | None) -> None:
        if until is not None and until - time.monotonic() < self._cost_s.get(kind, 0.0):
            raise DeadlineExceeded("the deadline is too near for the call to be answered; give more time")

    async def _pace(self) -> None:
        """Give turns until nobody waits."""
        try:
            self._debt_s = 0.0
            await asyncio.sleep(0)  # who came in the same moment waits with the others
            while (following := self._next()) is not None:
                (kind, turn), began = following, time.monotonic()
                turn.set_result(None)
                await asyncio.sleep(0)  # the turn
                spent = time.monotonic() - began
                self._learn(kind, spent)
                self._earn(spent)
        finally:
            self._debt_s, self._debt_at = 0.0, time.monotonic()
            self._saved_at = self._debt_at
            self._pacing = None
            if not self._has_credit:
                self._let_in()

    def _learn(self, kind: str, took: float) -> None:
        """One turn more of this kind. A pause of the whole machine must not make all calls look slow."""
        cost = self._cost_s.get(kind)
        self._cost_s[kind] = min(took, _MOST_AT_FIRST_S) if cost is None else cost + 0.1 * (min(took, 4 * cost) - cost)

    def _earn(self, turn_s: float) -> None:
        """A turn more, of which refusing may have its share."""
        refusing_s, self._refusing_s = self._refusing_s, 0.0
        self._credit_s = min(self._credit_s + max(turn_s - refusing_s, 0.0) * _SHARE, _MOST_CREDIT_S)
        if not self._has_credit and self._credit_s >= _LEAST_CREDIT_S:
            self._let_in()

    def _let_in(self) -> None:
        self._has_credit = True
        for resume in self._when_time:
            resume()

    def _next(self) -> tuple[str, asyncio.Future[None]] | None:
        while self._waiting:
            kind, queue = next(iter(self._waiting.items()))
            del self._waiting[kind]
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    if queue:
                        self._waiting[kind] = queue  # behind the other kinds
                    return kind, turn
        return None


def busy(wait_s: float) -> Overloaded:
    """The refusal of a call that would have to wait so long."""
    return Overloaded(
        f"the call would wait {wait_s * 1000:.0f} ms for its turn; try again after a pause",
        metadata={"wait_ms": f"{wait_s * 1000:.0f}"},
    )


__all__ = ["LONGEST_WAIT_S", "Turns", "busy"]
