"""What may be asked of an evaluation, and which time it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from visavis.errors import NotReady
from visavis.history import DAY
from visavis.identify.checks import Violations, check_count, check_id, check_number, shorten
from visavis.live.base import Base
from visavis.plugin import Registry

MOST_DAYS = 3_650
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    if end is not None and not isinstance(end, datetime):
        bad.add("end", f"is {shorten(end)}; give a datetime")
    for place, name in enumerate(asked.scorers):
        check_id(bad, f"scorers[{place}]", name)
    bad.check()
    for name in asked.scorers:
        registry.build_scorer(name)


def period(base: Base, kinds: Sequence[str], asked: Asked) -> tuple[int, int]:
    """Begin and end (left out) of what is to be foretold, µs. Without `end`: until the last purchase."""
    purchase = list(kinds).index("purchase") if "purchase" in kinds else -1
    times = base.time[(base.kind == purchase) & (base.item >= 0)]
    if not len(times):
        raise NotReady("nothing was bought yet; import a file or record purchases first")
    if asked.end is None:
        end = int(times.max()) + 1
    else:
        at = asked.end if asked.end.tzinfo else asked.end.replace(tzinfo=UTC)
        end = (at - _EPOCH) // timedelta(microseconds=1)
    begin = end - round(asked.days * DAY)
    if not (times < begin).any():
        raise NotReady(
            f"nothing was bought before {moment(begin)}, the begin of the period; give fewer days than {asked.days:g}, "
            "or a later end"
        )
    return begin, end


def moment(micros: int) -> datetime:
    """A time of the store as a datetime."""
    return _EPOCH + timedelta(microseconds=micros)


__all__ = ["MOST_DAYS", "Asked", "check", "moment", "period"]
