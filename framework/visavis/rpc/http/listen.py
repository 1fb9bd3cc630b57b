"""Where and how HTTP listens: settings become an address, sockets, certificates and origins, or one clear refusal."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from visavis.config import Settings
from visavis.errors import FieldViolation, InvalidInput
from visavis.rpc.address import is_loopback, join, parse
from visavis.rpc.http.cors import origins_from

log = logging.getLogger("visavis.rpc")


@dataclass(frozen=True, slots=True)
class HttpListen:
    """What the settings say. No `certificate` means plaintext."""

    host: str
    port: int
    origins: frozenset[str]
    certificate: Certificate | None

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


class _Renewable(ssl.SSLContext):
    """Stands for the context of the moment, which each new connection asks for one of its own.

    Files loaded into a context that is in use are added to it: an authority that was withdrawn would stay trusted.
    """

    now: ssl.SSLContext

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.now.wrap_bio(*args, **kwargs)


@dataclass(slots=True)
class Certificate:
    """The files that gRPC uses, too; read again when they were renewed. `context` is for event loops."""

    paths: Mapping[str, str]
    context: _Renewable = field(init=False)
    _seen: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self._look()
        self.context = _Renewable(ssl.PROTOCOL_TLS_SERVER)
        self.context.now = self._make()

    def renew(self) -> None:
        """Use renewed files for the connections to come. What cannot be used is logged once, the old ones go on."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context.now = self._make()
        except (OSError, ValueError) as error:
            log.warning("renewed certificate cannot be used over HTTP", extra={"fields": {"why": type(error).__name__}})

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # A key under a password is refused; without this, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(self.paths["tls_cert"], self.paths["tls_key"], password=lambda: "")
        if "tls_client_ca" in self.paths:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.paths["tls_client_ca"])
        return context

    def _look(self) -> tuple[tuple[int, int], ...]:
        """What tells that a file was renewed; nothing while one is missing."""
        try:
            looked = [os.stat(path) for path in self.paths.values()]
        except OSError:
            return ()
        return tuple((one.st_ino, one.st_mtime_ns) for one in looked)


def http_from(settings: Settings, *, keys: bool) -> HttpListen | None:
    """Check the settings of HTTP; None: it is off. gRPC's were checked before, and TLS is the same.

    `keys`: whether there are any. Raises `InvalidInput`, also for an address that others reach without TLS or keys.
    """
    if not settings["http_listen"]:
        return None
    host, port = parse(settings["http_listen"], "http_listen")
    files = {name: settings[name] for name in ("tls_cert", "tls_key", "tls_client_ca") if settings[name]}
    if not is_loopback(host):
        others = f"is {settings['http_listen']!r}, which other machines can reach"
        if not files and not settings["allow_plaintext"]:
            raise _invalid(f"{others}; set tls_cert and tls_key, or say --allow-plaintext")
        if not keys and not settings["allow_no_keys"]:
            raise _invalid(
                f"{others}, and there are no keys; make one: visavis keys create --scopes ingest,decide,read, "
                "or say --allow-no-keys"
            )
    if find_spec("aiohttp") is None:
        raise _invalid(f"is {settings['http_listen']!r}, and HTTP needs aiohttp: pip install 'visavis[http]'")
    certificate = Certificate(files) if files else None
    return HttpListen(host, port, origins_from(settings["cors_origins"]), certificate)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of `host`, all with one port. Raises `InvalidInput` that says why not."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, place in dict.fromkeys((family, place) for family, _, _, _, place in found):
            chosen = (place[0], made[0].getsockname()[1] if made else place[1], *place[2:])
            # As gRPC does: `[::]` means every address of this machine, those of IPv4, too.
            both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
            made.append(socket.create_server(chosen, family=family, backlog=512, dualstack_ipv6=both))
    except OSError as error:
        for one in made:
            one.close()
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise _invalid(
            f"is {join(host, port)!r}, and that cannot be had ({reason}); stop who uses it, or give another, "
            "e.g. 127.0.0.1:0 for a free port"
        ) from None
    return made


def _invalid(description: str) -> InvalidInput:
    return InvalidInput([FieldViolation("http_listen", description)])


__all__ = ["Certificate", "HttpListen", "http_from", "open_sockets"]
