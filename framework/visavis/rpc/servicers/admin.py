"""AdminService. Fits and snapshots run in threads and go on when the caller goes away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from visavis.api.v1 import admin_service_pb2 as pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceServicer
from visavis.model import FitReport, Snapshot
from visavis.rpc.convert import progress_to_proto
from visavis.rpc.convert_answers import fit_report_to_proto, seconds_to_proto, status_to_proto
from visavis.rpc.jobs import Report
from visavis.rpc.servicers.context import Shared

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
        folder = Path(tempfile.mkdtemp(dir=self._shared.scratch("tmp")))
        path = folder / "snapshot.duckdb"

        def copy(report: Report) -> Snapshot:
            return self._room.snapshot(path, progress=report)

        job = self._shared.jobs.start("CreateSnapshot", copy)
        try:
            async for progress in job.progress():
                yield pb.CreateSnapshotResponse(progress=progress_to_proto(progress))
            snapshot = await job.result()
            with path.open("rb") as stream:
                while chunk := await self._shared.work.call(stream.read, _CHUNK_BYTES):
                    yield pb.CreateSnapshotResponse(chunk=chunk)
            yield pb.CreateSnapshotResponse(
                snapshot=pb.Snapshot(
                    byte_count=snapshot.bytes, sequence=snapshot.sequence, elapsed=seconds_to_proto(snapshot.seconds)
                )
            )
        finally:
            # A caller that went away leaves the copying at work; its folder goes when it ends.
            remove = partial(shutil.rmtree, folder, ignore_errors=True)
            job.task.add_done_callback(lambda _: self._shared.work.soon(remove))

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:  # noqa: N802
        return status_to_proto(await self._shared.work.call(self._room.status))


__all__ = ["AdminServicer"]
