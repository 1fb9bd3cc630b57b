"""What happens around each call: key, limits, deadline, turn, errors, log. Servicers hold none of it.

In this order: is the key good, is the server ready, are there too many calls already, has the deadline passed, is it
this call's turn; then the call; then an error becomes a status by the one table, and one line goes to the log. Of
calls that are refused because there are too many, one line a second tells the number.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from visavis.errors import DeadlineExceeded, Forbidden, InvalidInput, Overloaded, Unavailable, VisavisError
from visavis.rpc.auth import Authenticate, Metadata
from visavis.rpc.errors import LEAST_PAUSE_S, PUSHBACK_KEY, code_of, to_status
from visavis.rpc.patience import Patience, patience
from visavis.rpc.turns import LONGEST_WAIT_S, Turns, busy
from visavis.rpc.work import deadline

log = logging.getLogger("visavis.rpc")
_HEALTH = "/grpc.health.v1.Health/"
_TELL_S = 1.0
_COME_BACK = 50.0  # refused callers who wait as they are asked to; so many a second may come back together
_LONGEST_PAUSE_S = 4.0
_READY = 32  # refusals of one kind that are made beforehand, each with another pause
_key: ContextVar[str] = ContextVar("visavis_key")
"""Id of the key of the call that runs; set before its handler is handed out."""
STREAM_SHARE = 4
"""Of `max_concurrent_rpcs`, a quarter may be streams, beside the calls."""


class Gate:
    """Whether calls may come in: shared by all ports of a server.

    Calls with one request and one answer, and streams, have a limit each: many long streams leave room for calls, and
    many calls for streams.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.stream_limit = max(1, limit // STREAM_SHARE)
        self.calls = 0
        """Calls in progress, the one that asks included; streams apart."""
        self.streams = 0
        self.turns = Turns()
        self.refused: Counter[tuple[str, str]] = Counter()
        """Refused calls that the log has not told yet, by method and reason."""
        self.pause_s = LEAST_PAUSE_S
        """What refused callers are asked to wait, on average: the longer, the more there are."""
        self._telling = False
        self._refusing: dict[str, Any] = {}
        self.closed_because = "is warming up"
        """Why no call is taken; empty while the server serves."""

    @property
    def running(self) -> int:
        """Calls and streams in progress."""
        return self.calls + self.streams

    def check(self, *, stream: bool) -> None:
        """Raises `Unavailable` or `Overloaded`."""
        if self.closed_because:
            raise Unavailable(f"the server {self.closed_because}; try again in a moment")
        if self.streams > self.stream_limit if stream else self.calls > self.limit:
            raise self._too_many(stream=stream)

    def refusing(self, method: str) -> Any:
        """A handler that refuses a unary call that has just come in, without reading it; None: there may be room."""
        if self.closed_because:
            return None
        if self.calls >= self.limit:
            why, error = "calls", self._too_many
        elif self.turns.wait_s(method) > LONGEST_WAIT_S:
            why, error = "wait", partial(busy, LONGEST_WAIT_S)
        else:
            return None
        self.count_refused(method)
        handler = self._refusing.get(why)
        if handler is None:
            handler = self._refusing[why] = _refusing(error(), self.pause_s)
        return handler

    def count_refused(self, method: str, reason: str = Overloaded.reason) -> None:
        """Count it; the log tells of it within a second."""
        self.refused[method, reason] += 1
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(_TELL_S, self._tell)

    def _too_many(self, *, stream: bool = False) -> Overloaded:
        limit, what = (self.stream_limit, "streams") if stream else (self.limit, "calls")
        return Overloaded(
            f"{limit} {what} are in progress already (max_concurrent_rpcs); try again after a pause",
            metadata={"limit": str(limit)},
        )

    def _tell(self) -> None:
        refused, self.refused = self.refused, Counter()
        # Callers who wait are as many as are refused in a second, times the pause. The root is where it settles.
        too_many = sum(calls for (_, reason), calls in refused.items() if reason == Overloaded.reason)
        pause_s = (self.pause_s * too_many / _TELL_S / _COME_BACK) ** 0.5
        self.pause_s = min(max(LEAST_PAUSE_S, pause_s), _LONGEST_PAUSE_S)
        self._refusing.clear()
        self._telling = bool(refused)
        if self._telling:
            asyncio.get_running_loop().call_later(_TELL_S, self._tell)
        for (method, reason), calls in refused.items():
            log.warning("refused", extra={"fields": {"rpc": method, "reason": reason, "calls": calls}})


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands for a message that could not be parsed."""

    wanted: str


@dataclass(slots=True)
class _Call:
    """One call: who makes it, and what the log says of it."""

    method: str
    metadata: Metadata
    key: str = ""
    received_bytes: int = 0
    code: str = "OK"
    reason: str = ""


class Edge:
    """Wraps every handler of one port; a `grpc.aio.ServerInterceptor` (see below).

    `patient` False: the port ends slow callers by itself.
    """

    def __init__(self, gate: Gate, authenticate: Authenticate, *, patient: bool = True) -> None:
        self._gate = gate
        self._authenticate = authenticate
        self._patient = patient
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler of a call, wrapped; made once for each method."""
        method = handler_call_details.method
        self._gate.turns.arrived += 1
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # gRPC answers UNIMPLEMENTED
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        if not method.startswith(_HEALTH):
            # Before anything of the request is read: a stranger's message is not worth its memory.
            try:
                _key.set(self._authenticate(method, handler_call_details.invocation_metadata or ()))
            except VisavisError as error:
                return self._turning_away(method, error)
            if wrapped.unary_unary is not None:
                refusing = self._gate.refusing(method)
                if refusing is not None:
                    return refusing
        task = asyncio.current_task()
        if self._patient and task is not None:
            waiting = Patience(task)
            waiting.start()
            patience.set(waiting)
        return wrapped

    def _turning_away(self, method: str, error: VisavisError) -> Any:
        """A handler that reads nothing and answers with `error`."""
        if isinstance(error, Forbidden):
            call = _Call(method, (), error.metadata.get("key_id", ""), 0, code_of(error).name, error.reason)
            self._log(call, time.perf_counter(), counted=True)
        else:
            self._gate.count_refused(method, error.reason)

        async def turn_away(_: object, context: Any) -> None:
            await _abort(context, error)

        return grpc.stream_unary_rpc_method_handler(turn_away)

    def _wrap(self, method: str, handler: Any) -> Any:
        behaviour: Any = next(
            value
            for value in (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
            if value is not None
        )
        receive = self._stream if handler.request_streaming else self._message
        is_stream = handler.request_streaming or handler.response_streaming

        async def answer(request: Any, context: Any) -> Any:
            async with self._around(method, context, is_stream) as call:
                message = receive(request, call)
                if not (is_stream or method.startswith(_HEALTH)):
                    await self._gate.turns.take(method, deadline.get())
                response = await behaviour(message, context)
            waiting = patience.get()
            if waiting is not None:
                waiting.start()
            return response

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._around(method, context, is_stream) as call:
                waiting = patience.get()
                async for response in behaviour(receive(request, call), context):
                    self._still_good(call)
                    if waiting is None:
                        yield response
                        continue
                    waiting.start()
                    yield response
                    waiting.stop()

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

    async def _stream(self, requests: AsyncIterator[Any], call: _Call) -> AsyncIterator[Any]:
        async for request in requests:
            self._still_good(call)
            yield self._message(request, call)

    def _still_good(self, call: _Call) -> None:
        """A stream may outlive its key: one that was revoked does nothing more."""
        if not call.method.startswith(_HEALTH):
            self._authenticate(call.method, call.metadata)

    @asynccontextmanager
    async def _around(self, method: str, context: Any, is_stream: bool) -> AsyncIterator[_Call]:
        call = _Call(method, context.invocation_metadata() or ())
        began = time.perf_counter()
        counted = not method.startswith(_HEALTH)
        waiting = patience.get()
        if waiting is not None:
            waiting.stop()
        self._gate.calls += counted and not is_stream
        self._gate.streams += counted and is_stream
        try:
            if counted:
                call.key = _key.get()
                self._admit(context, is_stream)
            yield call
        except VisavisError as error:
            call.code, call.reason = code_of(error).name, error.reason
            await _abort(context, error, self._gate.pause_s)
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
            self._gate.calls -= counted and not is_stream
            self._gate.streams -= counted and is_stream
            if call.reason == Overloaded.reason:
                self._gate.count_refused(method)
            else:
                self._log(call, began, counted)

    def _admit(self, context: Any, is_stream: bool) -> None:
        self._gate.check(stream=is_stream)
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


def _refusing(refusal: Overloaded, pause_s: float) -> Any:
    """A handler whose answers are ready, several, for each asks for a pause of another length."""
    ready = cycle([_end_of(refusal, pause_s) for _ in range(_READY)])

    async def refuse(_: object, context: Any) -> None:
        await context.abort(*next(ready))

    return grpc.stream_unary_rpc_method_handler(refuse)


async def _abort(context: Any, error: VisavisError, pause_s: float = LEAST_PAUSE_S) -> None:
    await context.abort(*_end_of(error, pause_s))


def _end_of(error: VisavisError, pause_s: float) -> tuple[grpc.StatusCode, str, Any]:
    """Code, details and trailers of a call that ends with an error."""
    told = to_status(error, pause_s)
    status: Any = rpc_status.to_status(told)
    trailers = status.trailing_metadata
    retry = error_details_pb2.RetryInfo()
    if any(detail.Unpack(retry) for detail in reversed(told.details)):
        trailers = (*trailers, (PUSHBACK_KEY, str(retry.retry_delay.ToMilliseconds())))
    return status.code, status.details, trailers


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
