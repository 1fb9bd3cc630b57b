"""What to do about an error of the machine: its limits ask for other things than the file at which they show."""

from __future__ import annotations

import errno


def way_out(error: OSError, otherwise: str) -> str:
    """Advice for a person; `otherwise` is for errors that are about the file or the folder itself."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "raise the limit of open files (ulimit -n), or close some"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space"
    return otherwise


__all__ = ["way_out"]
