"""The server: ports, health, reflection, start and graceful stop.

Where the main address is not plaintext loopback, a second port on 127.0.0.1 takes the key in the store's owner file,
so that commands on this machine go through the running server without TLS set-up.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from visavis.api.v1 import (
    admin_service_pb2_grpc,
    catalog_service_pb2_grpc,
    customer_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    interaction_service_pb2_grpc,
    message_service_pb2_grpc,
    plugin_service_pb2_grpc,
    recommendation_service_pb2_grpc,
    segment_service_pb2_grpc,
)
from visavis.config import Settings
from visavis.rpc.address import join
from visavis.rpc.auth import Authenticate, by_keys, owner_key
from visavis.rpc.edge import Edge
from visavis.rpc.gate import Gate
from visavis.rpc.health import Health
from visavis.rpc.http.listen import http_from
from visavis.rpc.intake import Intake
from visavis.rpc.jobs import Jobs
from visavis.rpc.keys import OWNER
from visavis.rpc.listen import bind, listen_from, raise_file_limit
from visavis.rpc.logs import log_to_stderr
from visavis.rpc.servicers.admin import AdminServicer
from visavis.rpc.servicers.catalog import CatalogServicer
from visavis.rpc.servicers.context import Shared
from visavis.rpc.servicers.customer import CustomerServicer
from visavis.rpc.servicers.evaluation import EvaluationServicer
from visavis.rpc.servicers.interaction import InteractionServicer
from visavis.rpc.servicers.message import MessageServicer
from visavis.rpc.servicers.plugin import PluginServicer
from visavis.rpc.servicers.recommendation import RecommendationServicer
from visavis.rpc.servicers.segment import SegmentServicer
from visavis.rpc.work import Work

if TYPE_CHECKING:
    from visavis.engine import Engine
    from visavis.rpc.http.site import Site

log = logging.getLogger("visavis.rpc")

_Register = Callable[[Any, Any], None]
SERVICES: tuple[tuple[str, Callable[[Shared], Any], _Register], ...] = (
    ("AdminService", AdminServicer, admin_service_pb2_grpc.add_AdminServiceServicer_to_server),
    ("CatalogService", CatalogServicer, catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server),
    ("CustomerService", CustomerServicer, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server),
    ("EvaluationService", EvaluationServicer, evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server),
    ("InteractionService", InteractionServicer, interaction_service_pb2_grpc.add_InteractionServiceServicer_to_server),
    ("MessageService", MessageServicer, message_service_pb2_grpc.add_MessageServiceServicer_to_server),
    ("PluginService", PluginServicer, plugin_service_pb2_grpc.add_PluginServiceServicer_to_server),
    (
        "RecommendationService",
        RecommendationServicer,
        recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server,
    ),
    ("SegmentService", SegmentServicer, segment_service_pb2_grpc.add_SegmentServiceServicer_to_server),
)
"""Every service: its name, what makes our servicer, what registers it."""

PACKAGE = "visavis.api.v1"
_READING = {"EvaluationService", "MessageService", "PluginService", "RecommendationService", "SegmentService"}
"""Services that go on when the store takes no more writes."""

_add_health: _Register = health_pb2_grpc.add_HealthServicer_to_server
_add_reflection: _Register = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
_METADATA_BYTES = 16 * 1024
PATIENCE = {
    # A client that vanished without a word is asked whether it is there, with calls under way or without.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.http2.ping_timeout_ms": 20_000,  # what gRPC really waits for the answer; a minute unless given
    "grpc.keepalive_permit_without_calls": 1,
    # One that asks us must not do so all the time.
    "grpc.http2.min_ping_interval_without_data_ms": 10_000,
    "grpc.http2.max_ping_strikes": 2,
    # One that connects must say that it speaks HTTP/2, and have a use for the connection.
    "grpc.server_handshake_timeout_ms": 10_000,
    "grpc.max_connection_idle_ms": 900_000,
}
"""How long gRPC bears with connections."""

_WAITING = 2  # times as many calls as may be in progress, waiting to be taken in
_STREAMS = 4  # times as many calls as may be in progress, on one connection
_MADE = 20_000  # more objects made than freed, about as many as a thousand waiting calls have
_SPARE_STREAMS = 64  # of each connection, beyond what runs and what waits, so that refused calls get a real answer


class Server:
    """Serves one engine. `await start()`, then `address` says where; `await stop(grace)`; the engine stays open."""

    def __init__(self, engine: Engine, settings: Settings | None = None) -> None:
        """`settings` None means the engine's own. Raises `InvalidInput` for settings that must not be served."""
        self._engine = engine
        self._settings = settings or engine.settings
        self._listen = listen_from(self._settings)
        self._http_listen = http_from(self._settings, keys=self._listen.keys.asked)
        self._site: Site | None = None
        self._token = secrets.token_urlsafe(32)
        self._gate = Gate(self._settings["max_concurrent_rpcs"])
        self._servers: list[grpc.aio.Server] = []
        self._intakes: list[Intake] = []
        self.address = ""
        """Where clients connect, once `start` has returned."""
        self.http_address = ""
        """Where HTTP/JSON is, e.g. `http://127.0.0.1:8080`; empty where it is off."""
        self.owner_address = ""
        """Where commands on this machine connect with `owner_key`."""

    @property
    def owner_key(self) -> str:
        """The key that is in the owner file; good at `owner_address` only."""
        return f"{OWNER}.{self._token}"

    @property
    def asks_for_keys(self) -> bool:
        """Whether the last call at `address` needed a key; from the first key on, each does."""
        return self._listen.keys.asked

    @property
    def running(self) -> int:
        """Calls in progress, health checks not counted."""
        return self._gate.running

    async def start(self) -> None:
        """Listen, warm up, serve. Raises `InvalidInput` when the address cannot be had; then nothing is left open."""
        self._work = Work(self._settings["executor_threads"])
        self._jobs = Jobs(self._work)
        self._shared = Shared(self._engine, self._settings, self._work, self._jobs)
        self._health = self._make_health()
        try:
            await self._open_ports()
            await asyncio.to_thread(self._engine.warm_up)
            self._engine.keep_fresh()
            self._gate.closed_because = ""
            self._health.open()
            self._engine.announce(self.owner_address, self._token)
        except BaseException:
            await self.stop(0)
            raise
        log.info("serving", extra={"fields": {"address": self.address}})

    async def stop(self, grace: float) -> None:
        """Take no more calls, let running ones end within `grace` seconds, then end the rest and all long work.

        Long work stops where it next tells its progress; what it had not committed is given up.
        """
        self._gate.closed_because = "is going down"
        self._health.close()
        for intake in self._intakes:
            intake.close()
        sites = [self._site] if self._site is not None else []
        await asyncio.gather(*(one.stop(grace) for one in (*self._servers, *sites)))
        await self._jobs.stop()
        await self._work.close()
        self._gate.lines.write()
        log.info("stopped")

    async def _open_ports(self) -> None:
        listen = self._listen
        owner = owner_key(self._token)
        plain_loopback = listen.credentials is None and listen.loopback
        authenticate = by_keys(listen.keys.current, owner if plain_loopback else None)
        main = self._make(authenticate, reflect=listen.loopback)
        self._servers.append(main)
        port = bind(main, listen.host, listen.port, listen.credentials)
        self.address = self.owner_address = join(listen.host, port)
        if not plain_loopback:
            local = self._make(by_keys(dict, owner), reflect=False)  # no key but the owner's
            self._servers.append(local)
            self.owner_address = join("127.0.0.1", bind(local, "127.0.0.1", 0, None))
        for server in self._servers:
            await server.start()
        for intake in self._intakes:
            intake.open()
        if self._http_listen is not None:
            from visavis.rpc.http.site import make_site  # aiohttp is an extra

            # Without the owner's key: it is for gRPC on this machine, and HTTP may be open to others.
            edge = Edge(self._gate, by_keys(listen.keys.current), patient=False)
            self._site = make_site(self._http_listen, self._settings, edge, self._health, self._work, self._register)
            await self._site.start()
            self.http_address = self._site.address

    def _make(self, authenticate: Authenticate, *, reflect: bool) -> grpc.aio.Server:
        size = self._settings["max_message_mb"] << 20
        edge: Any = Edge(self._gate, authenticate)
        self._register(edge)
        if reflect:
            names = [f"{PACKAGE}.{name}" for name, _, _ in SERVICES]
            every = [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
            _add_reflection(reflection.aio.ReflectionServicer(every), edge)
        server = grpc.aio.server(
            # No `maximum_concurrent_rpcs`: it counts calls whose callers do not take their answers, for as long as they
            # like, and so lets one of them shut out all others. The gate counts those that have something to do.
            options=[
                ("grpc.so_reuseport", 0),  # two servers on one port would each get a part of the calls
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
                ("grpc.max_metadata_size", _METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
                # Calls of one method that wait to be taken in: a fraction of a second's worth of quick ones. So
                # those who come at once wait their turn. gRPC drops what comes on top of that (CANCELLED), at random
                # at first. A longer queue would answer everybody just after they gave up, and so would fewer streams
                # on a connection: then the queue is in the caller's library, first come first served.
                ("grpc.server.max_pending_requests", _WAITING * self._gate.limit),
                ("grpc.server.max_pending_requests_hard_limit", 2 * _WAITING * self._gate.limit),
                # A flood on few connections ends sooner, before it costs more than its first bytes (UNAVAILABLE).
                ("grpc.max_concurrent_streams", _STREAMS * self._gate.limit + _SPARE_STREAMS),
                *PATIENCE.items(),
            ],
        )
        server.add_generic_rpc_handlers((edge,))
        # Calls of each unary method wait in a queue of their own: a flood of one shuts out none of the others.
        self._intakes.append(Intake(server, edge.unary, edge, self._gate.turns))
        return server

    def _register(self, registry: Any) -> None:
        """Put every service into what collects their handlers."""
        for _, servicer, register in SERVICES:
            register(servicer(self._shared), registry)
        _add_health(self._health, registry)

    def _make_health(self) -> Health:
        names = {name: f"{PACKAGE}.{name}" for name, _, _ in SERVICES}
        writer = self._engine.store.writer
        return Health(
            reading=[full for name, full in names.items() if name in _READING],
            writing=[full for name, full in names.items() if name not in _READING],
            writes_fail=lambda: writer.failure is not None,
        )


def run(engine: Engine, on_serving: Callable[[Server], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. The caller closes the engine.

    `on_serving` is called once, when calls are taken. Logs go to stderr. Raises what `Server` raises.
    """
    log_to_stderr(engine.settings["log_level"])
    raise_file_limit()
    asyncio.run(_run(engine, on_serving))


def _spare_the_collector() -> None:
    """What is there when serving begins stays; looking through it for garbage again and again costs whole answers.

    Calls leave next to no cycles, so what they make is looked through less often, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE, *gc.get_threshold()[1:])


async def _run(engine: Engine, on_serving: Callable[[Server], None] | None) -> None:
    server = Server(engine)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    _spare_the_collector()
    try:
        if on_serving is not None:
            on_serving(server)
        await stop.wait()
    finally:
        await server.stop(engine.settings["shutdown_grace_s"])


__all__ = ["PACKAGE", "SERVICES", "Server", "run"]
