"""Calls that come together are answered together: one pass over a dozen customers takes a third of a dozen passes.

Whether there is company shows only to those who wait for it: gRPC takes in a call in several rounds of the loop, and an
answer keeps the loop busy for as long as many of them. So calls wait until as many are here as came together last
time, four milliseconds at most. Now and then, ever more seldom where it was in vain, they wait for twice as many.
Calls that come alone are thus answered at once, but for one in hundreds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from visavis.model import CustomerRef

_MOST = 32  # answered in one go: more would keep everything else on the loop waiting for longer than it would save
_MOST_ITEMS = 640  # of all of them: long lists are answered one by one
_LONGEST_S = 0.004
_SELDOM = 256  # times that as many came as were waited for, at most, before more are waited for


@dataclass(frozen=True, slots=True)
class _Asking:
    customer: CustomerRef
    options: dict[str, Any]
    answer: asyncio.Future[bytes]


class Company:
    """For one event loop, and from its thread only. `answer(customers, options)` gives one answer for each."""

    def __init__(self, answer: Callable[[Sequence[CustomerRef], dict[str, Any]], Sequence[bytes]]) -> None:
        self._answer = answer
        self._waiting: deque[_Asking] = deque()
        self._timer: asyncio.Handle | None = None
        self._goal = 1  # how many are waited for
        self._tries = False  # whether that is more than came last time
        self._times, self._every = 0, 8  # since more were waited for; after how many it is done again

    async def ask(self, customer: CustomerRef, options: dict[str, Any]) -> bytes:
        """The answer for one customer. Raises what `answer` raises for this one alone."""
        if _at_once(options) == 1:
            return self._answer([customer], options)[0]
        if self._goal == 1 and not self._waiting:
            self._learn(1)
            return self._answer([customer], options)[0]
        loop = asyncio.get_running_loop()
        asking = _Asking(customer, options, loop.create_future())
        self._waiting.append(asking)
        if self._timer is None:
            self._timer = loop.call_later(_LONGEST_S, self._go)
        elif len(self._waiting) == self._goal:
            # In the next round, so that the turn of the last one costs no more than that of the first.
            self._timer.cancel()
            self._timer = loop.call_soon(self._go)
        return await asking.answer

    def _learn(self, n: int) -> None:
        """So many came together."""
        if self._tries:
            self._every = 1 if n >= self._goal else min(2 * self._every, _SELDOM)
            self._times = 0
        elif n < self._goal:
            n = max(n, self._goal // 2)  # a pause of somebody else's; a crowd that has gone is forgotten soon
        self._times += 1
        self._tries = n < _MOST and self._times >= self._every
        self._goal = min(2 * n, _MOST) if self._tries else min(n, _MOST)

    def _go(self) -> None:
        """All are here, or were waited for long enough."""
        self._learn(len(self._waiting))
        self._answer_some()

    def _answer_some(self) -> None:
        """Answer those who want the same as the first one; the others in the next round."""
        self._timer = None
        self._waiting = deque(asking for asking in self._waiting if not asking.answer.done())  # who still waits
        if not self._waiting:
            return
        options = self._waiting[0].options
        together: list[_Asking] = []
        others: deque[_Asking] = deque()
        for asking in self._waiting:
            fits = len(together) < _at_once(options) and asking.options == options
            (together if fits else others).append(asking)
        self._waiting = others
        if others:
            self._timer = asyncio.get_running_loop().call_soon(self._answer_some)
        self._tell(together)

    def _tell(self, together: list[_Asking]) -> None:
        try:
            answers = self._answer([asking.customer for asking in together], together[0].options)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if len(together) == 1:
                together[0].answer.set_exception(error)
            else:
                # One of them is at fault: each alone shows which.
                for asking in together:
                    self._tell([asking])
            return
        for asking, answer in zip(together, answers, strict=True):
            asking.answer.set_result(answer)


def _at_once(options: dict[str, Any]) -> int:
    """How many calls with these options may be answered in one go."""
    if options["filters"] or options["exclude"]:
        return 1
    n = options["n"]
    return min(_MOST, max(1, _MOST_ITEMS // n)) if n > 0 else 1


__all__ = ["Company"]
