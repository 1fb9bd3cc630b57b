"""What we are compared with behind gRPC: an echo, and `implicit` as one would put it behind a server by hand.

The echo is the limit: the same asyncio server, the same sizes, bytes in and bytes out, and nothing done.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tests.bench import data, shops
from tests.bench.child import Step
from tests.bench.report import cores

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb

NEIGHBOURS = 50  # of the scorer that visavis serves with by default
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def echo(stream: str) -> Step:
    """In the child: answers calls with as many bytes as it was told last for their method, and messages of `stream`."""
    answers: dict[str, bytes] = {}
    acknowledged = interaction_pb.StreamInteractionsResponse(batch_id="batch-0000", recorded_count=1000)
    acknowledgement = acknowledged.SerializeToString()

    async def acknowledge(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for _request in requests:
            yield acknowledgement

    def handler_of(method: str) -> Any:
        if method == stream:
            return grpc.stream_stream_rpc_method_handler(acknowledge)

        async def answer(_request: bytes, _: Any) -> bytes:
            return answers[method]

        return grpc.unary_unary_rpc_method_handler(answer)

    address = _serve(handler_of)

    def step(sizes: Mapping[str, int]) -> dict[str, Any]:
        answers.update({method: bytes(size) for method, size in sizes.items()})
        return {"address": address}

    return step


def implicit_server(folder: str, method: str) -> Step:
    """In the child: `implicit` behind a plain server: parse, look up, recommend, build the message; no reasons."""
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    warnings.filterwarnings("ignore", module="implicit")
    interactions = data.load(Path(folder))
    ones = np.ones(len(interactions.indices))
    shape = (interactions.n_customers, interactions.n_items)
    matrix = csr_matrix((ones, interactions.indices, interactions.indptr), shape)
    model = CosineRecommender(K=NEIGHBOURS + 1, num_threads=cores())
    model.fit(matrix, show_progress=False)
    customers = {shops.customer_id(row): row for row in range(interactions.n_customers)}
    ids = [shops.item_id(column) for column in range(interactions.n_items)]
    names = [f"Item number {column}" for column in range(interactions.n_items)]

    async def recommend(request: Any, _: Any) -> Any:
        customer = customers[request.customer.customer_id]
        items, scores = model.recommend(customer, matrix[customer], N=request.n)
        answer = recommendation_pb.RecommendResponse()
        answer.recommendation.customer_id = request.customer.customer_id
        for rank, (item, score) in enumerate(zip(items.tolist(), scores.tolist(), strict=True), 1):
            answer.recommendation.items.add(item_id=ids[item], name=names[item], rank=rank, score=score)
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        recommend,
        request_deserializer=recommendation_pb.RecommendRequest.FromString,
        response_serializer=recommendation_pb.RecommendResponse.SerializeToString,
    )
    address = _serve(lambda asked: handler if asked == method else None)
    return lambda: {"address": address}


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, handler_of: Callable[[str], Any]) -> None:
        self._handler_of = handler_of
        self._made: dict[str, Any] = {}

    def service(self, details: Any) -> Any:
        if details.method not in self._made:
            self._made[details.method] = self._handler_of(details.method)
        return self._made[details.method]


def _serve(handler_of: Callable[[str], Any]) -> str:
    """A server in a thread of its own for as long as the process lives; where it listens."""
    address: Future[str] = Future()

    async def live() -> None:
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((_Handlers(handler_of),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        address.set_result(f"127.0.0.1:{port}")
        await server.wait_for_termination()

    threading.Thread(target=lambda: asyncio.run(live()), daemon=True).start()
    return address.result(30)


__all__ = ["NEIGHBOURS", "echo", "implicit_server"]
