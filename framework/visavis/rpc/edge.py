"""What happens around each call: key, limits, deadline, turn, errors, log. Servicers hold none of it.

In this order: is the key good, is the server ready, are there too many calls already, has the deadline passed, is it
this call's turn; then the call; then an error becomes a status by the one table, and one line goes to the log.

All of it is plain code on the way of every call, with as few objects as it can do with: what is spent here is spent
by each of thousands of calls a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from visavis.errors import DeadlineExceeded, Forbidden, InvalidInput, Overloaded, VisavisError
from visavis.rpc.auth import Authenticate, Metadata
from visavis.rpc.errors import code_of
from visavis.rpc.gate import Gate, abort
from visavis.rpc.patience import NOBODY, Patience, Wait
from visavis.rpc.work import deadline

log = logging.getLogger("visavis.rpc")
_HEALTH = "/grpc.health.v1.Health/"


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands for a message that could not be parsed."""

    wanted: str


class _Call(Wait):
    """One call: who makes it, and what the log says of it."""

    __slots__ = ("code", "key", "metadata", "method", "reason", "received_bytes")

    def __init__(self, method: str, metadata: Metadata, key: str) -> None:
        super().__init__()
        self.method = method
        self.metadata = metadata
        self.key = key
        self.received_bytes = 0
        self.code = "OK"
        self.reason = ""


_current: ContextVar[_Call] = ContextVar("visavis_call")
"""The call that runs; set when its handler is handed out."""


@dataclass(frozen=True, slots=True)
class _Method:
    """One RPC: its handler, wrapped, and what is known of it beforehand."""

    handler: Any
    is_stream: bool
    is_open: bool
    """Anybody may call it, at any time, and it counts nowhere: health."""


