"""RecommendationService. One customer or item is answered on the event loop, together with others that ask meanwhile; a
batch in a thread, and so is what has filters, because a filter that was not asked lately reads the whole catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceServicer
from visavis.model import CustomerRef
from visavis.rpc.company import Company
from visavis.rpc.convert import filter_from_proto, invalid, ref_from_proto
from visavis.rpc.convert_answers import similar_to_proto
from visavis.rpc.servicers.context import Shared

_LARGEST_BATCH = 1000


class RecommendationServicer(RecommendationServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._room = shared.engine.customize
        self._work = shared.work
        self._company = Company(self._each)

    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> bytes:  # noqa: N802
        """The bytes of a `RecommendResponse`."""
        customer, options = ref_from_proto(request.customer, "customer"), _options(request)
        if request.filters:
            return await self._work.call(self._encoded, [customer], options)
        return await self._company.ask(customer, options)

    async def BatchRecommend(self, request: pb.BatchRecommendRequest, context: Any) -> bytes:  # noqa: N802
        """The bytes of a `BatchRecommendResponse`."""
        if not 1 <= len(request.customers) <= _LARGEST_BATCH:
            raise invalid("customers", f"has {len(request.customers)} entries; give 1 to {_LARGEST_BATCH}")

        def answer() -> bytes:
            customers: Sequence[CustomerRef] = [ref.customer_id for ref in request.customers]
            if not all(customers):
                # An identifier, or nobody.
                customers = [ref_from_proto(ref, f"customers[{row}]") for row, ref in enumerate(request.customers)]
            return self._encoded(customers, _options(request))

        return await self._work.call(answer)

    def _encoded(self, customers: Sequence[CustomerRef], options: dict[str, Any]) -> bytes:
        return self._room.answer(customers, **options).wire()

    def _each(self, customers: Sequence[CustomerRef], options: dict[str, Any]) -> list[bytes]:
        return self._room.answer(customers, **options).wires()

    async def ListSimilarItems(  # noqa: N802
        self, request: pb.ListSimilarItemsRequest, context: Any
    ) -> pb.ListSimilarItemsResponse:
        options = _common_options(request)
        if request.filters:
            return similar_to_proto(await self._work.call(self._room.similar, request.item_id, **options))
        return similar_to_proto(self._room.similar(request.item_id, **options))


def _options(request: pb.RecommendRequest | pb.BatchRecommendRequest) -> dict[str, Any]:
    return {
        **_common_options(request),
        "exclude_bought": request.exclude_bought if request.HasField("exclude_bought") else None,
        "most_reasons": request.most_reasons if request.HasField("most_reasons") else 3,
    }


def _common_options(
    request: pb.RecommendRequest | pb.BatchRecommendRequest | pb.ListSimilarItemsRequest,
) -> dict[str, Any]:
    return {
        "n": request.n if request.HasField("n") else 10,
        "scorer": request.scorer,
        "filters": [filter_from_proto(keep) for keep in request.filters],
        "exclude": list(request.exclude),
        "available_only": request.available_only if request.HasField("available_only") else True,
        "one_per_group": request.one_per_group if request.HasField("one_per_group") else True,
    }


__all__ = ["RecommendationServicer"]
