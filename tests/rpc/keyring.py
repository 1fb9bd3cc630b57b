"""Files of keys for tests, with secrets that a test knows."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from visavis.rpc.key_file import change_keys, now
from visavis.rpc.keys import Key, keep
from visavis.rpc.scopes import SCOPES


def add_key(
    path: Path,
    key_id: str,
    secret: str,
    *scopes: str,
    expires_at: datetime | None = None,
    revoked_at: datetime | None = None,
) -> str:
    """Put a key into the file; all scopes unless some are given. Answers what a client sends."""
    before = now() - timedelta(days=1)
    key = Key(key_id, scopes or tuple(SCOPES), (keep(secret, before),), before, expires_at, revoked_at)
    change_keys(path, lambda _: key, make=True)
    return f"{key_id}.{secret}"


__all__ = ["add_key"]
