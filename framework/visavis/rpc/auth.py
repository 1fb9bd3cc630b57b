"""Client keys: `authorization: Bearer id.secret`.

Secrets are compared as SHA-256 digests, in constant time. A key's id may stand in logs, its secret never.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from visavis.errors import FieldViolation, InvalidInput, Unauthenticated

OWNER = "owner"
"""The id of the key that local commands find in the store's owner file."""

Metadata = Iterable[tuple[str, str | bytes]]
Authenticate = Callable[[Metadata], str]
"""Metadata of a call → id of its key, `""` where none is needed. Raises `Unauthenticated`."""


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def read_keys(path: Path) -> dict[str, bytes]:
    """Digests by id from a file of lines `id.secret`; blank lines and lines that begin with `#` mean nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise _invalid(f"is {str(path)!r}, which cannot be read: {reason}") from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, _, secret = text.partition(".")
        if not key or not secret:
            raise _invalid(f"is {str(path)!r}, and its line {number} is not `id.secret`")
        if key == OWNER or key in keys:
            raise _invalid(
                f"is {str(path)!r}, and its line {number} takes the id {key!r} that is taken; choose another"
            )
        keys[key] = digest(secret)
    if not keys:
        raise _invalid(f"is {str(path)!r}, which holds no key; write one line `id.secret` for each client")
    return keys


def nobody_asked(metadata: Metadata) -> str:
    """Every call is welcome, with or without a key."""
    return ""


def by_keys(keys: Mapping[str, bytes]) -> Authenticate:
    """Only calls with one of these keys (digests by id)."""

    def authenticate(metadata: Metadata) -> str:
        header = next((value for name, value in metadata if name == "authorization"), "")
        scheme, _, token = (header if isinstance(header, str) else "").partition(" ")
        key, _, secret = token.strip().partition(".")
        known = keys.get(key, b"")
        # Compared even for an unknown id, so that time does not tell which ids exist.
        if not hmac.compare_digest(digest(secret), known or bytes(32)) or not known or scheme.lower() != "bearer":
            what = "is not valid" if header else "is missing"
            raise Unauthenticated(f"the key of this call {what}; send metadata `authorization: Bearer id.secret`")
        return key

    return authenticate


def _invalid(description: str) -> InvalidInput:
    return InvalidInput([FieldViolation("api_keys_file", description)])


__all__ = ["OWNER", "Authenticate", "Metadata", "by_keys", "digest", "nobody_asked", "read_keys"]
