from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from visavis.errors import Conflict, InvalidInput, NotReady, Unavailable
from visavis.model import Progress
from visavis.rpc.jobs import Jobs, Report
from visavis.rpc.work import Work


def driven(test: Callable[[Jobs], Awaitable[None]]) -> None:
    async def run() -> None:
        work = Work(1)
        jobs = Jobs(work)
        try:
            await test(jobs)
        finally:
            await jobs.stop()
            await work.close()

    asyncio.run(run())


def test_followers_hear_the_latest() -> None:
    hold = threading.Event()

    def count(report: Report) -> int:
        for done in range(1001):
            report(Progress("count", done, 1000))
        hold.wait(10)
        report(Progress("end", 1, 1))
        return 7

    async def test(jobs: Jobs) -> None:
        job = jobs.start("Count", count)
        heard = []
        async for progress in job.progress():
            heard.append(progress)
            if progress.done == 1000:
                hold.set()
        assert heard[-1] == Progress("end", 1, 1)
        assert Progress("count", 1000, 1000) in heard
        assert len(heard) < 500  # what lies between is left out, however fast the work tells it
        assert await job.result() == 7
        assert [progress async for progress in job.progress()] == [Progress("end", 1, 1)]

    driven(test)


def test_a_repeat_joins_and_another_request_is_a_conflict() -> None:
    async def test(jobs: Jobs) -> None:
        first = jobs.start("Fit", lambda report: 1, request_id="r", fingerprint=b"a")
        assert jobs.start("Fit", lambda report: 2, request_id="r", fingerprint=b"a") is first
        assert jobs.find("Fit", "r", b"a") is first
        assert await first.result() == 1
        assert await jobs.start("Fit", lambda report: 3, request_id="r", fingerprint=b"a").result() == 1
        assert await jobs.start("Fit", lambda report: 4, request_id="").result() == 4
        assert await jobs.start("Other", lambda report: 5, request_id="r", fingerprint=b"b").result() == 5
        with pytest.raises(Conflict) as caught:
            jobs.start("Fit", lambda report: 6, request_id="r", fingerprint=b"b")
        assert caught.value.reason == "REQUEST_ID_REUSED"
        with pytest.raises(InvalidInput, match="request_id: has 257 characters; give at most 256"):
            jobs.start("Fit", lambda report: 7, request_id="é" * 257)
        assert await jobs.start("Fit", lambda report: 8, request_id="é" * 256).result() == 8  # as for every other call
        with pytest.raises(InvalidInput, match="request_id: holds the control character"):
            jobs.start("Fit", lambda report: 9, request_id="a\x00")

    driven(test)


def test_what_failed_is_forgotten() -> None:
    def failing(report: Report) -> int:
        raise NotReady("nothing is fitted yet")

    async def test(jobs: Jobs) -> None:
        with pytest.raises(NotReady):
            await jobs.start("Fit", failing, request_id="r").result()
        assert await jobs.start("Fit", lambda report: 2, request_id="r").result() == 2

    driven(test)


def test_only_so_many_answers_are_kept() -> None:
    async def test(jobs: Jobs) -> None:
        for number in range(1005):
            await jobs.start("Fit", lambda report, number=number: number, request_id=f"r{number}").result()
        assert jobs.find("Fit", "r4", b"") is None
        assert jobs.find("Fit", "r5", b"") is not None

    driven(test)


def test_stopping_ends_running_and_waiting_work() -> None:
    began = threading.Event()
    told: list[str] = []

    def endless(report: Report) -> None:
        began.set()
        try:
            while True:
                report(Progress("on", 0, 0))
        except Unavailable as error:
            told.append(error.message)
            raise

    async def test(jobs: Jobs) -> None:
        running = jobs.start("Fit", endless)
        waiting = jobs.start("Import", lambda report: told.append("begun"))
        await asyncio.to_thread(began.wait, 10)
        await jobs.stop()
        for job in (running, waiting):
            with pytest.raises(Unavailable, match=f"the server is going down; {job.name} was given up"):
                await job.result()
        with pytest.raises(Unavailable, match="the server is going down; try again in a moment"):
            jobs.start("Fit", endless)

    driven(test)
    assert told == ["the server is going down; Fit was given up"]
