"""What may be asked of an evaluation, and which time it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from visavis.errors import NotReady
from visavis.history import DAY
from visavis.identify.checks import Violations, check_count, check_id, check_number, shorten
from visavis.live.base import Base
from visavis.plugin import Registry

MOST_DAYS = 3_650
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """See `Customize.evaluate`."""

    scorers: tuple[str, ...] = ()
    days: float = 28
    end: datetime | None = None
    min_buyers: int = 1
    most_customers: int = 2_000
    seed: int = 1


def check(asked: Asked, registry: Registry) -> None:
    """Raises `InvalidInput` for bad fields, `NotFound` for a scorer that is not there."""
    bad = Violations()
    check_number(bad, "days", asked.days, minimum=1 / 24, maximum=MOST_DAYS)
    check_count(bad, "min_buyers", asked.min_buyers, most=1_000_000)
    check_count(bad, "most_customers", asked.most_customers, most=1_000_000)
    check_count(bad, "seed", asked.seed, least=0, most=2**32 - 1)
    end: object = asked.end
    if end is not None and not (isinstance(end, datetime) and _FIRST <= _aware(end, UTC) < _LAST):
        bad.add("end", f"is {shorten(end)}; give a datetime from {_FIRST.year} to {_LAST.year - 1}")
    names: object = asked.scorers
    if not isinstance(names, tuple) or len(names) > 100:
        bad.add("scorers", f"is {shorten(names)}; give a list of at most 100 names")
    else:
        for place, name in enumerate(names):
            check_id(bad, f"scorers[{place}]", name)
    bad.check()
    for name in asked.scorers:
        registry.build_scorer(name)


def period(base: Base, kinds: Sequence[str], asked: Asked, time_zone: str) -> tuple[int, int]:
    """Begin and end (left out) of what is to be foretold, µs.

    Without `end`: until the end of the shop's day of the last purchase, so that no day and no basket is cut in two.
    """
    purchase = list(kinds).index("purchase") if "purchase" in kinds else -1
    times = base.time[(base.kind == purchase) & (base.item >= 0)]
    if not len(times):
        raise NotReady(
            "nothing was bought yet, and purchases are what is foretold; import a file or record purchases first"
        )
    zone = ZoneInfo(time_zone)
    if asked.end is None:
        last = moment(int(times.max())).astimezone(zone)
        end = datetime.combine(last.date() + timedelta(days=1), time(), tzinfo=zone)
    else:
        end = _aware(asked.end, zone)
    until = (end - _EPOCH) // timedelta(microseconds=1)
    begin = until - round(asked.days * DAY)
    if not (times < begin).any():
        raise NotReady(
            f"nothing was bought before {moment(begin)}, the begin of the period; give fewer days than {asked.days:g}, "
            "or a later end"
        )
    return begin, until


def _aware(at: datetime, zone: ZoneInfo | timezone) -> datetime:
    return at if at.utcoffset() is not None else at.replace(tzinfo=zone)


def moment(micros: int) -> datetime:
    """A time of the store as a datetime."""
    return _EPOCH + timedelta(microseconds=micros)


__all__ = ["MOST_DAYS", "Asked", "check", "moment", "period"]
