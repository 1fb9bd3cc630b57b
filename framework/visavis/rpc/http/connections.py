"""Connections of HTTP/1.1: how many there may be, how long they may idle, and what becomes of those that stall."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any, cast

from aiohttp import web
from google.rpc import status_pb2

from visavis.rpc.http.errors import error_body

log = logging.getLogger("visavis.rpc")

ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "visavis"}
"""Headers of every answer."""

IDLE_S = 30.0
"""How long a connection may wait for its next request, or take to send the head of one."""
FIRST_S = 10.0
"""How long a new connection may take for the head of its first request."""
_LINGER_S = 2.0  # how long what follows a refused body is read, so that the refusal arrives
_HEAD_LINE_BYTES = 8190
_HEADERS = 100

_NO_ROOM = b'{"code":"unavailable","message":"too many connections are open; try again after a pause"}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_NO_ROOM), _NO_ROOM)
)


class Connections:
    """The open connections of one server, at most `most`.

    Where there is no room for another, one without a call makes it: of the address that has most of those, the one
    that has waited longest.
    """

    def __init__(self, server: web.Server, most: int) -> None:
        self._server = server
        self._most = most
        self._open: dict[Connection, asyncio.Transport] = {}
        self._stalled: set[Connection] = set()
        self._waiting: dict[
            Connection, str
        ] = {}  # the addresses of those without a call; who has waited longest comes first

    def __len__(self) -> int:
        return len(self._open)

    def make(self) -> Connection:
        """The protocol of a new connection."""
        return Connection(
            self._server,
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            access_log=cast("Any", None),
            logger=log,
            max_line_size=_HEAD_LINE_BYTES,
            max_field_size=_HEAD_LINE_BYTES,
            max_headers=_HEADERS,
            lingering_time=_LINGER_S,
            auto_decompress=False,
        )

    def enter(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more."""
        if len(self._open) >= self._most and not self._make_room():
            return False
        self._open[connection] = transport
        self.wait(connection)
        return True

    def wait(self, connection: Connection) -> None:
        """It has no call, from now on."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            peer = self._open[connection].get_extra_info("peername") or ("",)
            self._waiting[connection] = str(peer[0])

    def work(self, connection: Connection) -> None:
        """It has a call that was let in."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)
        self._stalled.discard(connection)

    def sweep(self) -> None:
        """Cut off those that were closing already when this was called last: they do not read what is left."""
        closing = {one for one, transport in self._open.items() if transport.is_closing()}
        for one in closing & self._stalled:
            self._open[one].abort()
        self._stalled = closing

    def _make_room(self) -> bool:
        if not self._waiting:
            return False
        [(crowd, _)] = Counter(self._waiting.values()).most_common(1)
        one = next(connection for connection, peer in self._waiting.items() if peer == crowd)
        self._open[one].abort()
        self.leave(one)  # at once; asyncio says so a moment later
        return True


class Connection(web.RequestHandler):
    """aiohttp's, counted, and with errors in our form."""

    def __init__(self, server: web.Server, connections: Connections, **options: Any) -> None:
        super().__init__(server, **options)
        self._connections = connections
        self._first: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)
        if self._connections.enter(self, stream):
            self._first = asyncio.get_running_loop().call_later(FIRST_S, self.force_close)
            super().connection_made(transport)
        else:
            stream.write(_FULL)
            stream.close()

    def begin(self) -> None:
        """The head of a request has come."""
        self._stop_waiting_for_first()

    def work(self) -> None:
        """Its call was let in; it keeps its place until `end`."""
        self._connections.work(self)

    def end(self) -> None:
        """The request is answered."""
        self._connections.wait(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting_for_first()
        self._connections.leave(self)
        super().connection_lost(exc)

    def _stop_waiting_for_first(self) -> None:
        if self._first is not None:
            self._first.cancel()
            self._first = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not HTTP, or to a fault of ours."""
        if status == 400:
            what = "the request is not HTTP/1.1 as this server reads it, or a line of its head is too long"
            body = error_body(status_pb2.Status(code=3, message=what))
        else:
            log.error("failed over HTTP", exc_info=exc)
            body = error_body(status_pb2.Status(code=13, message="an internal error; the server's log says more"))
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response = web.Response(status=status, body=body, headers=ALWAYS, content_type="application/json")
        response.force_close()
        return response


__all__ = ["ALWAYS", "FIRST_S", "IDLE_S", "Connection", "Connections"]
