"""Keys of clients: what is kept of them, and how a secret is told from a wrong one.

A secret is 256 random bits that we made. No dictionary holds it and nobody can try them all, so one salted SHA-256
is enough; a slow hash, which makes up for the poor passwords of people, would only slow every call.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from visavis.errors import Conflict, FieldViolation, InvalidInput, NotFound
from visavis.rpc.scopes import SCOPES

OWNER = "owner"
"""The id of the key that local commands find in the store's owner file; no client's key has it."""

VERSION = 1
NOTE_LENGTH = 200
_SALT_BYTES = 16
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of one secret: never the secret."""

    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    """When it ends although its key goes on: set when another took its place."""

    def matches(self, secret: str) -> bool:
        """Whether this is what the secret left, in a time that does not tell how near it was."""
        return hmac.compare_digest(_hash(self.salt, secret), self.hash)


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Times are UTC; `secrets` holds the newest first, and at most the one before it."""

    key_id: str
    scopes: tuple[str, ...]
    secrets: tuple[Secret, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    note: str = ""

    def state(self, now: datetime) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if _past(self.expires_at, now) else "valid"


Keys = Mapping[str, Key]
"""Keys by id."""

# Takes the place of a secret that is not there, so that every answer costs the same two comparisons.
_NOBODY = Secret(bytes(_SALT_BYTES), bytes(32), datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC))


def find(keys: Keys, key_id: str, secret: str, now: datetime) -> Key | None:
    """The key of this id if the secret is one of its own, even if it is expired or revoked."""
    key = keys.get(key_id)
    mine = key.secrets if key is not None else ()
    newest, before = (*mine, _NOBODY, _NOBODY)[:2]
    # Both, always: the time must not tell which ids exist, nor which of them were rotated.
    right = [newest.matches(secret) and not _past(newest.expires_at, now)]
    right.append(before.matches(secret) and not _past(before.expires_at, now))
    return key if any(right) else None


def check_new(key_id: str | None, note: str) -> None:
    """Raises `InvalidInput` for an id or a note that no key can have."""
    bad = []
    if key_id == OWNER:
        bad.append(("--id", f"is {OWNER!r}, which belongs to the commands on the server's machine; choose another"))
    elif key_id is not None and not _ID.fullmatch(key_id):
        bad.append(("--id", f"is {key_id[:70]!r}; give 1 to 64 of A-Z a-z 0-9 _ -, not beginning with _ or -"))
    if len(note) > NOTE_LENGTH or not note.isprintable():
        bad.append(("--note", f"is not {NOTE_LENGTH} printable characters or less; shorten it"))
    if bad:
        raise InvalidInput([FieldViolation(field, description) for field, description in bad])


def create(
    keys: Keys, now: datetime, *, scopes: tuple[str, ...], key_id: str | None, expires_at: datetime | None, note: str
) -> tuple[Key, str]:
    """A new key and its secret; `key_id` None makes up an id, and `check_new` has passed another.

    Raises `Conflict` for an id that is taken, be it by a revoked key: an id in a log means one key for ever.
    """
    if key_id is not None and key_id in keys:
        state = keys[key_id].state(now)
        rotate_it = f", or give it a new secret: visavis keys rotate {key_id}" if state == "valid" else ""
        raise Conflict(
            f"--id: the key {key_id!r} exists already ({state}); choose another id{rotate_it}",
            metadata={"key_id": key_id},
        )
    while key_id is None or key_id in keys:
        key_id = f"key-{secrets.token_hex(4)}"
    secret = new_secret()
    return Key(key_id, scopes, (keep(secret, now),), now, expires_at, note=note), secret


def rotate(
    keys: Keys, key_id: str, now: datetime, *, overlap: timedelta, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """The key with a new secret, and the secret; the one before stays good for `overlap`, older ones end now.

    `expires_at` None leaves the key's own. Raises `NotFound`, or `InvalidInput` for a key that has ended.
    """
    key = _known(keys, key_id)
    if expires_at is not None:
        key = replace(key, expires_at=expires_at)
    state = key.state(now)
    if state != "valid":
        way_out = "renew it with --expires, e.g. --expires 90d" if state == "expired" else "make another key"
        raise InvalidInput(f"the key {key_id!r} is {state}; {way_out}", metadata={"key_id": key_id})
    secret = new_secret()
    kept = (replace(key.secrets[0], expires_at=now + overlap),) if overlap else ()
    return replace(key, secrets=(keep(secret, now), *kept)), secret


def revoke(keys: Keys, key_id: str, now: datetime) -> Key:
    """The key, good for nothing from `now` on; one revoked before stays as it is. Raises `NotFound`."""
    key = _known(keys, key_id)
    return key if key.revoked_at is not None else replace(key, revoked_at=now)


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def keep(secret: str, now: datetime) -> Secret:
    """What is kept of a secret, under a salt of its own."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return Secret(salt, _hash(salt, secret), now)


