"""What must survive a power cut is on the disk before the next step."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make sure that a file or a folder is on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["sync"]
