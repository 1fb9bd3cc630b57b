"""What each customer needs and is worth: features, segmentations, profiles."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np

from visavis.errors import NotFound
from visavis.identify.checks import Violations, check_customer, shorten
from visavis.identify.paging import page_of
from visavis.identify.upserting import known_customer, stored_customer
from visavis.live import Live
from visavis.live.models import Memberships
from visavis.live.state import now_us
from visavis.model import CustomerRef, Page, Profile, Segment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Differentiate:
    """The room of segments and profiles. Answers come from memory."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def profile(self, customer: CustomerRef) -> Profile:
        """What is known of one customer. Raises `NotFound` for one never seen."""
        live = self._live
        bad = Violations()
        check_customer(bad, "customer", customer)
        bad.check()
        code = known_customer(live, customer)
        may = live.consents.may_personalize(code)
        past = live.histories.of(np.array([code], dtype=np.int32), [""], live.kinds.names, now_us())
        times = past.time
        return Profile(
            customer=stored_customer(live, code),
            consents=live.consents.of(code),
            may_personalize=may,
            may_market=live.consents.may_market(code),
            interaction_count=len(times),
            first_seen=_moment(int(times[0])) if len(times) else None,
            last_seen=_moment(int(times[-1])) if len(times) else None,
            segments={
                name: segment for name, one in live.generation.segmentations.items() if (segment := one.find(code))
            }
            if may
            else {},
        )

    def segments(self) -> tuple[Segment, ...]:
        """Every segment of the served generation with its size, largest first within a segmentation."""
        found = []
        for name, memberships in sorted(self._live.generation.segmentations.items()):
            counts = Counter(memberships.segment_of)
            ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            found += [Segment(name, segment, size) for segment, size in ordered]
        return tuple(found)

    def members(self, segmentation: str, segment: str, *, page_size: int = 0, page_token: str = "") -> Page[str]:
        """Ids of the customers in a segment, a page at a time. Raises `NotFound` for an unknown one."""
        memberships = self._memberships(segmentation)
        codes = [
            code
            for code, label in zip(memberships.customers.tolist(), memberships.segment_of, strict=True)
            if label == segment
        ]
        if not codes:
            raise NotFound(
                f"segmentation {segmentation} has no segment {shorten(segment)}; `visavis segments` lists them",
                reason="UNKNOWN_SEGMENT",
                metadata={"segmentation": segmentation, "segment": segment[:100]},
            )
        ids = self._live.identities.customers.texts
        return page_of(len(codes), lambda place: ids[codes[place]], page_size, page_token)

    def _memberships(self, segmentation: str) -> Memberships:
        known = self._live.generation.segmentations
        if segmentation not in known:
            raise NotFound(
                f"there is no segmentation {shorten(segmentation)}; known are {', '.join(sorted(known)) or 'none'} "
                "(`visavis fit` makes them)",
                reason="UNKNOWN_SEGMENT",
                metadata={"segmentation": segmentation[:100], "segment": ""},
            )
        return known[segmentation]


def _moment(time: int) -> datetime:
    return EPOCH + timedelta(microseconds=time)


__all__ = ["Differentiate"]
