"""Which web pages may call: an allow-list of origins, as browsers ask for it (CORS), and who may be called.

A page may read answers only if its origin is on the list. Calls that a browser would send without asking first
(forms, plain text) are refused by their content type, so no other page can even cause one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from visavis.errors import FieldViolation, InvalidInput
from visavis.rpc.address import is_loopback

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?")
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_ALLOWED = {
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Content-Encoding, Connect-Protocol-Version, Connect-Timeout-Ms"
    ),
    "Access-Control-Max-Age": "7200",
}


def origins_from(text: str) -> frozenset[str]:
    """The origins in a list with commas. Raises `InvalidInput` for what no browser would send, and for `*`."""
    origins = {part.strip().lower() for part in text.split(",") if part.strip()}
    for origin in sorted(origins):
        scheme = origin.partition(":")[0]
        match = _ORIGIN.fullmatch(origin)
        if match is None or match[2] == _USUAL_PORTS.get(scheme, ""):
            raise InvalidInput(
                [
                    FieldViolation(
                        "cors_origins",
                        f"holds {origin[:100]!r}; name each origin as browsers send it, e.g. https://shop.example "
                        "or http://localhost:3000, without a path, the usual port or *",
                    )
                ]
            )
    return frozenset(origins)


def headers_for(origin: str, allowed: frozenset[str]) -> dict[str, str]:
    """What to add to an answer, so that the page of this origin may read it, or no other."""
    # Also without an origin: a cache must not give one page's answer to another.
    vary = {"Vary": "Origin"}
    if origin not in allowed:
        return vary
    return {**vary, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After"}


def preflight(headers: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str] | None:
    """What a browser is told that asks before it calls; None where it must not call."""
    origin = headers.get("Origin", "")
    return {**headers_for(origin, allowed), **_ALLOWED} if origin in allowed else None


def is_loopback_name(host: str) -> bool:
    """Whether a `Host` header means this machine itself. A page that lets its own name point here has another."""
    match = _HOST.fullmatch(host)
    return match is not None and is_loopback(match[1].strip("[]").lower())


__all__ = ["headers_for", "is_loopback_name", "origins_from", "preflight"]
