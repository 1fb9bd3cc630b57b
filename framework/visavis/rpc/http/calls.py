"""Unary calls by path: the handlers that gRPC serves, within the same edge, for requests that come over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.rpc import status_pb2

from visavis.errors import DeadlineExceeded
from visavis.rpc.edge import Edge
from visavis.rpc.errors import DETAILS_KEY, to_status
from visavis.rpc.http.body import JSON, Body
from visavis.rpc.http.errors import too_large
from visavis.rpc.work import Work

_INLINE_BYTES = 2048  # of a message, less than 0.5 ms of writing; larger ones leave the event loop free
Metadata = tuple[tuple[str, str], ...]


class Failed(Exception):
    """A call ended with an error; `status` is what the table made of it."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class Collector:
    """Stands where a `grpc.aio.Server` would when servicers are registered, and keeps their handlers."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        """Handlers by path, `/package.Service/Method`."""

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Nothing: the same handlers come by their names, see below."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """What the generated `add_…Servicer_to_server` calls with every handler of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


@dataclass(frozen=True, slots=True)
class _Details:
    """The part of `grpc.HandlerCallDetails` that the edge reads."""

    method: str
    invocation_metadata: Metadata


class Context:
    """The part of `grpc.aio.ServicerContext` that the edge and our servicers use."""

    def __init__(self, timeout_s: float | None) -> None:
        self._until = None if timeout_s is None else time.monotonic() + timeout_s

    def time_remaining(self) -> float | None:
        """Seconds that the caller still waits; None: as long as it takes."""
        return None if self._until is None else max(self._until - time.monotonic(), 0)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with an error. Raises `Failed`."""
        packed = next((value for name, value in trailing_metadata if name == DETAILS_KEY), None)
        if packed is not None:
            raise Failed(status_pb2.Status.FromString(packed))
        raise Failed(status_pb2.Status(code=code.value[0], message=details))


class Calls:
    """Every unary call by its path, each within `edge`."""

    def __init__(self, handlers: Mapping[str, Any], edge: Edge, work: Work, limit: int) -> None:
        self._edge = edge
        self._work = work
        self._limit = limit
        self._unary = set[str]()
        for method, handler in handlers.items():
            if not (handler.request_streaming or handler.response_streaming):
                edge.add(method, grpc.unary_unary_rpc_method_handler(self._answering(method, handler)))
                self._unary.add(method)
        self.streaming = set(handlers) - self._unary
        """Paths of calls that only gRPC answers."""

    def __contains__(self, method: str) -> bool:
        return method in self._unary

    async def call(
        self, method: str, body: Body, metadata: Metadata, timeout_s: float | None, let_in: Callable[[], None]
    ) -> bytes:
        """The body of the answer. `let_in` is told before anything of the body is read. Raises `Failed`."""
        context = Context(timeout_s)
        try:
            # gRPC ends a call whose deadline has passed by itself; here it is done by hand.
            async with asyncio.timeout(timeout_s):
                details = cast("grpc.HandlerCallDetails", _Details(method, metadata))
                handler = self._edge.service(details)
                # The edge refuses with a handler that reads no request, which for gRPC is one of a stream. Nor is
                # anything read here then: who has no key, or comes on top of too many, is answered by his head.
                if handler.unary_unary is None:
                    return cast("bytes", await handler.stream_unary(body, context))
                let_in()
                await body.fetch_short()
                return cast("bytes", await handler.unary_unary(body, context))
        except TimeoutError:
            raise Failed(to_status(DeadlineExceeded("the deadline passed before the answer was there"))) from None

    def _answering(self, method: str, handler: Any) -> Callable[[Body, Context], Any]:
        """The behaviour of a handler, from the body of a request to the body of its answer."""
        make = handler.request_deserializer.__self__
        called = descriptor_pool.Default().FindMethodByName(method.removeprefix("/").replace("/", "."))
        answer_type = message_factory.GetMessageClass(called.output_type)

        async def answer(body: Body, context: Context) -> bytes:
            request = await body.message(handler.request_deserializer, make)
            response = await handler.unary_unary(request, context)
            ready = isinstance(response, bytes)  # a message that the servicer has written itself
            size = len(response) if ready else response.ByteSize()
            if size > self._limit:
                raise too_large("the answer", self._limit)

            def write() -> bytes:
                if body.content_type == JSON:
                    return _to_json(answer_type.FromString(response) if ready else response)
                return cast("bytes", response if ready else handler.response_serializer(response))

            return write() if size <= _INLINE_BYTES else await self._work.call(write)

        return answer


def _to_json(message: Message) -> bytes:
    """Proto3 JSON: names in camelCase, what has its default left out."""
    return json.dumps(json_format.MessageToDict(message), ensure_ascii=False, separators=(",", ":")).encode()


__all__ = ["Calls", "Collector", "Context", "Failed", "Metadata"]
