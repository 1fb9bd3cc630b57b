"""What is sent again is known again, without a scan of the store where that can be helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
        ids = shop.live.known_ids
        assert len(ids._recent) + len(ids._before) <= 40
    assert shop.identify.record(batch(0)).already_known == 10
    assert scans == [10]
    assert shop.identify.record(batch(190)).already_known == 10
    assert len(scans) == 1
