"""MessageService."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import message_service_pb2 as pb
from visavis.api.v1.message_service_pb2_grpc import MessageServiceServicer
from visavis.model import Delivery
from visavis.rpc.convert import ref_from_proto
from visavis.rpc.jobs import Report
from visavis.rpc.servicers.context import Shared


class MessageServicer(MessageServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._room = shared.engine.interact
        self._jobs = shared.jobs

    async def SendTestMessage(  # noqa: N802
        self, request: pb.SendTestMessageRequest, context: Any
    ) -> pb.SendTestMessageResponse:
        customer = ref_from_proto(request.customer, "customer")

        def send(report: Report) -> Delivery:
            return self._room.send_test(
                request.channel, customer, request.to, n=request.n if request.HasField("n") else 5
            )

        job = self._jobs.start(
            "SendTestMessage",
            send,
            request_id=request.request_id,
            fingerprint=request.SerializeToString(deterministic=True),
            quick=True,
        )
        delivery = await job.result()
        return pb.SendTestMessageResponse(
            message_id=delivery.message_id, accepted=delivery.accepted, detail=delivery.detail
        )


__all__ = ["MessageServicer"]
