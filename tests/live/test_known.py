"""What is sent again is known again, without a scan of the store where that can be helped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, Self

import pytest

from visavis import Interaction
from visavis.engine import Engine
from visavis.errors import InvalidInput
from visavis.store.interactions import stored_ids


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many hashes each scan of the store asked for."""
    asked: list[int] = []

    def counted(cursor: Any, hashes: Sequence[int]) -> set[str]:
        asked.append(len(hashes))
        return stored_ids(cursor, hashes)

    monkeypatch.setattr("visavis.live.known.stored_ids", counted)
    return asked


def batch(start: int, count: int = 10) -> list[Interaction]:
    return [Interaction("view", "ann", "tea", interaction_id=f"n{number}") for number in range(start, start + count)]


def test_what_is_sent_again_at_once_costs_no_scan(shop: Engine, scans: list[int]) -> None:
    assert shop.identify.record(batch(0)).recorded == 10
    for _ in range(3):
        assert shop.identify.record(batch(5)).already_known in (5, 10)
    assert scans == []
    assert shop.admin.status().interactions == 15


def test_what_is_older_is_looked_up_once(open_shop: Callable[..., Engine], scans: list[int]) -> None:
    shop = open_shop()
    shop.identify.record(batch(0))
    shop.close()
    again = open_shop()
    for _ in range(3):
        assert again.identify.record(batch(0)).already_known == 10
    assert scans == [10]


def test_what_was_refused_is_not_known(shop: Engine, scans: list[int]) -> None:
    with pytest.raises(InvalidInput):
        shop.identify.record([*batch(0), Interaction("view", "ann", "")])
    assert shop.identify.record(batch(0)).recorded == 10


def test_only_so_many_are_kept_as_texts(shop: Engine, scans: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.live.known.MOST_RECENT", 20)
    for start in range(0, 200, 10):
        shop.identify.record(batch(start))
        assert len(shop.live.known_ids._recent) <= 40
    assert shop.identify.record(batch(0)).already_known == 10
    assert scans == [10]
    assert shop.identify.record(batch(190)).already_known == 10
    assert len(scans) == 1


class Clock:
    """What `live.known` takes for the wall clock and for the time since the start, ahead by so much."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.running = timedelta()
        clock = self

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return super().now(tz) + clock.wall

        running = SimpleNamespace(monotonic=lambda: time.monotonic() + self.running.total_seconds())
        monkeypatch.setattr("visavis.live.known.datetime", Shifted)
        monkeypatch.setattr("visavis.live.known.time", running)

    def pass_by(self, **more: float) -> None:
        self.wall += timedelta(**more)
        self.running += timedelta(**more)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def told(shop: Engine, request_id: str) -> tuple[int, int]:
    """Send one purchase without an id of its own; how many of all are stored then."""
    answer = shop.identify.record([Interaction("purchase", "ann", "tea")], request_id=request_id)
    return answer.recorded, shop.admin.status().interactions


def stored_requests(shop: Engine) -> set[str]:
    with shop.store.cursor() as cursor:
        return {name for (name,) in cursor.execute("SELECT request_id FROM requests").fetchall()}


@pytest.mark.parametrize("hours_before", [0, 2])
def test_a_clock_that_is_ahead_once_makes_no_request_forgotten(
    open_shop: Callable[..., Engine], clock: Clock, hours_before: float
) -> None:
    shop = open_shop()
    assert told(shop, "a") == (1, 1)
    clock.pass_by(hours=hours_before)
    clock.wall += timedelta(days=400)
    assert told(shop, "a") == (1, 1)
    assert told(shop, "b") == (1, 2)
    clock.wall -= timedelta(days=400)
    assert told(shop, "a") == (1, 2)
    shop.close()
    again = open_shop()
    assert told(again, "a") == (1, 2)
    assert told(again, "b") == (1, 2)


def test_a_clock_that_goes_back_makes_no_request_forgotten(shop: Engine, clock: Clock) -> None:
    assert told(shop, "a") == (1, 1)
    clock.wall -= timedelta(days=3)
    clock.running += timedelta(hours=23)
    assert told(shop, "b") == (1, 2)
    clock.wall += timedelta(days=5)
    assert told(shop, "a") == (1, 2)
    assert stored_requests(shop) == {"a", "b"}


def test_a_day_later_a_request_is_forgotten(shop: Engine, clock: Clock) -> None:
    assert told(shop, "a") == (1, 1)
    clock.pass_by(hours=23)
    assert told(shop, "a") == (1, 1)
    assert told(shop, "b") == (1, 2)
    clock.pass_by(hours=2)
    assert told(shop, "c") == (1, 3)
    assert stored_requests(shop) == {"b", "c"}
    assert told(shop, "a") == (1, 4)
    assert told(shop, "b") == (1, 4)
