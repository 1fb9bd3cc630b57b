"""Pages of a list that only grows: the token is the place to go on from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from visavis.identify.checks import Violations, shorten
from visavis.model import Page

T = TypeVar("T")
DEFAULT_PAGE = 100
LARGEST_PAGE = 1_000


def page_of(length: int, read: Callable[[int], T], page_size: int, page_token: object) -> Page[T]:
    """Entries `read(0)` … `read(length − 1)` by pages. Size 0 means 100; beyond 1,000 is cut (AIP-158)."""
    bad = Violations()
    if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 0:
        bad.add("page_size", f"is {shorten(page_size)}; give 0 (for {DEFAULT_PAGE}) to {LARGEST_PAGE}")
    if not isinstance(page_token, str):
        start = -1
    else:
        start = int(page_token or "0") if re.fullmatch(r"[0-9]{0,11}", page_token) else -1
    if start < 0:
        bad.add("page_token", f"is {shorten(page_token)}; give the next_page_token of the page before, or nothing")
    bad.check()
    end = min(length, start + min(page_size or DEFAULT_PAGE, LARGEST_PAGE))
    return Page(tuple(read(place) for place in range(start, end)), str(end) if end < length else "")


__all__ = ["page_of"]
