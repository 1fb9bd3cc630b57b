"""The room `customize`, over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from visavis.api.v1 import evaluation_service_pb2 as evaluation_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.client.requests import last, ranking, stubs
from visavis.evaluation import Evaluation
from visavis.model import (
    AttributeFilter,
    CustomerRef,
    Progress,
    Recommendation,
    SimilarItems,
)
from visavis.rpc import convert, convert_answers
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make
from visavis.rpc.convert_evaluation import evaluation_from_proto


class Customize:
    """The room `customize`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._stub, self._evaluation = stubs(caller, RecommendationServiceStub, EvaluationServiceStub)

    def recommend(
        self,
        customer: CustomerRef,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> Recommendation:
        """A ranked list for one customer."""
        request = make(
            recommendation_pb.RecommendRequest,
            customer=convert.ref_to_proto(customer, "customer"),
            **ranking(n, scorer, filters, exclude, available_only, one_per_group),
            exclude_bought=exclude_bought,
            most_reasons=most_reasons,
        )
        answer = self._caller.call(self._stub.Recommend, request, again=True)
        return convert_answers.recommendation_from_proto(answer.recommendation)

    def recommend_many(
        self,
        customers: Sequence[CustomerRef],
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> tuple[Recommendation, ...]:
        """A ranked list for each customer; at most 1,000 of them."""
        request = make(
            recommendation_pb.BatchRecommendRequest,
            customers=[convert.ref_to_proto(one, f"customers[{row}]") for row, one in enumerate(customers)],
            **ranking(n, scorer, filters, exclude, available_only, one_per_group),
            exclude_bought=exclude_bought,
            most_reasons=most_reasons,
        )
        answer = self._caller.call(self._stub.BatchRecommend, request, again=True)
        return tuple(convert_answers.recommendation_from_proto(one) for one in answer.recommendations)

    def similar(
        self,
        item_id: str,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        available_only: bool = True,
        one_per_group: bool = True,
    ) -> SimilarItems:
        """The neighbours of one item."""
        request = make(
            recommendation_pb.ListSimilarItemsRequest,
            item_id=item_id,
            **ranking(n, scorer, filters, exclude, available_only, one_per_group),
        )
        answer = self._caller.call(self._stub.ListSimilarItems, request, again=True)
        return convert_answers.similar_from_proto(answer)

    def evaluate(
        self,
        scorers: Sequence[str] = (),
        *,
        days: float = 28,
        end: datetime | None = None,
        min_buyers: int = 1,
        most_customers: int = 2_000,
        seed: int = 1,
        progress: Callable[[Progress], None] | None = None,
    ) -> Evaluation:
        """How well each scorer would have foretold the purchases of the last `days`. `end` must say its time zone."""
        request = make(
            evaluation_pb.EvaluateRequest,
            scorers=scorers,
            days=days,
            end_at=None if end is None else convert.time_to_proto(end, "end"),
            min_buyers=min_buyers,
            max_customers=most_customers,
            seed=seed,
        )
        answers = self._caller.stream(self._evaluation.Evaluate, request)
        return evaluation_from_proto(last(answers, progress).report)


__all__ = ["Customize"]
