"""What each customer needs and is worth: features, segmentations, profiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from visavis.differentiate.members import MemberIndex, last_code, token_after, without
from visavis.errors import NotFound
from visavis.identify.checks import Violations, check_customer, shorten
from visavis.identify.paging import page_of
from visavis.identify.upserting import known_customer, stored_customer
from visavis.live import Live
from visavis.model import CustomerRef, Page, Profile, Segment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Differentiate:
    """The room of segments and profiles. Answers come from memory."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._index = MemberIndex(live.generation)

    def profile(self, customer: CustomerRef) -> Profile:
        """What is known of one customer. Raises `NotFound` for one never seen."""
        live = self._live
        bad = Violations()
        check_customer(bad, "customer", customer)
        bad.check()
        code = known_customer(live, customer)
        may = live.consents.may_personalize(code)
        times = live.histories.times_of(code)
        return Profile(
            customer=stored_customer(live, code),
            consents=live.consents.of(code),
            may_personalize=may,
            may_market=live.consents.may_market(code),
            interaction_count=len(times),
            first_seen=_moment(int(times.min())) if len(times) else None,
            last_seen=_moment(int(times.max())) if len(times) else None,
            segments={
                name: segment for name, one in live.generation.segmentations.items() if (segment := one.find(code))
            }
            if may
            else {},
        )

    def segments(self) -> tuple[Segment, ...]:
        """Every segment of the served generation with its size, largest first within a segmentation.

        Who objected to personalization after the fit does not count.
        """
        index = self._current()
        objectors = self._live.consents.objectors()
        found = []
        for name in sorted(index.segmentations):
            sizes = {segment: len(without(codes, objectors)) for segment, codes in index.of(name).items()}
            ordered = sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))
            found += [Segment(name, segment, size) for segment, size in ordered]
        return tuple(found)

    def members(self, segmentation: str, segment: str, *, page_size: int = 0, page_token: str = "") -> Page[str]:
        """Ids of the customers in a segment who did not object to personalization, a page at a time.

        Raises `NotFound` for an unknown one, `InvalidInput` for a `page_token` that another fit has outlived.
        """
        index = self._current()
        codes = self._segment(index, segmentation, segment)
        number = index.generation
        after = last_code(number, page_token)
        rest = without(codes[np.searchsorted(codes, after, side="right") :], self._live.consents.objectors())
        ids = self._live.identities.customers.texts
        page = page_of(len(rest), lambda place: ids[rest[place]], page_size, "")
        token = token_after(number, int(rest[len(page.items) - 1])) if page.next_page_token else ""
        return Page(page.items, token)

    def _current(self) -> MemberIndex:
        index, generation = self._index, self._live.generation
        if index.generation != generation.number:
            # Two threads may both make one; either is right.
            self._index = index = MemberIndex(generation)
        return index

    def _segment(self, index: MemberIndex, segmentation: str, segment: str) -> NDArray[np.int32]:
        known = index.segmentations
        if segmentation not in known:
            raise NotFound(
                f"there is no segmentation {shorten(segmentation)}; known are {', '.join(sorted(known)) or 'none'} "
                "(`visavis fit` makes them)",
                reason="UNKNOWN_SEGMENT",
                metadata={"segmentation": segmentation[:100], "segment": ""},
            )
        codes = index.of(segmentation).get(segment)
        if codes is None:
            raise NotFound(
                f"segmentation {segmentation} has no segment {shorten(segment)}; `visavis segments` lists them",
                reason="UNKNOWN_SEGMENT",
                metadata={"segmentation": segmentation, "segment": segment[:100]},
            )
        return codes


def _moment(time: int) -> datetime:
    return EPOCH + timedelta(microseconds=time)


__all__ = ["Differentiate"]
