"""How a client calls: one channel, deadlines, keys, repeats after a pause, errors as classes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from visavis.errors import FieldViolation, InvalidInput, Unavailable
from visavis.rpc.address import is_loopback, parse
from visavis.rpc.errors import from_call

SYSTEM = "system"
"""As `tls_ca`: the certificates that this machine trusts."""

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.1


class Caller:
    """One channel to one server. Safe to use from several threads."""

    def __init__(self, address: str, *, key: str, tls_ca: str, timeout: float) -> None:
        host, _ = parse(address, "address")
        if not timeout > 0:
            raise InvalidInput([FieldViolation("timeout", f"is {timeout!r}; give seconds above 0")])
        if not (key.isascii() and key.isprintable()):
            raise InvalidInput([FieldViolation("key", "holds characters that no key has; give `id.secret`")])
        self.address = address
        self._closed = False
        self._timeout = timeout
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        if is_loopback(host):
            options.append(("grpc.enable_http_proxy", 0))
        if tls_ca:
            roots = None if tls_ca == SYSTEM else _read(tls_ca)
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), options)
        else:
            self.channel = grpc.insecure_channel(address, options)

    def call(self, method: Any, request: Any, *, again: bool) -> Any:
        """One answer. `again`: the call may be repeated when no server took it (a read, or a call with ids)."""
        self._check_open()
        until = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE_S
        for attempt in range(_ATTEMPTS):
            left = until - time.monotonic()
            try:
                return method(request, timeout=max(left, 0.001), metadata=self._metadata)
            except grpc.RpcError as error:
                last = attempt + 1 == _ATTEMPTS or time.monotonic() + pause >= until
                if last or not again or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise from_call(error, self.address) from None
            # Jitter, so that clients that lost the same server do not come back at the same moment.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def stream(self, method: Any, request: Any) -> Iterator[Any]:
        """Many answers, without a deadline. Leaving the loop early ends the call."""
        self._check_open()
        call = method(request, metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise from_call(error, self.address) from None
        finally:
            call.cancel()

    def close(self) -> None:
        self._closed = True
        self.channel.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"this client of {self.address} is closed; make another with visavis.connect")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput([FieldViolation("tls_ca", f"is {path!r}, which cannot be read: {error.strerror}")]) from None


__all__ = ["SYSTEM", "Caller"]
