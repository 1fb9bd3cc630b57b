"""The room `interact`, over gRPC."""

from __future__ import annotations

from visavis.api.v1 import message_service_pb2 as message_pb
from visavis.api.v1.message_service_pb2_grpc import MessageServiceStub
from visavis.client.requests import stubs
from visavis.model import (
    CustomerRef,
    Delivery,
)
from visavis.rpc import convert
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make


class Interact:
    """The room `interact`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        (self._stub,) = stubs(caller, MessageServiceStub)

    def send_test(self, channel: str, customer: CustomerRef, to: str, *, n: int = 5) -> Delivery:
        """Send one message with a customer's recommendations to a test address."""
        ref = convert.ref_to_proto(customer, "customer")
        request = make(message_pb.SendTestMessageRequest, channel=channel, customer=ref, to=to, n=n)
        answer = self._caller.call(self._stub.SendTestMessage, request, again=False)
        return Delivery(answer.message_id, answer.accepted, answer.detail)


__all__ = ["Interact"]
