"""Why no server answers: a short look with plain TLS, because gRPC says of most mistakes only that a socket closed."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

_PATIENCE_S = 1.0
_NAME_MISMATCH = {62, 64}  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class Trust:
    """What a client was given for TLS, as `visavis.connect` takes it; `ca` empty means plaintext."""

    ca: str = ""
    certificate: str = ""
    private_key: str = ""
    system: bool = False
    """`ca` stands for the certificates that this machine trusts."""


def why_no_answer(host: str, port: int, trust: Trust) -> str:
    """What is wrong between a client and the server at an address, and the way out; empty if nothing is to be seen.

    Takes two seconds at most; sends nothing but a TLS handshake.
    """
    try:
        context = _context(trust)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return f"the files of TLS cannot be used ({reason}); check that tls_ca, tls_cert and tls_key are in PEM form"
    try:
        connection = socket.create_connection((host, port), timeout=_PATIENCE_S)
    except OSError:
        return ""
    with connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as secure:
                return _greeted(secure, trust)
        except ssl.SSLCertVerificationError as error:
            return _distrusted(host, trust, error)
        except (ssl.SSLError, ConnectionError):
            return f"it speaks no TLS; leave out tls_ca={trust.ca!r}, or ask for its TLS address" if trust.ca else ""
        except OSError:
            return ""


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if not trust.ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.system:
        context.load_default_certs()
    else:
        context.load_verify_locations(trust.ca)
    if trust.certificate:
        context.load_cert_chain(trust.certificate, trust.private_key, password=lambda: "")
    return context


def _greeted(secure: ssl.SSLSocket, trust: Trust) -> str:
    """After the handshake: with TLS 1.3 the server looks at the client's certificate only then."""
    if not trust.ca:
        return "it speaks TLS; give tls_ca: the PEM file of whom signed its certificate, or 'system'"
    try:
        if secure.recv(1):  # the server speaks first, unless it takes us for nobody
            return ""
    except (ssl.SSLError, ConnectionError):
        pass  # its refusal, or what is left of it when it has closed the connection
    except OSError:
        return ""  # silence says nothing
    if not trust.certificate:
        return "it ends the connection, as one does that wants a client's certificate; give tls_cert and tls_key"
    return f"it refuses the client's certificate; is tls_cert={trust.certificate!r} signed by whom it trusts?"


def _distrusted(host: str, trust: Trust, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _NAME_MISMATCH:
        return f"its certificate is not for {host!r}; connect by a name that stands in it, or have that name put in"
    if error.verify_code in _EXPIRED:
        return f"its certificate is not valid now ({error.verify_message}); renew it, or look at the clocks"
    whom = "nobody whom this machine trusts" if trust.system else f"nobody in tls_ca={trust.ca!r}"
    return f"its certificate is signed by {whom} ({error.verify_message}); give the PEM file of whom signed it"


__all__ = ["Trust", "why_no_answer"]
