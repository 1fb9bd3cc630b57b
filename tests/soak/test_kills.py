"""The short form of `python -m tests.soak kills`, and that it would see what it looks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.soak.kills import run
from tests.soak.ledger import Ledger
from tests.soak.looking import look
from tests.soak.works import batch, kept_memory, person, ware

import visavis
from visavis import kernels
from visavis.live.histories import Histories
from visavis.live.known import KnownIds

NAME = "1-0-0-20"


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) > 1
    assert " 0 interactions acknowledged" not in found[-1].text


@pytest.fixture
def sound(tmp_path: Path) -> tuple[Path, Ledger]:
    path = tmp_path / "shop.duckdb"
    ledger = Ledger()
    with kept_memory(), visavis.open(path) as shop:
        shop.identify.record(batch(NAME), request_id=NAME)
        shop.identify.upsert_items([ware(5, place, 7) for place in range(15)])
        shop.identify.upsert_customers([person(6, place, 7) for place in range(15)])
    ledger.note({"request": NAME, "answer": [20, 0]})
    ledger.note({"items": 5, "version": 7})
    ledger.note({"customers": 6, "version": 7})
    return path, ledger


def test_a_sound_store_keeps_every_promise(sound: tuple[Path, Ledger]) -> None:
    path, ledger = sound
    found = look(path, ledger, 0)
    assert (found.problems, found.stored) == ([], 20)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("DELETE FROM interactions", "acknowledged batches are missing"),
        (f"DELETE FROM interactions WHERE interaction_id = '{NAME}-3'", "batches are torn"),
        ("INSERT INTO interactions SELECT * FROM interactions LIMIT 1", "interactions stand twice"),
        ("UPDATE items SET name = 'version 6' WHERE item_id = 'ware 5-3'", "items of thread 5 are half changed"),
        ("UPDATE items SET name = 'version 6' WHERE item_id LIKE 'ware%'", "are back at 6, 7 was acknowledged"),
        ("UPDATE customers SET attributes = '{\"version\": 6}' WHERE customer_id LIKE 'person%'", "are back at 6"),
        ("DELETE FROM requests", "answer to request 1-0-0-20 is missing"),
        ("UPDATE store_state SET sequence = 1", "does not open: StoreBehind"),
    ],
)
def test_what_was_lost_is_seen(sound: tuple[Path, Ledger], harm: str, words: str) -> None:
    path, ledger = sound
    with duckdb.connect(str(path)) as connection:
        connection.execute(harm)
    assert words in "; ".join(look(path, ledger, 0).problems)


def test_a_memory_that_differs_from_the_store_is_seen(
    sound: tuple[Path, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ledger = sound
    with monkeypatch.context() as context:
        context.setattr(Histories, "load", lambda *_: None)
        told = "; ".join(look(path, ledger, 0).problems)
        assert "memory as it was opened: item of 0 rows differs from the store's 20" in told
    known = KnownIds._load

    def forgetful(self: KnownIds) -> Any:
        if self._table is None:
            known(self)
            self._table, self._used = kernels.id_set_new(20), 0
        return self._table

    monkeypatch.setattr(KnownIds, "_load", forgetful)
    told = "; ".join(look(path, ledger, 0).problems)
    assert "memory as it was opened: 20 ids of the store are not known, 0 are that are not there" in told


def test_what_is_left_over_is_seen(sound: tuple[Path, Ledger]) -> None:
    path, ledger = sound
    (path.with_name("shop.duckdb.d") / "copy.partial").touch()
    ledger.note({"copy": str(path.with_name("snapshot-1.duckdb"))})
    ledger.note({"consent": "never stored"})
    told = "; ".join(look(path, ledger, 0).problems)
    assert "copy.partial" in told
    assert "snapshot-1.duckdb was acknowledged and is not there" in told
    assert "1 acknowledged consents are missing" in told
