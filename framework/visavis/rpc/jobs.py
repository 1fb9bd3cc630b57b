"""Long work with progress, which goes on when its caller goes away.

A caller that repeats its request id joins the running work, or gets the first answer. Answers are kept for a day, at
most a thousand, and not over a restart; work that failed is forgotten, so that a repeat tries again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from visavis.errors import Conflict, Unavailable, VisavisError
from visavis.identify.checks import Violations, check_request_id
from visavis.model import Progress
from visavis.rpc.convert import progress_to_proto
from visavis.rpc.work import Work

T = TypeVar("T")

Report = Callable[[Progress], None]
"""How work tells how far it is; called from its own thread."""

log = logging.getLogger("visavis.rpc")
_KEEP_S = 86_400.0
_KEEP_COUNT = 1000
_PERIOD_S = 0.1


class Job(Generic[T]):
    """One piece of long work. Any number of callers may follow it; none of them can end it."""

    def __init__(self, name: str, fingerprint: bytes) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.began = time.monotonic()
        self.stopping = ""
        """Why the work is to end at its next report; empty while it may go on."""
        self._loop = asyncio.get_running_loop()
        self._latest: Progress | None = None
        self._changed = self._loop.create_future()
        self._told: tuple[str, float] = ("", 0.0)
        self.task: asyncio.Task[T]
        """Set by `Jobs.start`."""

    async def progress(self) -> AsyncIterator[Progress]:
        """What the work tells from now on, until it ends. A slow reader gets the latest and misses what lay between."""
        shown = None
        while True:
            changed, latest = self._changed, self._latest
            if latest is not None and latest is not shown:
                shown = latest
                yield latest
            elif self.task.done():
                return
            else:
                await asyncio.wait({self.task, changed}, return_when=asyncio.FIRST_COMPLETED)

    async def result(self) -> T:
        """The answer, or the error. A caller that goes away does not end the work."""
        return await asyncio.shield(self.task)

    def run(self, function: Callable[[Report], T]) -> T:
        """The work itself, in its thread."""
        self._give_up()
        return function(self.report)

    def report(self, progress: Progress) -> None:
        """Called by the work in its thread. Raises `Unavailable` when the server goes down, so that the work ends."""
        self._give_up()
        now = time.monotonic()
        step, last = self._told
        if progress.step == step and now - last < _PERIOD_S and progress.done != progress.total:
            return
        self._told = (progress.step, now)
        self._loop.call_soon_threadsafe(self._show, progress)

    def _give_up(self) -> None:
        if self.stopping:
            raise Unavailable(f"{self.stopping}; {self.name} was given up")

    def _show(self, progress: Progress) -> None:
        self._latest = progress
        changed, self._changed = self._changed, self._loop.create_future()
        changed.set_result(None)


class Jobs:
    """All long work of a server."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._running: set[Job[Any]] = set()
        self._by_id: dict[tuple[str, str], Job[Any]] = {}
        self._stopping = False

    def find(self, name: str, request_id: str, fingerprint: bytes) -> Job[Any] | None:
        """The job that this request id began earlier. Raises `Conflict` if that was another request."""
        bad = Violations()
        check_request_id(bad, request_id)
        bad.check()
        job = self._by_id.get((name, request_id)) if request_id else None
        if job is not None and job.fingerprint != fingerprint:
            raise Conflict(
                f"request_id {request_id!r} was used for another request; give each request its own",
                reason="REQUEST_ID_REUSED",
                metadata={"request_id": request_id},
            )
        return job

    def start(
        self,
        name: str,
        function: Callable[[Report], T],
        *,
        request_id: str = "",
        fingerprint: bytes = b"",
        quick: bool = False,
    ) -> Job[T]:
        """Begin `function`, or join the job that this request id began. `quick` work does not wait behind long work."""
        known = self.find(name, request_id, fingerprint)
        if known is not None:
            return known
        if self._stopping:
            raise Unavailable("the server is going down; try again in a moment")
        job: Job[T] = Job(name, fingerprint)
        run = self._work.call if quick else self._work.job
        job.task = asyncio.create_task(run(lambda: job.run(function)))
        self._running.add(job)
        if request_id:
            self._remember((name, request_id), job)
        job.task.add_done_callback(lambda _: self._ended(job, (name, request_id)))
        return job

    async def stop(self) -> None:
        """Tell all work to end at its next report, and wait for it."""
        self._stopping = True
        for job in self._running:
            job.stopping = "the server is going down"
        await asyncio.gather(*(job.task for job in self._running), return_exceptions=True)

    def _remember(self, key: tuple[str, str], job: Job[Any]) -> None:
        for old, other in list(self._by_id.items()):
            if job.began - other.began < _KEEP_S and len(self._by_id) < _KEEP_COUNT:
                break
            del self._by_id[old]
        self._by_id[key] = job

    def _ended(self, job: Job[Any], key: tuple[str, str]) -> None:
        self._running.discard(job)
        fields: dict[str, object] = {"job": job.name, "ms": round((time.monotonic() - job.began) * 1000, 1)}
        error = None if job.task.cancelled() else job.task.exception()
        if job.task.cancelled() or error is not None:
            if self._by_id.get(key) is job:
                del self._by_id[key]
            fields["error"] = error.reason if isinstance(error, VisavisError) else type(error).__name__
        log.info("job", extra={"fields": fields})


async def until_reported(
    job: Job[T], answer: Callable[..., Any], report_to_proto: Callable[[T], Any]
) -> AsyncGenerator[Any, None]:
    """What a job tells, and at last its report."""
    async for progress in job.progress():
        yield answer(progress=progress_to_proto(progress))
    yield answer(report=report_to_proto(await job.result()))


__all__ = ["Job", "Jobs", "Report", "until_reported"]
