"""RecommendationService. One customer or item is answered on the event loop; a batch in a thread, and so is what has
filters, because a filter that was not asked lately reads the whole catalogue."""

from __future__ import annotations

from typing import Any

from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceServicer
from visavis.rpc.convert import filter_from_proto, invalid, ref_from_proto
from visavis.rpc.convert_answers import recommendation_to_proto, similar_to_proto
from visavis.rpc.servicers.context import Shared

_LARGEST_BATCH = 1000


class RecommendationServicer(RecommendationServiceServicer):
    def __init__(self, shared: Shared) -> None:
        self._room = shared.engine.customize
        self._work = shared.work

    async def Recommend(self, request: pb.RecommendRequest, context: Any) -> pb.RecommendResponse:  # noqa: N802
        customer, options = ref_from_proto(request.customer, "customer"), _options(request)
        if request.filters:
            answer = await self._work.call(self._room.recommend, customer, **options)
        else:
            answer = self._room.recommend(customer, **options)
        return pb.RecommendResponse(recommendation=recommendation_to_proto(answer))

    async def BatchRecommend(  # noqa: N802
        self, request: pb.BatchRecommendRequest, context: Any
    ) -> pb.BatchRecommendResponse:
        if not 1 <= len(request.customers) <= _LARGEST_BATCH:
            raise invalid("customers", f"has {len(request.customers)} entries; give 1 to {_LARGEST_BATCH}")
        customers = [ref_from_proto(ref, f"customers[{row}]") for row, ref in enumerate(request.customers)]

        def answer() -> pb.BatchRecommendResponse:
            answers = self._room.recommend_many(customers, **_options(request))
            return pb.BatchRecommendResponse(recommendations=[recommendation_to_proto(one) for one in answers])

        return await self._work.call(answer)

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
