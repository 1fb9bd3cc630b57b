"""What all servicers share: the engine, the threads, the long work, paging of short lists, files in transit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from visavis.model import Page
from visavis.rpc.convert import invalid
from visavis.rpc.jobs import Jobs
from visavis.rpc.work import Work

if TYPE_CHECKING:
    from visavis.engine import Engine

T = TypeVar("T")
_DEFAULT_PAGE = 1000
_LARGEST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Shared:
    """Made by the server, handed to each servicer."""

    engine: Engine
    work: Work
    jobs: Jobs

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
