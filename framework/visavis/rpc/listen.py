"""Where and how to listen: settings become ports, certificates and keys, or one clear refusal."""

from __future__ import annotations

import logging
import resource
import socket
from dataclasses import dataclass

import grpc

from visavis.config import Settings
from visavis.errors import FieldViolation, InvalidInput
from visavis.rpc.address import is_loopback, join, parse
from visavis.rpc.key_file import KeyWatch, keys_path
from visavis.rpc.tls import server_credentials

log = logging.getLogger("visavis.rpc")


@dataclass(frozen=True, slots=True)
class Listen:
    """What the settings say. `credentials` None means plaintext."""

    host: str
    port: int
    credentials: grpc.ServerCredentials | None
    keys: KeyWatch

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def listen_from(settings: Settings) -> Listen:
    """Check the settings. Raises `InvalidInput`, also for an address that others reach without TLS and keys."""
    host, port = parse(settings["listen"], "listen")
    credentials = server_credentials(settings)
    keys = KeyWatch(keys_path(settings))
    others = not is_loopback(host)
    if others and credentials is None and not settings["allow_plaintext"]:
        raise _invalid(
            "listen",
            f"is {settings['listen']!r}, which other machines can reach; set tls_cert and tls_key, "
            "or say --allow-plaintext",
        )
    if keys.current() is None:
        if settings["keys_file"]:
            raise _invalid(
                "keys_file", f"is {str(keys.path)!r}, which does not exist; `visavis keys create` makes it with a key"
            )
        # A client's certificate says which machine calls, and no scope: it takes no key's place. And a file of keys
        # that got lost must not open the server at its next start.
        if others and not settings["allow_no_keys"]:
            raise _invalid(
                "listen",
                f"is {settings['listen']!r}, which other machines can reach, and there are no keys; "
                "make one: visavis keys create --scopes ingest,decide,read, or say --allow-no-keys",
            )
    return Listen(host, port, credentials, keys)


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows it: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:  # macOS allows less than it says
        log.warning("limit of open files cannot be raised", extra={"fields": {"why": str(error)}})


def bind(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> int:
    """Open a port and return its number. Raises `InvalidInput` that says why it cannot be had."""
    address = join(host, port)
    try:
        if credentials is None:
            bound: int = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
    except RuntimeError:
        bound = 0
    if bound:
        return bound
    raise _invalid("listen", f"is {address!r}, and {_why_not(host, port)}")


def _why_not(host: str, port: int) -> str:
    """gRPC does not say why it could not listen; a plain socket does."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(place)
            probe.listen()
    except OSError as error:
        reason = error.strerror or str(error)
        return f"that cannot be had ({reason}); stop who uses it, or give another, e.g. 127.0.0.1:0 for a free port"
    return "TLS could not be set up; check that tls_cert and tls_key are a matching pair in PEM form"


def _invalid(field: str, description: str) -> InvalidInput:
    return InvalidInput([FieldViolation(field, description)])


__all__ = ["Listen", "bind", "listen_from", "raise_file_limit"]
