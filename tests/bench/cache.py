"""What is kept from run to run: sets and imported stores, each in a folder of the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """`BENCH_CACHE`, else `visavis-bench` among the caches of this account."""
    named = os.environ.get("BENCH_CACHE")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else caches / "visavis-bench"


def kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`; if it is not there, `make` fills it. It gets its name only when whole: a run may be broken off."""
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        draft.mkdir(parents=True)
        try:
            make(draft)
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another run was first
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


__all__ = ["cache_folder", "kept"]
