"""Where and how to listen: settings become ports, certificates and keys, or one clear refusal."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import grpc

from visavis.config import Settings
from visavis.errors import FieldViolation, InvalidInput
from visavis.rpc.address import is_loopback, join, parse
from visavis.rpc.auth import read_keys


@dataclass(frozen=True, slots=True)
class Listen:
    """What the settings say. `credentials` None means plaintext; no `keys` means that none is asked for."""

    host: str
    port: int
    credentials: grpc.ServerCredentials | None
    keys: dict[str, bytes]

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def listen_from(settings: Settings) -> Listen:
    """Check the settings. Raises `InvalidInput`, also for an address that others reach without TLS and keys."""
    host, port = parse(settings["listen"], "listen")
    certificate, private_key, keys_file = settings["tls_cert"], settings["tls_key"], settings["api_keys_file"]
    if bool(certificate) != bool(private_key):
        missing = "tls_key" if certificate else "tls_cert"
        raise _invalid(missing, "is missing; TLS needs both tls_cert and tls_key")
    if not is_loopback(host) and not (certificate and keys_file) and not settings["allow_plaintext"]:
        raise _invalid(
            "listen",
            f"is {settings['listen']!r}, which other machines can reach; set tls_cert, tls_key and api_keys_file, "
            "or say --allow-plaintext",
        )
    credentials = None
    if certificate:
        pair = (_read("tls_key", private_key), _read("tls_cert", certificate))
        credentials = grpc.ssl_server_credentials([pair])
    return Listen(host, port, credentials, read_keys(Path(keys_file)) if keys_file else {})


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


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _invalid(name, f"is {path!r}, which cannot be read: {error.strerror}") from None


def _invalid(field: str, description: str) -> InvalidInput:
    return InvalidInput([FieldViolation(field, description)])


__all__ = ["Listen", "bind", "listen_from"]
