"""What happens around each call: key, limits, deadline, errors, log. Servicers hold none of it.

In this order: is the server ready, is the key good, are there too many calls already, has the deadline passed; then
the call; then an error becomes a status by the one table, and one line goes to the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from visavis.errors import DeadlineExceeded, InvalidInput, Overloaded, Unavailable, VisavisError
from visavis.rpc.auth import Authenticate
from visavis.rpc.errors import code_of, to_status
from visavis.rpc.work import deadline

log = logging.getLogger("visavis.rpc")
_HEALTH = "/grpc.health.v1.Health/"


class Gate:
    """Whether calls may come in: shared by all ports of a server."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        """Calls in progress, the one that asks included."""
        self.closed_because = "is warming up"
        """Why no call is taken; empty while the server serves."""

    def check(self) -> None:
        """Raises `Unavailable` or `Overloaded`."""
        if self.closed_because:
            raise Unavailable(f"the server {self.closed_because}; try again in a moment")
        if self.running > self.limit:
            raise Overloaded(
                f"{self.limit} calls are in progress already (max_concurrent_rpcs); try again after a pause",
                metadata={"limit": str(self.limit)},
            )


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands for a message that could not be parsed."""

    wanted: str


@dataclass(slots=True)
class _Call:
    """What the log says of one call."""

    method: str
    key: str = ""
    received_bytes: int = 0
    code: str = "OK"
    reason: str = ""


class Edge:
    """Wraps every handler of one port; a `grpc.aio.ServerInterceptor` (see below)."""

    def __init__(self, gate: Gate, authenticate: Authenticate) -> None:
        self._gate = gate
        self._authenticate = authenticate
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, wrapped; made once for each method."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # gRPC answers UNIMPLEMENTED
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Any) -> Any:
        behaviour: Any = next(
            value
            for value in (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
            if value is not None
        )
        receive = self._stream if handler.request_streaming else self._message

        async def answer(request: Any, context: Any) -> Any:
            async with self._around(method, context) as call:
                return await behaviour(receive(request, call), context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._around(method, context) as call:
                async for response in behaviour(receive(request, call), context):
                    yield response

        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(
            stream if handler.response_streaming else answer,
            request_deserializer=_parser(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    @staticmethod
    def _message(request: Any, call: _Call) -> Any:
        if isinstance(request, _Malformed):
            raise InvalidInput(f"the request is not a valid protobuf message for {request.wanted}")
        call.received_bytes += request.ByteSize()
        return request

    @staticmethod
    async def _stream(requests: AsyncIterator[Any], call: _Call) -> AsyncIterator[Any]:
        async for request in requests:
            yield Edge._message(request, call)

    @asynccontextmanager
    async def _around(self, method: str, context: Any) -> AsyncIterator[_Call]:
        call = _Call(method)
        began = time.perf_counter()
        counted = not method.startswith(_HEALTH)
        if counted:
            self._gate.running += 1
        try:
            if counted:
                self._admit(call, context)
            yield call
        except VisavisError as error:
            call.code, call.reason = code_of(error).name, error.reason
            await _abort(context, error)
        except asyncio.CancelledError:
            call.code = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            call.code = "ABORTED_BY_SERVICE"  # reflection sets its own codes
            raise
        except Exception:
            call.code, call.reason = "INTERNAL", "INTERNAL"
            log.exception("failed", extra={"fields": {"rpc": method}})
            await _abort(context, VisavisError("an internal error; the server's log says more"))
        finally:
            if counted:
                self._gate.running -= 1
            self._log(call, began, counted)

    def _admit(self, call: _Call, context: Any) -> None:
        call.key = self._authenticate(context.invocation_metadata() or ())
        self._gate.check()
        left = context.time_remaining()
        if left is not None and left <= 0:
            raise DeadlineExceeded("the deadline passed before the call began; give more time")
        deadline.set(None if left is None else time.monotonic() + left)

    @staticmethod
    def _log(call: _Call, began: float, counted: bool) -> None:
        fields: dict[str, object] = {
            "rpc": call.method,
            "code": call.code,
            "ms": round((time.perf_counter() - began) * 1000, 3),
            "received_bytes": call.received_bytes,
        }
        if call.reason:
            fields["reason"] = call.reason
        if call.key:
            fields["key"] = call.key
        log.log(logging.INFO if counted else logging.DEBUG, "call", extra={"fields": fields})


# Registered and not subclassed: the class is abstract and empty, and its type is another in each set of stubs.
_Interceptor: Any = grpc.aio.ServerInterceptor
_Interceptor.register(Edge)


async def _abort(context: Any, error: VisavisError) -> None:
    status: Any = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _parser(parse: Callable[[bytes], Message] | None) -> Callable[[bytes], Message | _Malformed] | None:
    """Parse, or say that it cannot be done: an error raised here would reach the caller as a fault of ours."""
    if parse is None:
        return None
    wanted = getattr(getattr(parse, "__self__", None), "DESCRIPTOR", None)
    name = wanted.full_name if wanted is not None else "this call"

    def parse_or_mark(data: bytes) -> Message | _Malformed:
        try:
            return parse(data)
        except DecodeError:
            return _Malformed(name)

    return parse_or_mark


__all__ = ["Edge", "Gate"]