class Edge:
    """The handlers of one port, each wrapped; a `grpc.GenericRpcHandler` (see below).

    Servicers are registered with it as with a server. `patient` False: the port ends slow callers by itself.
    """

    def __init__(self, gate: Gate, authenticate: Authenticate, *, patient: bool = True) -> None:
        self._gate = gate
        self._authenticate = authenticate
        self._patience = Patience() if patient else None
        self._methods: dict[str, _Method] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        """Nothing: the same handlers come by their names, see below."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """What the generated `add_…Servicer_to_server` calls with every handler of a service."""
        for name, handler in handlers.items():
            self.add(f"/{service}/{name}", handler)

    def add(self, method: str, handler: Any) -> None:
        """One handler by its path."""
        is_stream = handler.request_streaming or handler.response_streaming
        is_open = method.startswith(_HEALTH)
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        wrap = self._streaming if handler.response_streaming else self._answering
        wrapped = make(
            wrap(handler, is_stream=is_stream, is_open=is_open),
            request_deserializer=_parser(handler.request_deserializer),
            response_serializer=_writer(handler.response_serializer),
        )
        self._methods[method] = _Method(wrapped, is_stream, is_open)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler for a call that has just come in; None: there is no such method (gRPC says UNIMPLEMENTED)."""
        name = handler_call_details.method
        method = self._methods.get(name)
        if method is None:
            return None
        self._gate.turns.arrived += 1
        metadata, key = handler_call_details.invocation_metadata or (), ""
        if not method.is_open:
            # Before anything of the request is read: a stranger's message is not worth its memory.
            try:
                key = self._authenticate(name, metadata)
            except VisavisError as error:
                return self._turning_away(name, error)
            if not method.is_stream:
                refusing = self._gate.refusing(name)
                if refusing is not None:
                    return refusing
        call = _Call(name, metadata, key)
        if self._patience is not None:
            self._patience.watch(call)
        _current.set(call)
        return method.handler

    def _turning_away(self, method: str, error: VisavisError) -> Any:
        """A handler that reads nothing and answers with `error`."""
        if isinstance(error, Forbidden):
            call = _Call(method, (), error.metadata.get("key_id", ""))
            call.code, call.reason = code_of(error).name, error.reason
            self._tell(call, time.perf_counter())
        else:
            self._gate.count_refused(method, error.reason)

        async def turn_away(_: object, context: Any) -> None:
            await abort(context, error)

        return grpc.stream_unary_rpc_method_handler(turn_away)

    def _answering(self, handler: Any, *, is_stream: bool, is_open: bool) -> Any:
        """What answers with one message."""
        behaviour: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary
        gate = self._gate

        async def answer(request: Any, context: Any) -> Any:
            call, began = self._begin(is_stream, is_open)
            try:
                if not is_open:
                    until = self._admit(context, is_stream)
                if is_stream:
                    request = self._requests(request, call, is_open)
                else:
                    _count(request, call)
                    if not (is_open or gate.turns.at_once(call.method, until)):
                        await gate.turns.wait(call.method, until)
                response = await behaviour(request, context)
                if self._patience is not None:
                    call.since = time.monotonic()
                return response
            except BaseException as error:
                await self._fail(call, context, error)
                raise
            finally:
                self._end(call, began, is_stream, is_open)

        return answer

    def _streaming(self, handler: Any, *, is_stream: bool, is_open: bool) -> Any:
        """What answers with a stream of messages."""
        behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            call, began = self._begin(is_stream, is_open)
            try:
                if not is_open:
                    self._admit(context, is_stream)
                if handler.request_streaming:
                    request = self._requests(request, call, is_open)
                else:
                    _count(request, call)
                async for response in behaviour(request, context):
                    if not is_open:
                        self._still_good(call)
                    if self._patience is not None:
                        call.since = time.monotonic()
                    yield response
                    call.since = NOBODY
            except BaseException as error:
                await self._fail(call, context, error)
                raise
            finally:
                self._end(call, began, is_stream, is_open)

        return stream

    async def _requests(self, requests: AsyncIterator[Any], call: _Call, is_open: bool) -> AsyncIterator[Any]:
        async for request in requests:
            if not is_open:
                self._still_good(call)
            _count(request, call)
            yield request

    def _still_good(self, call: _Call) -> None:
        """A stream may outlive its key: one that was revoked does nothing more."""
        self._authenticate(call.method, call.metadata)

    def _begin(self, is_stream: bool, is_open: bool) -> tuple[_Call, float]:
        call = _current.get()
        call.since = NOBODY
        if is_open:
            pass
        elif is_stream:
            self._gate.streams += 1
        else:
            self._gate.calls += 1
        return call, time.perf_counter()

    def _admit(self, context: Any, is_stream: bool) -> float | None:
        """Let a call in that is counted already; answers its deadline, monotonic."""
        self._gate.check(stream=is_stream)
        left = context.time_remaining()
        if left is None:
            until = None
        elif left <= 0:
            raise DeadlineExceeded("the deadline passed before the call began; give more time")
        else:
            until = time.monotonic() + left
        deadline.set(until)
        return until

    async def _fail(self, call: _Call, context: Any, error: BaseException) -> None:
        """Tell the caller of an error by the one table; what is none of ours to tell goes on as it is."""
        if isinstance(error, VisavisError):
            call.code, call.reason = code_of(error).name, error.reason
            await abort(context, error, self._gate.pause_s)
        elif isinstance(error, asyncio.CancelledError):
            call.code = "CANCELLED"
        elif isinstance(error, grpc.aio.AbortError):
            call.code = "ABORTED_BY_SERVICE"  # reflection sets its own codes
        elif isinstance(error, Exception):
            call.code, call.reason = "INTERNAL", "INTERNAL"
            log.error("failed", exc_info=error, extra={"fields": {"rpc": call.method}})
            await abort(context, VisavisError("an internal error; the server's log says more"))

    def _end(self, call: _Call, began: float, is_stream: bool, is_open: bool) -> None:
        if is_open:
            pass
        elif is_stream:
            self._gate.streams -= 1
        else:
            self._gate.calls -= 1
        if call.reason == Overloaded.reason:
            self._gate.count_refused(call.method)
        else:
            self._tell(call, began, logging.DEBUG if is_open else logging.INFO)

    def _tell(self, call: _Call, began: float, level: int = logging.INFO) -> None:
        if log.isEnabledFor(level):
            ms = round((time.perf_counter() - began) * 1000, 3)
            self._gate.lines.add(level, call.method, call.code, ms, call.received_bytes, call.reason, call.key)


# Registered and not subclassed: the class is abstract and empty, and its type is another in each set of stubs.
_Handler: Any = grpc.GenericRpcHandler
_Handler.register(Edge)


def _count(request: Any, call: _Call) -> None:
    """Count a message, or say that it is none."""
    if isinstance(request, _Malformed):
        raise InvalidInput(f"the request is not a valid protobuf message for {request.wanted}")
    call.received_bytes += request.ByteSize()


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


def _writer(write: Callable[[Message], bytes] | None) -> Callable[[Message | bytes], bytes] | None:
    """Write a message; bytes are one that is written already."""
    if write is None:
        return None

    def write_or_pass(message: Message | bytes) -> bytes:
        return message if isinstance(message, bytes) else write(message)

    return write_or_pass


__all__ = ["Edge"]
