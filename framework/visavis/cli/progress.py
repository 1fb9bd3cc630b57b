"""How far long work has come: a bar on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from visavis.cli.output import safe
from visavis.model import Progress

_BAR = 24
_BAR_PAUSE = 0.1
_LINE_PAUSE = 1.0


class ProgressReport:
    """Give an instance as `progress`; leave its `with` block to end the bar. Calls may come from any thread."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._step = ""
        self._next = 0.0
        self._drawn = False

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            now = self._clock()
            if progress.step == self._step and now < self._next:
                return
            self._step = progress.step
            self._next = now + (_BAR_PAUSE if self._terminal else _LINE_PAUSE)
            if self._terminal:
                width = shutil.get_terminal_size().columns
                self._stream.write(f"\r\x1b[K{self._bar(progress)[: width - 1]}")
                self._drawn = True
            else:
                self._stream.write(f"{_told(progress)}\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._drawn:
                self._stream.write("\r\x1b[K")
                self._stream.flush()

    def _bar(self, progress: Progress) -> str:
        if not progress.total:
            return _told(progress)
        full = _BAR * min(progress.done, progress.total) // progress.total
        return f"[{'#' * full}{'.' * (_BAR - full)}] {_told(progress)}"


def _told(progress: Progress) -> str:
    step = safe(progress.step)
    if not progress.total:
        return f"{step}: {progress.done:,}" if progress.done else f"{step} ..."
    percent = 100 * min(progress.done, progress.total) // progress.total
    return f"{step}: {progress.done:,} of {progress.total:,} ({percent} %)"


__all__ = ["ProgressReport"]