def to_json(keys: Keys) -> dict[str, Any]:
    """The keys as the file holds them."""
    return {"version": VERSION, "keys": [_key_to_json(key) for key in keys.values()]}


def from_json(table: Any) -> dict[str, Key]:
    """The keys that a file holds. Raises `ValueError` that says what is wrong, without quoting a hash."""
    if not isinstance(table, dict) or not isinstance(table.get("keys"), list):
        raise ValueError("is not a file of keys")
    if table.get("version") != VERSION:
        raise ValueError(f"is of another version of Visavis (version {table.get('version')!r}, not {VERSION})")
    keys: dict[str, Key] = {}
    for place, one in enumerate(table["keys"]):
        try:
            key = _key_from_json(one)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise ValueError(f"is damaged: its keys[{place}] is not a key") from None
        if key.key_id in keys:
            raise ValueError(f"is damaged: its keys[{place}] repeats the id {key.key_id!r}")
        keys[key.key_id] = key
    return keys


def _key_to_json(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "scopes": list(key.scopes),
        "created_at": _text(key.created_at),
        "expires_at": _text(key.expires_at),
        "revoked_at": _text(key.revoked_at),
        "note": key.note,
        "secrets": [
            {
                "salt": one.salt.hex(),
                "sha256": one.hash.hex(),
                "created_at": _text(one.created_at),
                "expires_at": _text(one.expires_at),
            }
            for one in key.secrets
        ],
    }


def _key_from_json(one: Any) -> Key:
    kept = tuple(
        Secret(
            bytes.fromhex(part["salt"]),
            bytes.fromhex(part["sha256"]),
            _needed(part["created_at"]),
            _time(part["expires_at"]),
        )
        for part in one["secrets"]
    )
    sound = (
        _ID.fullmatch(one["id"]) is not None
        and one["id"] != OWNER
        and 0 < len(kept) <= 2
        and all(len(part.salt) == _SALT_BYTES and len(part.hash) == 32 for part in kept)
        and isinstance(one["scopes"], list)
        and all(scope in SCOPES for scope in one["scopes"])
        and isinstance(one["note"], str)
    )
    if not sound:
        raise ValueError
    ends = _time(one["expires_at"]), _time(one["revoked_at"])
    return Key(one["id"], tuple(one["scopes"]), kept, _needed(one["created_at"]), *ends, note=one["note"])


def _known(keys: Keys, key_id: str) -> Key:
    if key_id not in keys:
        message = f"ID: there is no key {key_id[:70]!r}; `visavis keys list` shows those there are"
        raise NotFound(message, metadata={"key_id": key_id})
    return keys[key_id]


def _hash(salt: bytes, secret: str) -> bytes:
    # Headers may hold anything; what is not text matches nothing.
    return sha256(salt + secret.encode(errors="replace")).digest()


def _past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _needed(text: Any) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _time(text: Any) -> datetime | None:
    return None if text is None else _needed(text)


__all__ = [
    "NOTE_LENGTH",
    "OWNER",
    "VERSION",
    "Key",
    "Keys",
    "Secret",
    "check_new",
    "create",
    "find",
    "from_json",
    "keep",
    "new_secret",
    "revoke",
    "rotate",
    "to_json",
]
