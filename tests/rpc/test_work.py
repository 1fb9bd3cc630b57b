from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from visavis.errors import DeadlineExceeded
from visavis.rpc.work import Work, deadline


def driven(test: Callable[[Work], Awaitable[None]], threads: int = 1) -> None:
    async def run() -> None:
        work = Work(threads)
        try:
            await test(work)
        finally:
            await work.close()

    asyncio.run(run())


def test_work_runs_in_threads_and_answers() -> None:
    async def test(work: Work) -> None:
        assert await work.call(divmod, 7, 2) == (3, 1)
        assert await work.call(threading.current_thread) is not threading.current_thread()
        assert await work.job(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            await work.call(divmod, 7, 0)

    driven(test)


def test_a_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    async def test(work: Work) -> None:
        for _ in range(30):
            await work.call(time.sleep, 0.005)
        hold = threading.Event()
        waiting = [asyncio.create_task(work.call(hold.wait, 10)) for _ in range(1000)]
        await asyncio.sleep(0)
        deadline.set(time.monotonic() + 1)
        began = []
        # A thousand calls of about 5 ms wait in front, far more than a second of work for one thread.
        with pytest.raises(DeadlineExceeded, match="too near for the work that waits already"):
            await work.call(began.append, 1)
        deadline.set(None)
        hold.set()
        await asyncio.gather(*waiting)
        assert not began

    driven(test)


def test_a_far_deadline_is_no_hindrance() -> None:
    async def test(work: Work) -> None:
        deadline.set(time.monotonic() + 3600)
        assert await work.call(divmod, 7, 2) == (3, 1)

    driven(test)


def test_long_work_does_not_keep_short_work_waiting() -> None:
    async def test(work: Work) -> None:
        hold = threading.Event()
        jobs = [asyncio.create_task(work.job(lambda: hold.wait(10))) for _ in range(3)]
        assert await work.call(divmod, 7, 2) == (3, 1)
        hold.set()
        assert await asyncio.gather(*jobs) == [True, True, True]

    driven(test)


def test_what_nobody_waits_for_is_done_before_the_end() -> None:
    done = []

    async def test(work: Work) -> None:
        work.soon(lambda: (time.sleep(0.02), done.append(1)))

    driven(test)
    assert done == [1]
