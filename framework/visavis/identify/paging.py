"""Pages of a list that only grows: the token is the place to go on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from visavis.identify.checks import Violations, shorten
from visavis.model import Page

T = TypeVar("T")
DEFAULT_PAGE = 100
LARGEST_PAGE = 1_000


def page_of(length: int, read: Callable[[int], T], page_size: int, page_token: str) -> Page[T]:
    """Entries `read(0)` … `read(length − 1)` by pages. Size 0 means 100; beyond 1,000 is cut (AIP-158)."""
    bad = Violations()
    if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 0:
        bad.add("page_size", f"is {shorten(page_size)}; give 0 (for {DEFAULT_PAGE}) to {LARGEST_PAGE}")
    start = int(page_token) if page_token.isascii() and page_token.isdigit() and len(page_token) < 12 else -1
    if page_token and start < 0:
        bad.add("page_token", f"is {shorten(page_token)}; give the next_page_token of the page before, or nothing")
    bad.check()
    first = max(start, 0) if page_token else 0
    end = min(length, first + min(page_size or DEFAULT_PAGE, LARGEST_PAGE))
    return Page(tuple(read(place) for place in range(first, end)), str(end) if end < length else "")


__all__ = ["page_of"]
