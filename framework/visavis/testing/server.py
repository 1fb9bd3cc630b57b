"""A server for tests: serves an engine on a free loopback port, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from visavis.config import Settings

if TYPE_CHECKING:
    from visavis.engine import Engine
    from visavis.rpc.server import Server


@contextmanager
def serve(engine: Engine, *, grace: float = 1.0, **settings: Any) -> Iterator[Server]:
    """Serve `engine` while the `with` block runs; `server.address` is where.

        with visavis.open(path) as engine, serve(engine) as server, visavis.connect(server.address) as client:
            client.recommend("17850")

    `settings` take the place of the engine's own; `listen` is `127.0.0.1:0` unless given. `http_listen="127.0.0.1:0"`
    serves HTTP/JSON, too, at `server.http_address`. The engine stays open.
    Raises what `Server.start` raises. `grace`: seconds that running calls get at the end.
    """
    from visavis.rpc.server import Server

    chosen = Settings({**engine.settings.values, "listen": "127.0.0.1:0", **settings}, engine.settings.plugins)
    server = Server(engine, chosen)
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        stop = asyncio.Event()
        await server.start()
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop(grace)

    def work() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=work, name="visavis-test-server")
    thread.start()
    try:
        loop, stop = started.result()
        try:
            yield server
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()


__all__ = ["serve"]
