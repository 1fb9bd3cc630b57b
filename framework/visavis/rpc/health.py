"""grpc.health.v1: whether the server takes calls, and whether it can still write.

Our own, because the servicer that comes with grpc forgets all who watch when one of them leaves, and waits at
shutdown for one that does not read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from visavis.errors import NotFound, Overloaded

_MOST_WATCHES = 256
_MOST_OF_ONE = 4  # watches of one connection: no stranger takes them all with one
_LOOK_S = 0.5
_Status = health_pb2.HealthCheckResponse
_Base: Any = health_pb2_grpc.HealthServicer


class Health(_Base):  # type: ignore[misc]
    """The health of a server and of its services; one for all ports.

    `reading` and `writing` are names of services. A store that takes no more writes makes the server (the empty name)
    and the writing services NOT_SERVING; the reading ones go on.
    """

    def __init__(self, reading: Collection[str], writing: Collection[str], writes_fail: Callable[[], bool]) -> None:
        self._writing = {"", *writing}
        self._names = self._writing | {*reading}
        self._writes_fail = writes_fail
        self._serving = False
        self._closing = False
        self._changed = asyncio.Event()
        self._watches: Counter[str] = Counter()

    def open(self) -> None:
        """Calls are taken from now on."""
        self._serving = True
        self._tell()

    def close(self) -> None:
        """No more calls are taken. Who watches is told, and the watch ends."""
        self._serving, self._closing = False, True
        self._tell()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.service not in self._names:
            raise NotFound(f"there is no service {request.service[:100]!r}; leave it empty to ask for the server")
        return _Status(status=self._status(request.service))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        peer = context.peer()
        if self._watches.total() >= _MOST_WATCHES or self._watches[peer] >= _MOST_OF_ONE:
            limit = _MOST_OF_ONE if self._watches[peer] >= _MOST_OF_ONE else _MOST_WATCHES
            raise Overloaded(f"{limit} watches are open already; call Check instead", metadata={"limit": str(limit)})
        self._watches[peer] += 1
        try:
            told = None
            while True:
                closing, changed, status = self._closing, self._changed, self._status(request.service)
                if status != told:
                    told = status
                    yield _Status(status=status)
                if closing:
                    return
                # The writer fails in its own thread and tells nobody, so it is looked at every now and then.
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _LOOK_S)
        finally:
            self._watches[peer] -= 1
            if not self._watches[peer]:
                del self._watches[peer]

    def _status(self, service: str) -> Any:
        if service not in self._names:
            return _Status.SERVICE_UNKNOWN
        writes_well = service not in self._writing or not self._writes_fail()
        return _Status.SERVING if self._serving and writes_well else _Status.NOT_SERVING

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


__all__ = ["Health"]
