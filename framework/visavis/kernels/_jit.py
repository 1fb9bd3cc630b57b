"""The one place that imports numba and chooses compiler flags.

No signatures (they would compile at import) and no fastmath (NaN has a meaning). A kernel and the compiled
helpers it calls live in one file, because the cache on disk notices edits in the kernel's own file only.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import prange

P = ParamSpec("P")
R = TypeVar("R")

_ENTRY = threading.Lock()


def serial(function: Callable[P, R]) -> Callable[P, R]:
    """Compile for one thread, without the interpreter's lock: for helpers and for the request path."""
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True)(function))


def parallel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile for several threads; calls take turns. For model building only, never called by another kernel.

    numba's fallback threading layer ends the process when two threads enter parallel code at once, so all
    such kernels share one lock, and no caller can forget it.
    """
    compiled: Any = numba.njit(cache=True, nogil=True, parallel=True)(function)

    @functools.wraps(function)
    def one_at_a_time(*args: P.args, **kwargs: P.kwargs) -> R:
        with _ENTRY:
            return cast(R, compiled(*args, **kwargs))

    return one_at_a_time


def thread_count() -> int:
    """How many threads a parallel kernel may use (`NUMBA_NUM_THREADS`, by default one a core)."""
    return int(numba.get_num_threads())


__all__ = ["parallel", "prange", "serial", "thread_count"]
