"""AdminService. Fits, compactions and copies run in threads and go on when the caller goes away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from visavis.api.v1 import admin_service_pb2 as pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceServicer
from visavis.rpc.convert import progress_to_proto
from visavis.rpc.convert_answers import (
    backup_to_proto,
    compaction_to_proto,
    fit_report_to_proto,
    snapshot_to_proto,
    status_to_proto,
)
from visavis.rpc.jobs import until_reported
from visavis.rpc.servicers.context import Shared
from visavis.upkeep import Backup, Snapshot

T = TypeVar("T")
_CHUNK_BYTES = 1 << 20


class AdminServicer(AdminServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._room = shared.engine.admin

    async def Fit(self, request: pb.FitRequest, context: Any) -> AsyncIterator[pb.FitResponse]:  # noqa: N802
        start, fit = self._shared.jobs.start, self._room.fit
        job = start("Fit", lambda tell: fit(progress=tell), request_id=request.request_id)
        async with aclosing(until_reported(job, pb.FitResponse, fit_report_to_proto)) as answers:
            async for answer in answers:
                yield answer

    async def CreateSnapshot(  # noqa: N802
        self, request: pb.CreateSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.CreateSnapshotResponse]:
        def last(copy: Snapshot) -> pb.CreateSnapshotResponse:
            return pb.CreateSnapshotResponse(snapshot=snapshot_to_proto(copy))

        async with aclosing(
            self._copy("CreateSnapshot", self._room.snapshot, pb.CreateSnapshotResponse, last)
        ) as answers:
            async for answer in answers:
                yield answer

    async def CreateBackup(  # noqa: N802
        self, request: pb.CreateBackupRequest, context: Any
    ) -> AsyncIterator[pb.CreateBackupResponse]:
        def last(copy: Backup) -> pb.CreateBackupResponse:
            return pb.CreateBackupResponse(backup=backup_to_proto(copy))

        async with aclosing(self._copy("CreateBackup", self._room.backup, pb.CreateBackupResponse, last)) as answers:
            async for answer in answers:
                yield answer

    async def CompactStore(  # noqa: N802
        self, request: pb.CompactStoreRequest, context: Any
    ) -> AsyncIterator[pb.CompactStoreResponse]:
        job = self._shared.jobs.start(
            "CompactStore", lambda tell: self._room.compact(progress=tell), request_id=request.request_id
        )
        async with aclosing(until_reported(job, pb.CompactStoreResponse, compaction_to_proto)) as answers:
            async for answer in answers:
                yield answer

    async def _copy(
        self, name: str, write: Callable[..., T], answer: Callable[..., Any], last: Callable[[T], Any]
    ) -> AsyncGenerator[Any, None]:
        """What `write` tells while it makes a copy of the store, the bytes of that, and at last what it holds."""
        folder = Path(tempfile.mkdtemp(dir=self._shared.scratch("tmp")))
        path = folder / "copy.duckdb"
        job = self._shared.jobs.start(name, lambda report: write(path, progress=report))
        try:
            async for progress in job.progress():
                yield answer(progress=progress_to_proto(progress))
            copy = await job.result()
            with path.open("rb") as stream:
                while chunk := await self._shared.work.call(stream.read, _CHUNK_BYTES):
                    yield answer(chunk=chunk)
            yield last(copy)
        finally:
            # A caller that went away leaves the copying at work; its folder goes when it ends.
            remove = partial(shutil.rmtree, folder, ignore_errors=True)
            job.task.add_done_callback(lambda _: self._shared.work.soon(remove))

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:  # noqa: N802
        return status_to_proto(await self._shared.work.call(self._room.status))


__all__ = ["AdminServicer"]
