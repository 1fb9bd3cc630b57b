"""How calls come in: many at a time, so that the gate, and not gRPC, tells those for whom there is no room.

grpc.aio takes in one call of a method in several rounds of the event loop, by a task that looks at every method, and
gives it three tasks more. Under a flood most calls are thus never seen: gRPC's core drops them, with a code that says
nothing (CANCELLED). Here the same parts of grpc are put together in another way: dozens of calls of each method are
asked for beforehand, a refused one gets no task at all, and one that is answered gets one. So both cost less than half.

These parts are grpc's own business and may change. `usable` looks whether they are as they are known here. If not, or
for calls that are not registered (streams), grpc's own way goes on: it is always there, beside this one.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, Protocol

import grpc
from grpc._cython import cygrpc as _cygrpc

log = logging.getLogger("visavis.rpc")
cygrpc: Any = _cygrpc
_ASKED = 32  # calls of each method that are asked for beforehand; more would keep answers waiting for longer
_AND_AFTER = 3.0  # what a refused call costs in all, for each second that it costs to decide on it and to begin its end
_KNOWN = {
    "_receive_message": ("grpc_call_wrapper", "loop"),
    "_handle_cancellation_from_core": ("rpc_task", "rpc_state", "loop"),
    "_handle_exceptions": ("rpc_state", "rpc_coro", "loop", "method_name"),
    "_finish_handler_with_unary_response": (
        *("rpc_state", "unary_handler", "request", "servicer_context", "response_serializer", "loop"),
    ),
}
_KNOWN_OF_SERVER = {"_request_registered_call": ("self", "method"), "is_running": ("self",)}
_KNOWN_TYPES = ("_ServicerContext", "_RequestCallError", "ExecuteBatchError")

End = tuple[grpc.StatusCode, str, Any]
"""Code, details and trailers of a call that ends with an error."""


class Doors(Protocol):
    """What decides on calls; `edge` does."""

    def enter(self, method: str, metadata: Any) -> Any:
        """What is known of a call that has come in, or the `End` of one that is turned away unread."""

    def serve(self, method: str, call: Any, taken: Taken) -> Coroutine[Any, Any, None]:
        """Reads, answers and finishes a call."""


class Room(Protocol):
    """Whether there is time for calls; `turns` does."""

    @property
    def has_time(self) -> bool:
        """Whether another call may be taken in now. If not, those who wait for it are told when it may."""

    def refused(self, seconds: float) -> None:
        """It took so long to refuse a call."""

    def when_time(self, resume: Any) -> None:
        """`resume` is called each time when there is time again."""


class Taken:
    """A call that was taken in: what its servicer sees of it, and how it goes on."""

    __slots__ = ("_loop", "_state", "context")

    def __init__(self, state: Any, context: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self.context = context
        self._loop = loop

    async def read(self) -> bytes | None:
        """The bytes of its message; None: the caller has gone."""
        message: bytes | None = await cygrpc._receive_message(self._state, self._loop)
        return message

    async def answer(self, message: bytes) -> None:
        """End it well."""
        await cygrpc._finish_handler_with_unary_response(self._state, _ready, message, self.context, None, self._loop)


async def _ready(message: bytes, _: Any) -> bytes:
    return message


class _Lane:
    """The calls of one method that come in."""

    __slots__ = ("asked", "method", "name")

    def __init__(self, method: str) -> None:
        self.method = method
        self.name = method.encode()
        self.asked = 0
        """Calls that were asked for and have not come yet."""


class Intake:
    """Takes in the calls of some unary methods of one server. For one event loop, and from its thread only."""

    def __init__(self, server: grpc.aio.Server, methods: Iterable[str], doors: Doors, room: Room) -> None:
        """Before the server starts: methods must be registered by then."""
        self._server: Any = server._server
        self._lanes = [_Lane(method) for method in methods]
        self._doors = doors
        self._room = room
        self._running = set[asyncio.Task[None]]()
        self._open = False
        for lane in self._lanes:
            service, _, name = lane.method[1:].partition("/")
            # Without a handler, so that the edge is asked for calls that grpc itself takes in, as for every other.
            server.add_registered_method_handlers(service, {name: None})

    def open(self) -> None:
        """Once the server has started."""
        if not usable():
            log.warning("gRPC takes in calls by itself", extra={"fields": {"grpc": grpc.__version__}})
            return
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._room.when_time(self._resume)
        self._resume()

    def close(self) -> None:
        """Before the server stops: what has been asked for may still come, and is served."""
        self._open = False

    def _resume(self) -> None:
        for lane in self._lanes:
            self._ask(lane)

    def _ask(self, lane: _Lane) -> None:
        """Let calls of the method come, as many as may."""
        while lane.asked < _ASKED and self._open and self._room.has_time and self._server.is_running():
            lane.asked += 1
            asking = self._server._request_registered_call(lane.name)
            _when_done(asking.send(None), partial(self._came, lane, asking))

    def _came(self, lane: _Lane, asking: Any, _: object) -> None:
        """A call is here, or the server is going down."""
        lane.asked -= 1
        try:
            asking.send(None)
        except StopIteration as stop:
            state = stop.value
        except cygrpc._RequestCallError:
            # The server stops; if it does not, then this is as if nothing had come.
            self._ask(lane)
            return
        began = time.perf_counter()
        try:
            self._take(lane.method, state, began)
        finally:
            self._ask(lane)

    def _take(self, method: str, state: Any, began: float) -> None:
        context = cygrpc._ServicerContext(state, None, None, self._loop)
        call = self._doors.enter(method, context.invocation_metadata())
        if isinstance(call, tuple):
            _finish(context.abort(*call))
            self._room.refused((time.perf_counter() - began) * _AND_AFTER)
            return
        serving = self._doors.serve(method, call, Taken(state, context, self._loop))
        task = self._loop.create_task(cygrpc._handle_exceptions(state, serving, self._loop, method))
        call.task = task
        self._running.add(task)  # the loop itself forgets tasks that only wait
        task.add_done_callback(self._running.discard)
        _finish(cygrpc._handle_cancellation_from_core(task, state, self._loop))


def _finish(ending: Any, _: object = None) -> None:
    """Go on with a coroutine of grpc until it is through, without a task of its own."""
    try:
        waiting = ending.send(None)
    except (StopIteration, cygrpc.AbortError, cygrpc.ExecuteBatchError):
        return  # through; or told to a caller who has gone
    _when_done(waiting, partial(_finish, ending))


def _when_done(waiting: Any, do: Any) -> None:
    """What a task does with the future that its coroutine waits for."""
    waiting._asyncio_future_blocking = False
    waiting.add_done_callback(do)


def usable() -> bool:
    """Whether the parts of grpc that are used here are there, with the parameters that are known."""
    of_server = getattr(cygrpc, "AioServer", None)
    parts = [(cygrpc, name, known) for name, known in _KNOWN.items()]
    parts += [(of_server, name, known) for name, known in _KNOWN_OF_SERVER.items()]
    return all(hasattr(cygrpc, name) for name in _KNOWN_TYPES) and all(
        _parameters(getattr(owner, name, None)) == known for owner, name, known in parts
    )


def _parameters(function: Any) -> tuple[str, ...] | None:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None


__all__ = ["Doors", "End", "Intake", "Room", "Taken", "usable"]
