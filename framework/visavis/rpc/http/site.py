"""The HTTP side of a server: what is at which path, what browsers may do, start and graceful stop."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, cast

from aiohttp import hdrs, web
from google.rpc import status_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from visavis.config import Settings
from visavis.rpc.address import join
from visavis.rpc.edge import Edge
from visavis.rpc.health import Health
from visavis.rpc.http.body import JSON, PROTO, Body, Bound
from visavis.rpc.http.calls import Calls, Collector, Failed, Metadata
from visavis.rpc.http.connections import ALWAYS, Connection, Connections
from visavis.rpc.http.cors import headers_for, is_loopback_name, preflight
from visavis.rpc.http.errors import error_body, error_headers, http_status
from visavis.rpc.http.listen import HttpListen, open_sockets
from visavis.rpc.work import Work

log = logging.getLogger("visavis.rpc")

_HEAD_BYTES = 16 * 1024  # of all headers, as many as gRPC takes
_SWEEP_S = 5.0
_SLOWEST_READER = 32 * 1024  # bytes a second, beside the patience
_READER_PATIENCE_S = 30.0
_HANDSHAKE_S = 10.0
_SPARE_CONNECTIONS = 64
_TIMEOUT = re.compile(r"[0-9]{1,10}", re.ASCII)
_PLAIN = ("/healthz", "/readyz", "/openapi.json")
_HEALTH = "/grpc.health.v1.Health/"
_HEALTH_BOUND = Bound(4096, "; send {}, or the name of a service")  # anybody may send one
_JSON_BOUND = Bound(4 << 20, f", the most that JSON may have; send less at once, or {PROTO}")  # it is slower to read
_ONCE = (
    hdrs.HOST, hdrs.ORIGIN, hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.CONTENT_ENCODING, hdrs.CONTENT_LENGTH,
    hdrs.TRANSFER_ENCODING, hdrs.EXPECT, "Connect-Protocol-Version", "Connect-Timeout-Ms",
)  # fmt: skip


class Site:
    """Answers over HTTP. `await start()`, then `address` says where; `await stop(grace)`."""

    def __init__(
        self, listen: HttpListen, calls: Calls, health: Health, work: Work, *, largest_body: int, most_connections: int
    ) -> None:
        self._listen = listen
        self._calls = calls
        self._health = health
        self._work = work
        self._largest_body = largest_body
        self._most_connections = most_connections
        self._openapi = files("visavis.api.v1").joinpath("openapi.json").read_bytes()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._acceptors: list[asyncio.Server] = []
        self.address = ""
        """Where it listens: `http://host:port` or `https://host:port`."""

    async def start(self) -> None:
        """Listen. Raises `InvalidInput` when the address cannot be had."""
        listen = self._listen
        loop = asyncio.get_running_loop()
        # A client that goes away cancels what it asked for, as over gRPC; what was handed to the writer stays.
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._connections = Connections(self._server, self._most_connections)
        tls: dict[str, Any] = {}
        if listen.certificate is not None:
            tls = {"ssl": listen.certificate.context, "ssl_handshake_timeout": _HANDSHAKE_S}
        sockets = open_sockets(listen.host, listen.port)
        for one in sockets:
            self._acceptors.append(await loop.create_server(self._connections.make, sock=one, **tls))
        scheme = "http" if listen.certificate is None else "https"
        self.address = f"{scheme}://{join(listen.host, sockets[0].getsockname()[1])}"
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self, grace: float) -> None:
        """Take no more connections, let running calls end within `grace` seconds, then end the rest."""
        if not self._acceptors:
            return
        for acceptor in self._acceptors:
            acceptor.close()
        self._sweeper.cancel()
        self._server.pre_shutdown()
        await self._till_idle(grace)
        await self._server.shutdown(0.1)  # 0 would mean to wait for ever
        await self._till_idle(1)

    async def _till_idle(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._connections.sweep()
            if self._listen.certificate is not None:
                self._listen.certificate.renew()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        connection.begin()
        self._running += 1
        self._idle.clear()
        try:
            response = await self._answer(request)
            response.headers.update(ALWAYS)
            response.headers.update(headers_for(request.headers.get(hdrs.ORIGIN, ""), self._listen.origins))
            await _send(request, response)
            return response
        finally:
            connection.end()
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if sum(len(name) + len(value) for name, value in request.raw_headers) > _HEAD_BYTES:
            return _refuse(StatusCode.RESOURCE_EXHAUSTED, f"the headers hold more than {_HEAD_BYTES >> 10} KiB", 431)
        refusal = _check_framing(request)
        if refusal is not None:
            refusal.force_close()  # who knows where the next request begins
            return refusal
        host = request.headers.get(hdrs.HOST, "")
        if self._listen.loopback and not is_loopback_name(host):
            return _refuse(
                StatusCode.PERMISSION_DENIED,
                f"this server answers to this machine's own names, and the Host header says {host[:100]!r}; "
                "ask for 127.0.0.1 or localhost, or let the proxy between say so",
                421,
            )
        if request.method == hdrs.METH_OPTIONS:
            return self._options(request)
        path = request.rel_url.raw_path  # as it was sent: what guards paths in front of us sees no other
        if path in _PLAIN:
            if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
                return _wrong_verb(request, "GET, HEAD")
            return await self._plain(path)
        if path not in self._calls and path not in self._calls.streaming:
            return _refuse(StatusCode.UNIMPLEMENTED, "there is no such call; GET /openapi.json lists them all", 404)
        if request.method != hdrs.METH_POST:
            return _wrong_verb(request, "POST")
        if path in self._calls.streaming:
            return _refuse_stream(request, f"{path} is a stream, which HTTP/1.1 does not carry; call it over gRPC")
        return await self._call(request, path)

    def _options(self, request: web.BaseRequest) -> web.Response:
        if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return web.Response(status=204, headers={hdrs.ALLOW: "GET, HEAD, POST, OPTIONS"})
        allowed = preflight(request.headers, self._listen.origins)
        if allowed is None:
            return _refuse(
                StatusCode.PERMISSION_DENIED,
                "pages of this origin may not call; add it to cors_origins if they shall",
                403,
            )
        return web.Response(status=204, headers=allowed)

    async def _plain(self, path: str) -> web.Response:
        if path == "/openapi.json":
            return web.Response(body=self._openapi, content_type=JSON)
        if path == "/healthz":
            return web.Response(body=b'{"status":"UP"}', content_type=JSON)
        answer = await self._health.Check(health_pb2.HealthCheckRequest(), None)
        ready = answer.status == health_pb2.HealthCheckResponse.SERVING
        body = b'{"status":"SERVING"}' if ready else b'{"status":"NOT_SERVING"}'
        return web.Response(status=200 if ready else 503, body=body, content_type=JSON)

    async def _call(self, request: web.BaseRequest, path: str) -> web.Response:
        headers = request.headers
        if request.content_type not in (JSON, PROTO) or (request.charset or "utf-8").lower() != "utf-8":
            sent = headers.get(hdrs.CONTENT_TYPE, "")[:100]
            text = f"the content-type is {sent!r}; send {JSON} in UTF-8, or {PROTO}"
            return _refuse(StatusCode.INVALID_ARGUMENT, text, 415, {"Accept-Post": f"{JSON}, {PROTO}"})
        encoding = headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
        taken = ("identity",) if path.startswith(_HEALTH) else ("gzip", "identity")
        if encoding not in taken:
            text = f"the content-encoding is {encoding[:50]!r}; send {' or '.join(taken)}"
            return _refuse(StatusCode.UNIMPLEMENTED, text, headers={"Accept-Encoding": ", ".join(taken)})
        version = headers.get("Connect-Protocol-Version", "1")
        if version != "1":
            text = f"connect-protocol-version is {version[:50]!r}; send 1 or nothing"
            return _refuse(StatusCode.INVALID_ARGUMENT, text)
        timeout = headers.get("Connect-Timeout-Ms")
        if timeout is not None and not _TIMEOUT.fullmatch(timeout):
            text = f"connect-timeout-ms is {timeout[:50]!r}; send 1 to 10 digits"
            return _refuse(StatusCode.INVALID_ARGUMENT, text)
        seconds = None if timeout is None else int(timeout) / 1000
        body = Body(request, self._work, self._bound(path, request.content_type))

        def let_in() -> None:
            if not path.startswith(_HEALTH):  # which anybody may call, so that it earns no place
                cast("Connection", request.protocol).work()

        try:
            answer = await self._calls.call(path, body, _metadata(request), seconds, let_in)
        except Failed as failed:
            status = failed.status
            return web.Response(
                status=http_status(status), body=error_body(status), headers=error_headers(status), content_type=JSON
            )
        return web.Response(body=answer, content_type=request.content_type)

    def _bound(self, path: str, content_type: str) -> Bound:
        if path.startswith(_HEALTH):
            return _HEALTH_BOUND
        if content_type == JSON and self._largest_body > _JSON_BOUND.size:
            return _JSON_BOUND
        return Bound(self._largest_body)


def make_site(
    listen: HttpListen,
    settings: Settings,
    edge: Edge,
    health: Health,
    work: Work,
    register: Callable[[Collector], None],
) -> Site:
    """A site that answers the calls whose handlers `register` puts into a collector."""
    largest = settings["max_message_mb"] << 20
    collector = Collector()
    register(collector)
    calls = Calls(collector.handlers, edge, work, largest)
    # Twice as many as calls, for connections that wait for their next request, and some for health checks.
    most = 2 * settings["max_concurrent_rpcs"] + _SPARE_CONNECTIONS
    return Site(listen, calls, health, work, largest_body=largest, most_connections=most)


async def _send(request: web.BaseRequest, response: web.Response) -> None:
    """Send it all, or cut off who does not read."""
    size = len(response.body) if isinstance(response.body, bytes) else 0
    try:
        async with asyncio.timeout(_READER_PATIENCE_S + size / _SLOWEST_READER):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client reads too slowly") from None


def _check_framing(request: web.BaseRequest) -> web.Response | None:
    """The refusal of what a proxy in front might understand in another way than we do; None: there is nothing."""
    for name in _ONCE:
        if len(request.headers.getall(name, ())) > 1:
            return _refuse(StatusCode.INVALID_ARGUMENT, f"the header {name.lower()} is there twice; send it once")
    coding = request.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower()
    if coding != "chunked":
        text = f"the transfer-encoding is {coding[:50]!r}; send chunked, or a content-length"
        return _refuse(StatusCode.UNIMPLEMENTED, text)
    return None


def _metadata(request: web.BaseRequest) -> Metadata:
    # Bytes that are no UTF-8 come as lone surrogates, which nobody further on expects.
    return tuple(
        (name.lower(), value.encode(errors="surrogateescape").decode(errors="replace"))
        for name, value in request.headers.items()
    )


def _wrong_verb(request: web.BaseRequest, allowed: str) -> web.Response:
    text = f"{request.method[:20]} is not for this path; use {allowed}"
    return _refuse(StatusCode.UNIMPLEMENTED, text, 405, {hdrs.ALLOW: allowed})


def _refuse_stream(request: web.BaseRequest, message: str) -> web.Response:
    """A refusal in the form that the caller reads: clients of Connect expect the error of a stream at its end."""
    if not request.content_type.startswith("application/connect+"):
        return _refuse(StatusCode.UNIMPLEMENTED, message)
    error = error_body(status_pb2.Status(code=StatusCode.UNIMPLEMENTED.value[0], message=message))
    end = b'{"error":%b}' % error
    # One envelope: the flag of the last message, its length, and the message.
    return web.Response(body=b"\x02" + len(end).to_bytes(4) + end, content_type=request.content_type)


def _refuse(code: StatusCode, message: str, status: int = 0, headers: dict[str, str] | None = None) -> web.Response:
    """An answer to what never became a call. Not in the log of calls, because it names none."""
    error = status_pb2.Status(code=code.value[0], message=message)
    http = status or http_status(error)
    log.debug("refused over HTTP", extra={"fields": {"status": http, "code": code.name}})
    return web.Response(status=http, body=error_body(error), content_type=JSON, headers=headers)


__all__ = ["Site", "make_site"]
