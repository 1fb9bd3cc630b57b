"""Who calls, and may he: `authorization: Bearer id.secret`, and the scope that the call needs.

A key's id may stand in logs, its secret never. Knows nothing of gRPC: HTTP asks the same questions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import inf

from visavis.errors import Forbidden, Unauthenticated
from visavis.rpc.keys import OWNER, Key, Keys, find, keep
from visavis.rpc.scopes import ANY_SCOPE, SCOPE_BY_METHOD, SCOPES

log = logging.getLogger("visavis.rpc")

_MOST_KNOWN = 1024
_OWNERS = f"{OWNER}."
Metadata = Iterable[tuple[str, str | bytes]]
Authenticate = Callable[[str, Metadata], str]
"""Path of a call (`/package.Service/Method`) and its metadata → id of its key, `""` where none is asked for.

Raises `Unauthenticated` without a good key, `Forbidden` for a key without the scope that the call needs (its
metadata: `scope`, `key_id`) and for a call that the table of scopes does not name, `Unavailable` when the keys
cannot be read.
"""


def owner_key(token: str) -> Key:
    """The key of commands on this machine: every scope."""
    now = datetime.now(UTC)
    return Key(OWNER, tuple(SCOPES), (keep(token, now),), now)


@dataclass(frozen=True, slots=True)
class _Known:
    """A header that showed a good key; `until`: seconds since 1970 at which to look again."""

    key: Key
    until: float


class _Seen:
    """Headers that were found good, so that the callers who send the same one each time are known at once.

    By their hash: a secret is not kept. A wrong header is never here, so what a comparison tells by its time is nothing
    about any secret.
    """

    def __init__(self) -> None:
        self._keys: Keys | None = None
        self._known: dict[bytes, _Known] = {}

    def good(self, keys: Keys, header: str | bytes) -> Key | None:
        """What `_good` says, from memory where it can be."""
        if keys is not self._keys:
            self._keys = keys
            self._known.clear()
        if not isinstance(header, str):
            return None
        name = sha256(header.encode(errors="surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and time.time() < known.until:
            return known.key
        now = datetime.now(UTC)
        key = _good(keys, header, now)
        if key is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name] = _Known(key, _next_end(key, now))
        return key


def by_keys(current: Callable[[], Keys | None], owner: Key | None = None) -> Authenticate:
    """Only calls with one of the keys that `current` answers, or with the owner's. `current` None: everybody.

    `current` answers another mapping when a key has changed.
    """
    owners: Keys = {} if owner is None else {OWNER: owner}
    seen, seen_owner = _Seen(), _Seen()

    def authenticate(method: str, metadata: Metadata) -> str:
        scope = SCOPE_BY_METHOD.get(method)
        if scope is None and method not in ANY_SCOPE:
            log.error("refused a call without a scope; add it to visavis.rpc.scopes", extra={"fields": {"rpc": method}})
            raise Forbidden(f"no key may call {method}; it is a fault of the server that it is there")
        header: str | bytes = ""
        for name, value in metadata:
            if name == "authorization":
                header = value
                break
        # The owner first: local commands go on when the keys cannot be read.
        is_owner = owners and isinstance(header, str) and _OWNERS in header
        key = seen_owner.good(owners, header) if is_owner else None
        if key is None:
            keys = current()
            if keys is None:
                return ""
            key = seen.good(keys, header)
        if key is None:
            raise Unauthenticated(
                "the key of this call is not valid; ask who runs the server for one"
                if header
                else "the key of this call is missing; send metadata `authorization: Bearer id.secret`"
            )
        if scope is not None and scope not in key.scopes:
            raise Forbidden(
                f"the key {key.key_id!r} lacks the scope {scope!r} that this call needs; "
                f"make one that has it: visavis keys create --scopes {scope}",
                metadata={"scope": scope, "key_id": key.key_id},
            )
        return key.key_id

    return authenticate


def _good(keys: Keys, header: str, now: datetime) -> Key | None:
    """The key that a header shows, if it is one of these. Raises `Unauthenticated` that says why it is good no more."""
    scheme, _, token = header.partition(" ")
    key_id, _, secret = token.strip().partition(".")
    key = find(keys, key_id, secret, now)
    if key is None or scheme.lower() != "bearer":
        return None
    state = key.state(now)
    if state != "valid":
        # Said only to whom holds the secret, so that it tells nobody which ids exist.
        raise Unauthenticated(f"the key {key_id!r} of this call is {state}; ask who runs the server for another")
    return key


def _next_end(key: Key, now: datetime) -> float:
    """When a key, or a secret of it, next ends."""
    ends = (key.expires_at, *(secret.expires_at for secret in key.secrets))
    return min((end.timestamp() for end in ends if end is not None and end > now), default=inf)


__all__ = ["Authenticate", "Metadata", "by_keys", "owner_key"]
