"""Logs of the server: one JSON object a line on stderr.

A line names the call, its code, how long it took and how large it was; never ids of customers, addresses or free
text. Records bring their fields in `extra={"fields": {...}}`. What Python, other libraries and plugins would write to
stderr of their own accord becomes such a line too, and says what kind of thing happened and where: its text is
left out, for it may quote a customer.

Lines about calls are most of all lines. They are gathered for a tenth of a second and written together: a process that
is killed loses the last of them, one that stops loses none.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

log = logging.getLogger("visavis.rpc")
_GATHER_S = 0.1
_MOST_GATHERED = 1000


class JsonLines(logging.Formatter):
    """One line a record: time, level, logger, event, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] == "visavis"
        line: dict[str, object] = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if ours else "message of another library",
        }
        if ours:
            line |= getattr(record, "fields", {})
        else:
            line["place"] = f"{record.pathname}:{record.lineno} {record.funcName}"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["exception"] = type(error).__name__
            # Where it happened, without the exception's own text, which may quote a customer.
            line["stack"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
        return json.dumps(line, ensure_ascii=False, default=str)


class _CallLine(NamedTuple):
    """What the log says of one call."""

    at: float
    level: int
    rpc: str
    code: str
    ms: float
    received_bytes: int
    reason: str
    key: str

    def record(self) -> logging.LogRecord:
        """For handlers that are not ours."""
        fields: dict[str, object] = {
            "rpc": self.rpc,
            "code": self.code,
            "ms": self.ms,
            "received_bytes": self.received_bytes,
        }
        if self.reason:
            fields["reason"] = self.reason
        if self.key:
            fields["key"] = self.key
        record = log.makeRecord(log.name, self.level, "", 0, "call", (), None, extra={"fields": fields})
        record.created, record.msecs = self.at, self.at % 1 * 1000
        return record

    def text(self) -> str:
        """What `JsonLines` makes of the record, at a tenth of the cost."""
        reason = f', "reason": {_quoted(self.reason)}' if self.reason else ""
        key = f', "key": {_quoted(self.key)}' if self.key else ""
        return (
            f'{{"time": "{_moment(self.at)}", "level": "{_level(self.level)}", "logger": "{log.name}", '
            f'"event": "call", "rpc": {_quoted(self.rpc)}, "code": "{self.code}", "ms": {self.ms}, '
            f'"received_bytes": {self.received_bytes}{reason}{key}}}\n'
        )


class CallLines:
    """The lines about the calls of one server, from its event loop.

    Those for stderr are gathered; other handlers have them at once.
    """

    def __init__(self) -> None:
        self._gathered: list[_CallLine] = []

    def add(self, level: int, rpc: str, code: str, ms: float, received_bytes: int, reason: str, key: str) -> None:
        """One call has ended; `log` is enabled for `level`. `reason` and `key` may be empty."""
        line = _CallLine(time.time(), level, rpc, code, ms, received_bytes, reason, key)
        for handler in _handlers(log):
            if isinstance(handler, _Stderr):
                self._gather(line)
            elif level >= handler.level:
                handler.handle(line.record())

    def _gather(self, line: _CallLine) -> None:
        gathered = self._gathered
        gathered.append(line)
        if len(gathered) == 1:
            asyncio.get_running_loop().call_later(_GATHER_S, self.write)
        elif len(gathered) >= _MOST_GATHERED:
            self.write()

    def write(self) -> None:
        """Write what was gathered."""
        gathered, self._gathered = self._gathered, []
        text = "".join([line.text() for line in gathered])
        for handler in _handlers(log):
            if isinstance(handler, _Stderr):
                handler.write(text)


class _Stderr(logging.StreamHandler[Any]):
    """Writes JSON lines to stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonLines())

    def write(self, text: str) -> None:
        """Whole lines; none at all do no harm."""
        self.acquire()
        try:
            self.stream.write(text)
            self.flush()
        except OSError:
            self.handleError(logging.makeLogRecord({}))
        finally:
            self.release()


def _handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Those that hear of what is told to a logger."""
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _moment(at: float) -> str:
    """UTC with milliseconds."""
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}+00:00"


@lru_cache(2)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(1024)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@lru_cache(16)
def _level(level: int) -> str:
    return logging.getLevelName(level).lower()


def log_to_stderr(level: str) -> None:
    """Send the logs of Visavis to stderr, from `level` (`debug`, `info`, `warning`, `error`) upwards.

    Warnings of other libraries, Python's warnings and exceptions that nobody caught go there too, without their text.
    For a process that does nothing but serve.
    """
    logger = logging.getLogger("visavis")
    logger.handlers = [_Stderr()]
    logger.setLevel(level.upper())
    logger.propagate = False
    foreign = _Stderr()
    foreign.setLevel(logging.WARNING)
    logging.lastResort = foreign
    # A line that cannot be written would be reported with the values it was to hold.
    logging.raiseExceptions = False
    warnings.showwarning = _warned
    sys.excepthook = lambda _kind, error, _trace: _uncaught(error)
    sys.unraisablehook = lambda lost: _uncaught(lost.exc_value)
    threading.excepthook = lambda lost: _uncaught(lost.exc_value)


def _warned(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
    fields = {"category": category.__name__, "place": f"{filename}:{lineno}"}
    log.warning("warning of Python", extra={"fields": fields})


def _uncaught(error: BaseException | None) -> None:
    log.critical("nobody caught an exception", exc_info=error)


__all__ = ["CallLines", "JsonLines", "log_to_stderr"]
