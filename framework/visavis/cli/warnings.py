"""Warnings of the framework (a broken plugin, a store that was restored) in the voice of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from visavis.cli.output import safe


@contextmanager
def warnings_told(stream: TextIO) -> Iterator[None]:
    """While the block runs, each warning is one line on `stream`. A server puts its own log in this one's place."""
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_OneLine())
    logger = logging.getLogger("visavis")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"visavis: {record.levelname.lower()}: {safe(record.getMessage())}"


__all__ = ["warnings_told"]
