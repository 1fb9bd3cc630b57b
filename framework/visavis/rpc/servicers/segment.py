"""SegmentService."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import segment_service_pb2 as pb
from visavis.api.v1.segment_service_pb2_grpc import SegmentServiceServicer
from visavis.rpc.servicers.context import Shared, page_of


class SegmentServicer(SegmentServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._room = shared.engine.differentiate
        self._work = shared.work

    async def ListSegments(self, request: pb.ListSegmentsRequest, context: Any) -> pb.ListSegmentsResponse:  # noqa: N802
        page = page_of(await self._work.call(self._room.segments), request.page_size, request.page_token)
        segments = [
            pb.Segment(segmentation=s.segmentation, name=s.name, customer_count=s.customers) for s in page.items
        ]
        return pb.ListSegmentsResponse(segments=segments, next_page_token=page.next_page_token)

    async def ListSegmentMembers(  # noqa: N802
        self, request: pb.ListSegmentMembersRequest, context: Any
    ) -> pb.ListSegmentMembersResponse:
        page = await self._work.call(
            self._room.members,
            request.segmentation,
            request.segment,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListSegmentMembersResponse(customer_ids=page.items, next_page_token=page.next_page_token)


__all__ = ["SegmentServicer"]
