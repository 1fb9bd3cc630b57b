"""What all servicers share: the engine, the threads, the long work, paging of short lists, files in transit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from visavis.config import Settings
from visavis.model import Page
from visavis.rpc.convert import invalid
from visavis.rpc.jobs import Jobs
from visavis.rpc.landing import Landing
from visavis.rpc.work import Work

if TYPE_CHECKING:
    from visavis.engine import Engine

T = TypeVar("T")
_DEFAULT_PAGE = 1000
_LARGEST_PAGE = 10_000
_INLINE_ROWS = 50  # about 100 µs of building values; larger batches leave the event loop free
_INLINE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Shared:
    """Made by the server, handed to each servicer."""

    engine: Engine
    settings: Settings
    work: Work
    jobs: Jobs
    landing: Landing = field(default_factory=Landing)

    async def submit(self, request: Message, rows: int, submit: Callable[[], Future[T]]) -> asyncio.Future[T]:
        """Hand a write of `rows` rows to the writer; no thread waits for its commit.

        A caller that goes away takes back nothing that was handed in.
        """
        small = rows <= _INLINE_ROWS and request.ByteSize() <= _INLINE_BYTES
        future = submit() if small else await self.work.call(submit)
        return self.landing.of(future)

    def scratch(self, name: str) -> Path:
        """A folder beside the store for files in transit; the store empties it when it is opened."""
        return self.engine.store.scratch(name)


def page_of(values: Sequence[T], page_size: int, page_token: str) -> Page[T]:
    """One page of a list that is short enough to be had whole. The token is the position of its first entry."""
    if page_size < 0:
        raise invalid("page_size", f"is {page_size}; give 0 (the default) or more")
    if page_token and not (page_token.isascii() and page_token.isdigit() and len(page_token) < 10):
        raise invalid("page_token", "is not one that this list gave; begin again without it")
    start = int(page_token or "0")
    end = start + min(page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
    return Page(tuple(values[start:end]), str(end) if end < len(values) else "")


__all__ = ["Shared", "page_of"]
