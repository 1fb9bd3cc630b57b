"""The room `differentiate`, over gRPC."""

from __future__ import annotations

from visavis.api.v1 import customer_service_pb2 as customer_pb
from visavis.api.v1 import segment_service_pb2 as segment_pb
from visavis.api.v1.customer_service_pb2_grpc import CustomerServiceStub
from visavis.api.v1.segment_service_pb2_grpc import SegmentServiceStub
from visavis.client.requests import stubs
from visavis.model import (
    CustomerRef,
    Page,
    Profile,
    Segment,
)
from visavis.rpc import convert
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make


class Differentiate:
    """The room `differentiate`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._customers, self._segments = stubs(caller, CustomerServiceStub, SegmentServiceStub)

    def profile(self, customer: CustomerRef) -> Profile:
        """What is known of one customer."""
        request = customer_pb.GetProfileRequest(customer=convert.ref_to_proto(customer, "customer"))
        return convert.profile_from_proto(self._caller.call(self._customers.GetProfile, request, again=True))

    def segments(self) -> tuple[Segment, ...]:
        """All segments with their sizes."""
        pages = self._caller.pages(self._segments.ListSegments, segment_pb.ListSegmentsRequest)
        return tuple(Segment(s.segmentation, s.name, s.customer_count) for page in pages for s in page.segments)

    def members(self, segmentation: str, segment: str, *, page_size: int = 0, page_token: str = "") -> Page[str]:
        """A page of the customers of one segment."""
        request = make(
            segment_pb.ListSegmentMembersRequest,
            segmentation=segmentation,
            segment=segment,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._caller.call(self._segments.ListSegmentMembers, request, again=True)
        return Page(tuple(answer.customer_ids), answer.next_page_token)


__all__ = ["Differentiate"]
