"""A child whose clock jumps while it has a store open: what holds must not hang on the order of the wall clock."""

from __future__ import annotations

import datetime as real
import json
import sys
import time
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import visavis

_DAY = 86_400.0
_offset = 0.0
_time_ns = time.time_ns
_time = time.time


class _Shifted(real.datetime):
    """`datetime` by the shifted clock."""

    @classmethod
    def now(cls, tz: real.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(_time() + _offset, tz)


def _shift(days: float) -> None:
    """Set the clock of all that Visavis runs, in days from the true time."""
    global _offset
    _offset = days * _DAY


def _install() -> None:
    patch.object(time, "time_ns", lambda: _time_ns() + int(_offset * 1e9)).start()
    patch.object(time, "time", lambda: _time() + _offset).start()
    for name, module in list(sys.modules.items()):
        if name.startswith("visavis") and getattr(module, "datetime", None) is real.datetime:
            patch.object(module, "datetime", _Shifted).start()


def _say(text: str, good: bool) -> None:
    print(json.dumps({"good": good, "text": text}), flush=True)


def _batch(name: str) -> list[visavis.Interaction]:
    return [
        visavis.Interaction("purchase", f"customer {row}", f"item {row % 7}", interaction_id=f"{name}-{row}")
        for row in range(30)
    ]


def main(path: Path) -> None:
    """Write at the true time, then three days ago, then open again, then in the future and back."""
    with visavis.open(path, linger_ms=0) as shop:  # loads what is to be shifted
        shop.warm_up()
    _install()
    with visavis.open(path, linger_ms=0) as shop:
        first = shop.identify.record(_batch("a"), request_id="a")
        shop.identify.set_consent("customer 1", visavis.Consent("marketing", True))
        shop.identify.set_consent("customer 2", visavis.Consent("personalization", False))
        generation = shop.fit().generation
        _shift(-3)
        again = shop.identify.record(_batch("a"), request_id="a")
        _say("a request is sent again after the clock went back three days: the first answer", again == first)
        shop.identify.record(_batch("b"))
        shop.identify.set_consent("customer 1", visavis.Consent("marketing", False))
        _say("an objection by the clock that went back holds", not shop.profile("customer 1").may_market)
        shop.identify.set_consent("customer 2", visavis.Consent("personalization", True))
        _say("a grant by the clock that went back holds", shop.profile("customer 2").may_personalize)
        later = shop.fit().generation
        served = shop.recommend("customer 3").generation
        _say("a fit by the clock that went back is served", later == served == generation + 1)
    with visavis.open(path, linger_ms=0) as shop:
        status: Any = shop.admin.status()
        _say("all is there after reopening", (status.interactions, status.generation) == (60, later))
        _say("without a warning", not status.warnings)
        _say("the objection still holds", not shop.profile("customer 1").may_market)
        _say("the grant still holds", shop.profile("customer 2").may_personalize)
        again = shop.identify.record(_batch("a"), request_id="a")
        _say("the request still has its answer", again == first)
        _shift(400)
        shop.identify.record(_batch("c"), request_id="c")
        _shift(0)
        known = shop.identify.record(_batch("c"), request_id="c")
        _say("a request made in a wrong future has its answer", known.recorded == 30)
        again = shop.identify.record(_batch("a"), request_id="a")
        _say("a request from before the wrong future has its answer", again == first)
        shop.identify.set_consent("customer 1", visavis.Consent("marketing", True))
    with visavis.open(path, linger_ms=0) as shop:
        _say("90 interactions are there", shop.admin.status().interactions == 90)
        again = shop.identify.record([*_batch("a"), *_batch("b"), *_batch("c")])
        _say("no interaction is recorded twice", (again.recorded, again.already_known) == (0, 90))
        _say("the word after the wrong future holds", shop.profile("customer 1").may_market)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
