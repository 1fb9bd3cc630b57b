"""Room on the disk that nothing but the store itself may take: its log and file need it to go on."""

from __future__ import annotations

import shutil
from pathlib import Path

from visavis.errors import StoreUnwritable

ROOM_BYTES = 256 << 20
"""Left free by everything that could do without: imports, uploads, caches."""


def check_room(folder: Path, wanted: int = 0) -> None:
    """Raise `StoreUnwritable` unless the disk of `folder` takes `wanted` bytes and still has room for the store."""
    free = shutil.disk_usage(folder).free
    if free < ROOM_BYTES + wanted:
        raise StoreUnwritable(
            f"the disk of {folder} has {free >> 20:,} MiB left, and {ROOM_BYTES >> 20} MiB are kept for the store; "
            "free some space there and try again",
            metadata={"path": str(folder)},
        )


__all__ = ["ROOM_BYTES", "check_room"]
