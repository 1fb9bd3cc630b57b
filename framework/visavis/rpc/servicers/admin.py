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
from visavis.model import FitReport, Snapshot
from visavis.rpc.convert import progress_to_proto
from visavis.rpc.convert_answers import (
    backup_to_proto,
    compaction_to_proto,
    fit_report_to_proto,
    snapshot_to_proto,
    status_to_proto,
)
from visavis.rpc.jobs import Report
from visavis.rpc.servicers.context import Shared
from visavis.upkeep import Backup, Compaction

T = TypeVar("T")
_CHUNK_BYTES = 1 << 20


class AdminServicer(AdminServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._room = shared.engine.admin

    async def Fit(self, request: pb.FitRequest, context: Any) -> AsyncIterator[pb.FitResponse]:  # noqa: N802
        def fit(report: Report) -> FitReport:
            return self._room.fit(progress=report)

        job = self._shared.jobs.start("Fit", fit, request_id=request.request_id)
        async for progress in job.progress():
            yield pb.FitResponse(progress=progress_to_proto(progress))
        yield pb.FitResponse(report=fit_report_to_proto(await job.result()))

    async def CreateSnapshot(  # noqa: N802
        self, request: pb.CreateSnapshotRequest, context: Any
    ) -> AsyncIterator[pb.CreateSnapshotResponse]:
        def last(copy: Snapshot) -> pb.CreateSnapshotResponse:
            return pb.CreateSnapshotResponse(snapshot=snapshot_to_proto(copy))

        copies = self._copies("CreateSnapshot", self._room.snapshot, pb.CreateSnapshotResponse, last)
        async with aclosing(copies):
            async for message in copies:
                yield message

    async def CreateBackup(  # noqa: N802
        self, request: pb.CreateBackupRequest, context: Any
    ) -> AsyncIterator[pb.CreateBackupResponse]:
        def last(copy: Backup) -> pb.CreateBackupResponse:
            return pb.CreateBackupResponse(backup=backup_to_proto(copy))

        copies = self._copies("CreateBackup", self._room.backup, pb.CreateBackupResponse, last)
        async with aclosing(copies):
            async for message in copies:
                yield message

    async def CompactStore(  # noqa: N802
        self, request: pb.CompactStoreRequest, context: Any
    ) -> AsyncIterator[pb.CompactStoreResponse]:
        def compact(report: Report) -> Compaction:
            return self._room.compact(progress=report)

        job = self._shared.jobs.start("CompactStore", compact, request_id=request.request_id)
        async for progress in job.progress():
            yield pb.CompactStoreResponse(progress=progress_to_proto(progress))
        yield pb.CompactStoreResponse(report=compaction_to_proto(await job.result()))

    async def _copies(
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
