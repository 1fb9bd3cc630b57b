"""InteractionService: unary batches, the stream of columnar batches, imports of files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceServicer
from visavis.model import ImportReport, RecordResult
from visavis.rpc.convert import invalid, progress_to_proto
from visavis.rpc.convert_answers import import_report_to_proto
from visavis.rpc.convert_batches import batch_from_proto, calls_from_bytes, interactions_from_bytes
from visavis.rpc.convert_interactions import interactions_from_columns, interactions_from_proto
from visavis.rpc.gathered import Gathered
from visavis.rpc.jobs import Report
from visavis.rpc.servicers.context import Shared
from visavis.rpc.streams import pipelined
from visavis.rpc.upload import Upload

_LARGEST_BATCH = 10_000
_LONGEST_ID = 128
_GATHERED_ROWS = 50  # larger calls fill a commit by themselves
_GATHERED_BYTES = 8192


class InteractionServicer(InteractionServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._room = shared.engine.identify
        self._gathered = Gathered(self._room.gathering(calls_from_bytes, interactions_from_bytes), shared.landing)

    async def RecordInteractions(  # noqa: N802
        self, request: pb.RecordInteractionsRequest, context: Any
    ) -> pb.RecordInteractionsResponse:
        rows = len(request.interactions)
        _check_rows("interactions", rows)
        if rows <= _GATHERED_ROWS and not request.request_id:
            # Written once more, which costs less than asking for one of its fields.
            call = request.SerializeToString()
            if len(call) <= _GATHERED_BYTES:
                return _recorded(await self._gathered.record(call, rows))
        future = await self._shared.submit(
            request,
            rows,
            lambda: self._room.record_soon(
                interactions_from_proto(request.interactions), request_id=request.request_id
            ),
        )
        return _recorded(await future)

    async def StreamInteractions(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StreamInteractionsRequest], context: Any
    ) -> AsyncIterator[pb.StreamInteractionsResponse]:
        async for batch, result in pipelined(request_iterator, self._begin):
            if isinstance(result, RecordResult):
                yield pb.StreamInteractionsResponse(
                    batch_id=batch.batch_id,
                    recorded_count=result.recorded,
                    already_known_count=result.already_known,
                )
            else:
                yield pb.StreamInteractionsResponse(batch_id=batch.batch_id, error=result)

    async def ImportFile(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ImportFileRequest], context: Any
    ) -> AsyncIterator[pb.ImportFileResponse]:
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("options"):
            raise invalid("options", "are missing; send them in the first message, before the file's bytes")
        options = first.options
        fingerprint = options.SerializeToString(deterministic=True)
        job = self._shared.jobs.find("ImportFile", options.request_id, fingerprint)
        if job is None:
            limit = self._shared.settings["max_upload_mb"]
            upload = Upload(self._shared.scratch("uploads"), options.file_name, self._shared.work, limit)
            await upload.receive(request_iterator)

            def load(report: Report) -> ImportReport:
                return self._import(upload, options, report)

            job = self._shared.jobs.start("ImportFile", load, request_id=options.request_id, fingerprint=fingerprint)
            job.task.add_done_callback(lambda _: upload.discard())
        async for progress in job.progress():
            yield pb.ImportFileResponse(progress=progress_to_proto(progress))
        yield pb.ImportFileResponse(report=import_report_to_proto(await job.result()))

    def _import(self, upload: Upload, options: pb.ImportOptions, report: Report) -> ImportReport:
        return self._room.import_file(
            upload.path,
            columns=dict(options.columns) or None,
            source=options.source or upload.name,
            kind=options.kind,
            currency=options.currency,
            time_zone=options.time_zone,
            format=options.format,
            delimiter=options.delimiter,
            progress=report,
        )

    async def _begin(self, batch: pb.StreamInteractionsRequest) -> asyncio.Future[RecordResult]:
        """Check a batch and queue its commit, in the order of the stream."""
        if len(batch.batch_id.encode()) > _LONGEST_ID:
            raise invalid("batch_id", f"has {len(batch.batch_id.encode())} bytes; give at most {_LONGEST_ID}")
        rows = len(batch.kind)
        _check_rows("kind", rows)
        return await self._shared.submit(batch, rows, lambda: self._record_batch(batch))

    def _record_batch(self, batch: pb.StreamInteractionsRequest) -> Future[RecordResult]:
        columns = batch_from_proto(batch)
        future = None if columns is None else self._room.record_batch_soon(columns, request_id=batch.request_id)
        if future is None:
            future = self._room.record_soon(interactions_from_columns(batch), request_id=batch.request_id)
        return future


def _recorded(result: RecordResult) -> pb.RecordInteractionsResponse:
    return pb.RecordInteractionsResponse(recorded_count=result.recorded, already_known_count=result.already_known)


def _check_rows(field: str, rows: int) -> None:
    if not 1 <= rows <= _LARGEST_BATCH:
        raise invalid(field, f"has {rows} entries; give 1 to {_LARGEST_BATCH}")


__all__ = ["InteractionServicer"]
