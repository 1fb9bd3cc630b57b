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
from visavis.rpc.gate import Gate, abort, end_of, turning_away
from visavis.rpc.intake import End, Taken
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


class _Method:
    """One RPC: its handler, wrapped, and what is known of it beforehand."""

    __slots__ = ("behaviour", "handler", "is_open", "is_stream", "parse", "write")

    def __init__(self, path: str, handler: Any) -> None:
        self.is_stream: bool = handler.request_streaming or handler.response_streaming
        self.is_open = path.startswith(_HEALTH)
        """Anybody may call it, at any time, and it counts nowhere: health."""
        self.behaviour: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary
        """What answers with one message, if it does."""
        self.parse = _parser(handler.request_deserializer)
        self.write: Any = handler.response_serializer
        self.handler: Any = None


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

    def add(self, path: str, handler: Any) -> None:
        """One handler by its path."""
        method = _Method(path, handler)
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        if handler.response_streaming:
            wrapped = self._streaming(handler, is_stream=method.is_stream, is_open=method.is_open)
        else:
            wrapped = self._answering(method)
        method.handler = make(
            wrapped, request_deserializer=method.parse, response_serializer=_writer(handler.response_serializer)
        )
        self._methods[path] = method

    @property
    def unary(self) -> list[str]:
        """Paths of the calls with one request and one answer."""
        return [path for path, method in self._methods.items() if not method.is_stream]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler for a call that has just come in; None: there is no such method (gRPC says UNIMPLEMENTED)."""
        name = handler_call_details.method
        if name not in self._methods:
            return None
        call = self.enter(name, handler_call_details.invocation_metadata or ())
        if isinstance(call, tuple):
            return turning_away(call)
        call.task = asyncio.current_task()
        _current.set(call)
        return self._methods[name].handler

    def enter(self, name: str, metadata: Metadata) -> _Call | End:
        """What is known of a call that has come in, or how it ends if it is turned away."""
        method, key = self._methods[name], ""
        if not method.is_open:
            # Before anything of the request is read: a stranger's message is not worth its memory.
            try:
                key = self._authenticate(name, metadata)
            except VisavisError as error:
                return self._turned_away(name, error)
            if not method.is_stream:
                end = self._gate.refusal(name)
                if end is not None:
                    return end
        call = _Call(name, metadata, key)
        if self._patience is not None:
            self._patience.watch(call)
        return call

    def _turned_away(self, method: str, error: VisavisError) -> End:
        """The end of a call that may not be made."""
        if isinstance(error, Forbidden):
            call = _Call(method, (), error.metadata.get("key_id", ""))
            call.code, call.reason = code_of(error).name, error.reason
            self._tell(call, time.perf_counter())
        else:
            self._gate.count_refused(method, error.reason)
        return end_of(error)

    async def serve(self, name: str, call: _Call, taken: Taken) -> None:
        """Read, answer and finish a unary call that was let in."""
        method = self._methods[name]
        message = await taken.read()
        if message is None:
            return
        response = await self._answer(method, call, message, taken.context)
        await taken.answer(response if isinstance(response, bytes) else method.write(response))

    def _answering(self, method: _Method) -> Any:
        """What answers with one message, for those who know nothing of calls."""

        async def answer(request: Any, context: Any) -> Any:
            return await self._answer(method, _current.get(), request, context)

        return answer

    async def _answer(self, method: _Method, call: _Call, request: Any, context: Any) -> Any:
        """Everything around one call with one answer. `request`: its message, or the bytes of it."""
        is_stream, is_open, gate = method.is_stream, method.is_open, self._gate
        began = self._begin(call, is_stream, is_open)
        try:
            if not is_open:
                until = self._admit(context, is_stream)
            if is_stream:
                request = self._requests(request, call, is_open)
            else:
                if isinstance(request, bytes):
                    call.received_bytes = len(request)
                    request = _good(method.parse(request)) if method.parse is not None else request
                else:
                    call.received_bytes = _good(request).ByteSize()
                if not (is_open or gate.turns.at_once(call.method, until)):
                    await gate.turns.wait(call.method, until)
            response = await method.behaviour(request, context)
            if self._patience is not None:
                call.since = time.monotonic()
            return response
        except BaseException as error:
            await self._fail(call, context, error)
            raise
        finally:
            self._end(call, began, is_stream, is_open)

    def _streaming(self, handler: Any, *, is_stream: bool, is_open: bool) -> Any:
        """What answers with a stream of messages."""
        behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            call = _current.get()
            began = self._begin(call, is_stream, is_open)
            try:
                if not is_open:
                    self._admit(context, is_stream)
                if handler.request_streaming:
                    request = self._requests(request, call, is_open)
                else:
                    call.received_bytes = _good(request).ByteSize()
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
            call.received_bytes += _good(request).ByteSize()
            yield request

    def _still_good(self, call: _Call) -> None:
        """A stream may outlive its key: one that was revoked does nothing more."""
        self._authenticate(call.method, call.metadata)

    def _begin(self, call: _Call, is_stream: bool, is_open: bool) -> float:
        call.since = NOBODY
        if is_open:
            pass
        elif is_stream:
            self._gate.streams += 1
        else:
            self._gate.calls += 1
        return time.perf_counter()

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


def _good(request: Any) -> Any:
    """A message, if it is one. Raises `InvalidInput`."""
    if isinstance(request, _Malformed):
        raise InvalidInput(f"the request is not a valid protobuf message for {request.wanted}")
    return request


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
