"""Who calls, and may he: `authorization: Bearer id.secret`, and the scope that the call needs.

A key's id may stand in logs, its secret never. Knows nothing of gRPC: HTTP asks the same questions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from visavis.errors import Forbidden, Unauthenticated
from visavis.rpc.keys import OWNER, Key, Keys, find, keep
from visavis.rpc.scopes import ANY_SCOPE, SCOPE_BY_METHOD, SCOPES

log = logging.getLogger("visavis.rpc")

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


def by_keys(current: Callable[[], Keys | None], owner: Key | None = None) -> Authenticate:
    """Only calls with one of the keys that `current` answers, or with the owner's. `current` None: everybody."""

    def authenticate(method: str, metadata: Metadata) -> str:
        scope = SCOPE_BY_METHOD.get(method)
        if scope is None and method not in ANY_SCOPE:
            log.error("refused a call without a scope; add it to visavis.rpc.scopes", extra={"fields": {"rpc": method}})
            raise Forbidden(f"no key may call {method}; it is a fault of the server that it is there")
        header = next((value for name, value in metadata if name == "authorization"), "")
        # The owner first: local commands go on when the keys cannot be read.
        key = _good({OWNER: owner}, header) if owner is not None else None
        if key is None:
            keys = current()
            if keys is None:
                return ""
            key = _good(keys, header)
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


def _good(keys: Keys, header: str | bytes) -> Key | None:
    """The key that a header shows, if it is one of these. Raises `Unauthenticated` that says why it is good no more."""
    scheme, _, token = (header if isinstance(header, str) else "").partition(" ")
    key_id, _, secret = token.strip().partition(".")
    now = datetime.now(UTC)
    key = find(keys, key_id, secret, now)
    if key is None or scheme.lower() != "bearer":
        return None
    state = key.state(now)
    if state != "valid":
        # Said only to whom holds the secret, so that it tells nobody which ids exist.
        raise Unauthenticated(f"the key {key_id!r} of this call is {state}; ask who runs the server for another")
    return key


__all__ = ["Authenticate", "Metadata", "by_keys", "owner_key"]
