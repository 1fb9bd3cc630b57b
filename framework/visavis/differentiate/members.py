"""Who is in which segment: an index of one generation, so that a page costs a page and not a walk over everyone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from visavis.identify.checks import Violations, shorten
from visavis.live.models import Generation, Memberships

Segments = Mapping[str, NDArray[np.int32]]
"""Of each segment the codes of its customers, ascending."""


class MemberIndex:
    """The segments of one generation, which `generation` numbers. A segmentation is built when first asked for."""

    def __init__(self, generation: Generation) -> None:
        # Not the generation itself: its scorers would stay in memory until somebody asks again after a fit.
        self.generation = generation.number
        self.segmentations = generation.segmentations
        self._built: dict[str, Segments] = {}

    def of(self, segmentation: str) -> Segments:
        """The segments of a segmentation of this generation."""
        if segmentation not in self._built:
            self._built[segmentation] = _by_segment(self.segmentations[segmentation])
        return self._built[segmentation]


def _by_segment(memberships: Memberships) -> Segments:
    places: dict[str, list[int]] = {}
    for place, segment in enumerate(memberships.segment_of):
        places.setdefault(segment, []).append(place)
    return {segment: memberships.customers[np.array(found)] for segment, found in places.items()}


def without(codes: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int32]:
    """`codes` that are not among `others`, both ascending. Costs little where `others` are few."""
    if not len(codes) or not len(others):
        return codes
    place = np.minimum(np.searchsorted(codes, others), len(codes) - 1)
    return np.delete(codes, place[codes[place] == others])


def token_after(generation: int, code: int) -> str:
    """The token of the page that follows customer `code`."""
    return f"{generation}-{code}"


def last_code(generation: int, page_token: object) -> int:
    """The customer after whom a page begins, −1 for the first page.

    Raises `InvalidInput` for a token that is none, or is of another generation: its segments are not those of now.
    """
    if page_token == "":
        return -1
    bad = Violations()
    found = re.fullmatch(r"([0-9]{1,10})-([0-9]{1,10})", page_token) if isinstance(page_token, str) else None
    if found is None:
        bad.add("page_token", f"is {shorten(page_token)}; give the next_page_token of the page before, or nothing")
    elif int(found[1]) != generation:
        bad.add(
            "page_token",
            f"is of generation {found[1]}, but a fit has made {generation} since; begin again with the first page",
        )
    bad.check()
    return int(found[2]) if found else -1


__all__ = ["MemberIndex", "Segments", "last_code", "token_after", "without"]
