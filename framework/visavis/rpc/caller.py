"""How a client calls: one channel, deadlines, keys, repeats after a pause, errors as classes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from visavis.errors import FieldViolation, InvalidInput, Unavailable, VisavisError
from visavis.rpc.address import is_loopback, parse
from visavis.rpc.errors import PUSHBACK_KEY, from_call
from visavis.rpc.probing import Trust, why_no_answer

SYSTEM = "system"
"""As `tls_ca`: the certificates that this machine trusts."""

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.1
_PUSHBACK_DIGITS = 10


class Caller:
    """One channel to one server. Safe to use from several threads."""

    def __init__(
        self, address: str, *, key: str, tls_ca: str, tls_cert: str, tls_key: str, plaintext: bool, timeout: float
    ) -> None:
        host, port = parse(address, "address")
        if not timeout > 0:
            raise _invalid("timeout", f"is {timeout!r}; give seconds above 0")
        if not (key.isascii() and key.isprintable()):
            raise _invalid("key", "holds characters that no key has; give `id.secret`")
        if plaintext and tls_ca:
            raise _invalid("plaintext", f"is said, and so is tls_ca {tls_ca!r}; give one of them")
        credentials = _credentials(tls_ca, tls_cert, tls_key)
        if key and credentials is None and not plaintext and not is_loopback(host):
            raise _invalid(
                "tls_ca",
                f"is missing: without TLS the key would go to {address} for everybody on the way to read; "
                f"give a PEM file or {SYSTEM!r}, or say plaintext=True",
            )
        self.address = address
        self._place = host, port
        self._trust = Trust(tls_ca, tls_cert, tls_key, system=tls_ca == SYSTEM)
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
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            self.channel = grpc.secure_channel(address, credentials, options)

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
                asked = _pause_asked(error)
                # Jitter, so that clients that lost the same server do not come back at the same moment.
                wait = max(asked or 0.0, pause * random.uniform(0.5, 1.0))
                last = attempt + 1 == _ATTEMPTS or time.monotonic() + wait >= until
                if last or not again or asked is None:
                    raise self._failed(error) from None
            time.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def pages(self, method: Any, request: Any) -> Iterator[Any]:
        """All pages of a list; `request` makes the message that asks for one."""
        token = ""
        while True:
            page = self.call(method, request(page_token=token), again=True)
            yield page
            token = page.next_page_token
            if not token:
                return

    def stream(self, method: Any, request: Any) -> Iterator[Any]:
        """Many answers, without a deadline. Leaving the loop early ends the call."""
        self._check_open()
        call = method(request, metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._failed(error) from None
        finally:
            call.cancel()

    def close(self) -> None:
        self._closed = True
        self.channel.close()

    def _failed(self, error: grpc.RpcError) -> VisavisError:
        """The error of a call; where no server answered, with what stands between, if that can be seen."""
        told = from_call(error, self.address)
        if isinstance(told, Unavailable) and (why := why_no_answer(*self._place, self._trust)):
            return Unavailable(f"no answer from the server at {self.address}: {why}")
        return told

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"this client of {self.address} is closed; make another with visavis.connect")


def _pause_asked(error: grpc.RpcError) -> float | None:
    """Seconds that the server asks to wait before the call is repeated, 0 where it has no wish; None: not at all."""
    call: grpc.Call = error
    match call.code():
        # Cancelled, and not by us: gRPC dropped the call on the server's side because too many waited.
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return 0.0
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            said = {key: value for key, value in call.trailing_metadata() or ()}.get(PUSHBACK_KEY)
            # A number below zero asks not to come again, and so do words that are no number; see gRFC A6.
            asked = said if isinstance(said, str) else ""
            return int(asked) / 1000 if asked.isascii() and asked.isdigit() and len(asked) < _PUSHBACK_DIGITS else None
    return None


def _credentials(ca: str, certificate: str, private_key: str) -> grpc.ChannelCredentials | None:
    if bool(certificate) != bool(private_key):
        missing = "tls_key" if certificate else "tls_cert"
        raise _invalid(missing, "is missing; a client's certificate needs both tls_cert and tls_key")
    if not ca:
        if certificate:
            raise _invalid("tls_ca", f"is missing; without TLS no certificate is shown; give a PEM file or {SYSTEM!r}")
        return None
    return grpc.ssl_channel_credentials(
        None if ca == SYSTEM else _read("tls_ca", ca),
        private_key=_read("tls_key", private_key) if private_key else None,
        certificate_chain=_read("tls_cert", certificate) if certificate else None,
    )


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _invalid(name, f"is {path!r}, which cannot be read: {error.strerror}") from None


def _invalid(field: str, description: str) -> InvalidInput:
    return InvalidInput([FieldViolation(field, description)])


__all__ = ["SYSTEM", "Caller"]
