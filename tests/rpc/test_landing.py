"""Answers from other threads reach the loop, all of them, whatever they are."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from visavis.errors import Conflict
from visavis.rpc.landing import Landing


def test_what_many_threads_answer_arrives() -> None:
    async def main() -> list[int]:
        landing = Landing()
        futures: list[Future[int]] = [Future() for _ in range(400)]

        def answer(part: int) -> None:
            for number in range(part, 400, 4):
                futures[number].set_result(number)

        waiting = [landing.of(future) for future in futures]
        threads = [threading.Thread(target=answer, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        found = await asyncio.wait_for(asyncio.gather(*waiting), 10)
        for thread in threads:
            thread.join()
        return found

    assert asyncio.run(main()) == list(range(400))


def test_one_wake_up_brings_all_that_came() -> None:
    async def main() -> int:
        loop, landing = asyncio.get_running_loop(), Landing()
        woken: list[object] = []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given: woken.append(given) or wake(*given)  # type: ignore[method-assign, assignment]
        futures: list[Future[int]] = [Future() for _ in range(10)]
        waiting = [landing.of(future) for future in futures]
        for number, future in enumerate(futures):
            future.set_result(number)
        assert await asyncio.gather(*waiting) == list(range(10))
        return len(woken)

    assert asyncio.run(main()) == 1


def test_errors_and_what_is_done_already_arrive_too() -> None:
    async def main() -> None:
        landing = Landing()
        failed: Future[int] = Future()
        failed.set_exception(Conflict("taken"))
        with pytest.raises(Conflict, match="taken"):
            await landing.of(failed)
        taken_back: Future[int] = Future()
        taken_back.cancel()
        taken_back.set_running_or_notify_cancel()
        with pytest.raises(asyncio.CancelledError):
            await landing.of(taken_back)

    asyncio.run(main())


def test_who_stops_waiting_takes_nothing_back_and_stands_in_nobodys_way() -> None:
    async def main() -> None:
        landing = Landing()
        first: Future[int] = Future()
        second: Future[int] = Future()
        gone, stays = landing.of(first), landing.of(second)
        gone.cancel()
        first.set_result(1)
        second.set_result(2)
        assert await stays == 2
        assert first.result() == 1

    asyncio.run(main())


def test_a_loop_that_is_gone_is_left_alone() -> None:
    landing = Landing()
    future: Future[int] = Future()

    async def main() -> None:
        landing.of(future)

    asyncio.run(main())
    future.set_result(1)
