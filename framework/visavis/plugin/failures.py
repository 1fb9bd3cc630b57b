"""How a stranger's failure is told in a log."""

from __future__ import annotations

import traceback
from pathlib import Path


def type_and_place(error: BaseException) -> str:
    """`KeyError at mine.py:12`: what was raised and where, without the exception's own text.

    That text may hold what a customer did, so it belongs in the debug log and in the answer to the operator alone.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


__all__ = ["type_and_place"]
