"""Logs of the server: one JSON object a line on stderr.

A line names the call, its code, how long it took and how large it was; never ids of customers, addresses or free
text. Records bring their fields in `extra={"fields": {...}}`. What Python, other libraries and plugins would write to
stderr of their own accord becomes such a line too, and says what kind of thing happened and where: its text is
left out, for it may quote a customer.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
import warnings
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("visavis.rpc")


class JsonLines(logging.Formatter):
    """One line a record: time, level, logger, event, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] == "visavis"
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
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


def log_to_stderr(level: str) -> None:
    """Send the logs of Visavis to stderr, from `level` (`debug`, `info`, `warning`, `error`) upwards.

    Warnings of other libraries, Python's warnings and exceptions that nobody caught go there too, without their text.
    For a process that does nothing but serve.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("visavis")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    foreign = logging.StreamHandler(sys.stderr)
    foreign.setLevel(logging.WARNING)
    foreign.setFormatter(JsonLines())
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


__all__ = ["JsonLines", "log_to_stderr"]
