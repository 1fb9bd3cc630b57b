"""The server's certificate, and whose certificates clients must show. Renewed files count from the next connection."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import grpc

from visavis.config import Settings
from visavis.errors import FieldViolation, InvalidInput

log = logging.getLogger("visavis.rpc")

_FILES = ("tls_cert", "tls_key", "tls_client_ca")
_Signature = tuple[tuple[int, ...], ...]


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What the settings say of TLS; None means plaintext. Raises `InvalidInput` for files that cannot be used."""
    paths = {name: settings[name] for name in _FILES if settings[name]}
    if not paths:
        return None
    for name in ("tls_cert", "tls_key"):
        if name not in paths:
            raise _invalid(name, "is missing; TLS needs both tls_cert and tls_key")
    certificates = _Certificates(paths)
    first = certificates.read()
    credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        first, certificates.renewed, require_client_authentication="tls_client_ca" in paths
    )
    return credentials


class _Certificates:
    """The files, read again when they have changed."""

    def __init__(self, paths: dict[str, str]) -> None:
        self._paths = paths
        self._signature: _Signature = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        """What gRPC makes of the files. Raises `InvalidInput` for files that are unreadable or do not match."""
        self._signature = self._look()
        texts = {name: _read(name, path) for name, path in self._paths.items()}
        _check(self._paths, texts)
        if self._look() != self._signature:
            raise _invalid("tls_cert", "changes at this moment; try again")
        pair = (texts["tls_key"], texts["tls_cert"])
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=texts.get("tls_client_ca"))

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The same for the next connection; None leaves what is in use. gRPC asks in a thread of its own."""
        try:
            # Compared with what was tried last, so that a renewal half done is told once and tried at its next step.
            if self._look() == self._signature:
                return None
            configuration = self.read()
        except InvalidInput as error:
            fields = {"why": error.message}
            log.warning("renewed certificate cannot be used; the old one goes on", extra={"fields": fields})
            return None
        log.info("certificate renewed")
        return configuration

    def _look(self) -> _Signature:
        return tuple(_signature(path) for path in self._paths.values())


def _signature(path: str) -> tuple[int, ...]:
    try:
        about = os.stat(path)
    except OSError as error:
        return (error.errno or -1,)
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _check(paths: dict[str, str], texts: dict[str, bytes]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key under a password is refused; without this, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(paths["tls_cert"], paths["tls_key"], password=lambda: "")
    except (OSError, ValueError) as error:
        raise _invalid(
            "tls_cert",
            f"is {paths['tls_cert']!r}, and TLS could not be set up ({_reason(error)}); check that tls_cert and "
            "tls_key are a matching pair in PEM form, the key without a password",
        ) from None
    if "tls_client_ca" not in texts:
        return
    try:
        context.load_verify_locations(cadata=texts["tls_client_ca"].decode("ascii"))
    except (OSError, ValueError) as error:
        raise _invalid(
            "tls_client_ca",
            f"is {paths['tls_client_ca']!r}, which holds no certificate in PEM form ({_reason(error)})",
        ) from None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or type(error).__name__).lower().replace("_", " ")


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _invalid(name, f"is {path!r}, which cannot be read: {error.strerror}") from None


def _invalid(field: str, description: str) -> InvalidInput:
    return InvalidInput([FieldViolation(field, description)])


__all__ = ["server_credentials"]
