"""EvaluationService. An evaluation runs in a thread and is given up when its caller goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from visavis.api.v1 import evaluation_service_pb2 as pb
from visavis.api.v1.evaluation_service_pb2_grpc import EvaluationServiceServicer
from visavis.rpc.convert import optional_time
from visavis.rpc.convert_evaluation import evaluation_to_proto
from visavis.rpc.jobs import until_reported
from visavis.rpc.servicers.context import Shared


class EvaluationServicer(EvaluationServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._jobs = shared.jobs
        self._room = shared.engine.customize

    async def Evaluate(  # noqa: N802
        self, request: pb.EvaluateRequest, context: Any
    ) -> AsyncIterator[pb.EvaluateResponse]:
        options: dict[str, Any] = {
            "days": request.days if request.HasField("days") else 28.0,
            "end": optional_time(request, "end_at"),
            "min_buyers": request.min_buyers if request.HasField("min_buyers") else 1,
            "most_customers": request.max_customers if request.HasField("max_customers") else 2_000,
            "seed": request.seed if request.HasField("seed") else 1,
        }
        scorers = tuple(request.scorers)
        job = self._jobs.start("Evaluate", lambda tell: self._room.evaluate(scorers, progress=tell, **options))
        try:
            async with aclosing(until_reported(job, pb.EvaluateResponse, evaluation_to_proto)) as answers:
                async for answer in answers:
                    yield answer
        finally:
            job.stopping = "nobody waits for it"


__all__ = ["EvaluationServicer"]
