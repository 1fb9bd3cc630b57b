"""Logs of the server: one JSON object a line on stderr.

A line names the call, its code, how long it took and how large it was; never ids of customers, addresses or free
text. Records bring their fields in `extra={"fields": {...}}`.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One line a record: time, level, logger, event, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["exception"] = type(error).__name__
            # Where it happened, without the exception's own text, which may quote a customer.
            line["stack"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr(level: str) -> None:
    """Send the logs of Visavis to stderr, from `level` (`debug`, `info`, `warning`, `error`) upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("visavis")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


__all__ = ["JsonLines", "log_to_stderr"]
