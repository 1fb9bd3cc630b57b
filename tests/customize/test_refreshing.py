"""What was learned follows what is recorded: after a refresh it is what a fit on the same interactions learns."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import visavis
from visavis import Interaction
from visavis.customize import refreshing
from visavis.engine import Engine
from visavis.model import Progress
from visavis.testing.server import serve
from visavis_plugins.scorers.item_similarity import ItemSimilarity

START = datetime(2026, 1, 1, tzinfo=UTC)
METHODS = ("cosine", "adjusted_cosine", "adjusted_cosine_co_rated")
BROKEN = """
import numpy as np
import visavis

class Tired(visavis.Scorer):
    name = "tired"
    personal = False

    def refreshed(self, changes):
        raise RuntimeError("not now")

    def score(self, customers, candidates):
        return np.zeros((len(customers), len(candidates)))

@visavis.hookimpl
def visavis_scorers():
    return [Tired]
"""


def _said(chance: random.Random, rows: int, tag: str) -> list[Interaction]:
    """What a few customers do with a few items, in any order of time; some bring back what c0 bought first."""
    said = []
    for row in range(rows):
        kind = chance.choice(["purchase", "purchase", "purchase", "view", "skip", "return", "rating"])
        hour = chance.randrange(400)
        said.append(
            Interaction(
                kind,
                f"c{chance.randrange(12)}",
                f"i{min(chance.randrange(30), chance.randrange(30))}",
                f"{tag}-{row}",
                START + timedelta(hours=hour),
                rating=float(hour % 5) if kind == "rating" else None,
                reverses_id="first" if kind == "return" and hour % 2 else "",
            )
        )
    return said


def _served(engine: Engine) -> ItemSimilarity:
    scorer = engine.live.generation.scorers["item_similarity"]
    assert isinstance(scorer, ItemSimilarity)
    return scorer


def _agrees(engine: Engine) -> bool:
    """Whether the served table is the one that a fit on everything recorded learns."""
    served = _served(engine)
    anew = ItemSimilarity(served.options).fit(engine.live.history(engine.live.build()))
    return np.array_equal(served.neighbours_, anew.neighbours_) and np.array_equal(
        served.similarities_, anew.similarities_
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_refreshed_table_is_the_fitted_one(tmp_path: Path, method: str) -> None:
    chance = random.Random(7)
    options = {"item_similarity": {"method": method, "neighbours": 3}}
    with _open(tmp_path / "shop.duckdb", options) as engine:
        engine.identify.record([Interaction("purchase", "c0", "i0", "first", START), *_said(chance, 60, "a")])
        engine.fit()
        for number in range(40):
            engine.identify.record(_said(chance, chance.choice([1, 1, 2, 5, 30]), f"b{number}"))
            assert engine.refreshing.refresh() == engine.store.writer.applied
            assert _agrees(engine), number


def _open(path: Path, plugins: dict[str, Any] | None = None, **overrides: Any) -> Engine:
    base = visavis.load_settings({"data": path, **overrides}, environ={})
    return visavis.open(settings=visavis.Settings(base.values, plugins or {}))


def _batch(engine: Engine, customers: range, tag: str, items: int = 40) -> list[Interaction]:
    return [
        Interaction("purchase", f"c{customer}", f"i{(customer * step + step) % items}", f"{tag}-{customer}-{step}")
        for customer in customers
        for step in range(1, 6)
    ]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with _open(tmp_path / "shop.duckdb", refresh_ms=10) as engine:
        engine.identify.record(_batch(engine, range(200), "a"))
        engine.fit()
        yield engine


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def test_few_changes_touch_few_rows_and_new_items_get_theirs(engine: Engine) -> None:
    engine.identify.record(_batch(engine, range(3), "b", items=7))
    engine.refreshing.refresh()  # the first one reads everything
    before = _served(engine)
    engine.identify.record([Interaction("purchase", "somebody new", name) for name in ("n1", "n2", "n3")])
    engine.refreshing.refresh()
    after = _served(engine)
    assert _agrees(engine)
    assert len(after.neighbours_) == len(before.neighbours_) + 3
    similar = [item.item_id for item in engine.similar("n1", n=5).items]
    assert similar == ["n2", "n3"]


def test_the_one_who_asks_sees_one_table_or_the_next(engine: Engine) -> None:
    before = _served(engine)
    kept = before.neighbours_.copy()
    engine.identify.record(_batch(engine, range(50), "b", items=11))
    engine.refreshing.refresh()
    assert _served(engine) is not before
    assert np.array_equal(before.neighbours_, kept)


def test_nothing_is_fitted_nothing_is_refreshed(tmp_path: Path) -> None:
    with _open(tmp_path / "shop.duckdb") as engine:
        assert engine.refreshing.refresh() == 0
        engine.identify.record([Interaction("view", "ann", "tea")])
        assert engine.refreshing.refresh() == 0
        assert engine.admin.status().refreshed_sequence == 0


def test_status_says_how_far_it_has_come(engine: Engine) -> None:
    fitted = engine.admin.status()
    assert 0 < fitted.refreshed_sequence <= fitted.sequence
    engine.identify.record([Interaction("purchase", "c1", "i2", "late")])
    assert engine.admin.status().refreshed_sequence == fitted.refreshed_sequence
    engine.refreshing.refresh()
    status = engine.admin.status()
    assert status.refreshed_sequence == status.sequence


def test_a_fit_meanwhile_is_the_newer_word(engine: Engine) -> None:
    engine.identify.record(_batch(engine, range(20), "b", items=9))
    fitted = engine.live.generation
    served = _served(engine)
    real = served.refreshed

    def slow(changes: visavis.Changes) -> ItemSimilarity:
        engine.fit()
        return real(changes)

    object.__setattr__(served, "refreshed", slow)
    engine.refreshing.refresh()
    assert engine.live.generation.number == fitted.number + 1
    assert _agrees(engine)
    engine.identify.record(_batch(engine, range(20, 30), "c", items=9))
    engine.refreshing.refresh()
    assert _agrees(engine)


def test_a_store_opened_again_catches_up(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with _open(path) as engine:
        engine.identify.record(_batch(engine, range(100), "a"))
        engine.fit()
        engine.identify.record(_batch(engine, range(30), "b", items=13))
    with _open(path) as engine:
        assert not _agrees(engine)
        engine.refreshing.refresh()
        assert _agrees(engine)


def test_an_import_counts_too(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    lines = [f"o{n},c{n % 9},i{n % 11},2026-02-{n % 28 + 1:02d},1,2.50" for n in range(300)]
    file.write_text("\n".join(["order_id,customer_id,item_id,time,quantity,price", *lines]) + "\n")
    engine.identify.import_file(file)
    engine.refreshing.refresh()
    assert _agrees(engine)


def test_rows_of_an_import_that_is_under_way_are_not_taken_as_known(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    rows = [f"k{n},{item},2026-01-0{n % 9 + 1} 10:00" for n in range(60) for item in ("new1", "new2")]
    file.write_text("\n".join(["customer,item,time", *rows]) + "\n")
    engine.refreshing.refresh()
    before = engine.refreshing.sequence
    met = []

    def told(progress: Progress) -> None:
        if engine.live.behind:
            met.append(engine.refreshing.refresh())

    engine.identify.import_file(file, progress=told)
    assert set(met) == {before}, "no progress was told between the commit and the rows in memory: this tries nothing"
    assert engine.refreshing.refresh() == engine.store.writer.applied
    assert [item.item_id for item in engine.similar("new1", n=1).items] == ["new2"]
    assert _agrees(engine)


def test_a_scorer_that_failed_is_asked_again_about_everybody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.identify.record(_batch(engine, range(5), "b", items=9))
    engine.refreshing.refresh()
    monkeypatch.setattr(refreshing, "_AGAIN_S", 0.0)
    with monkeypatch.context() as context:
        context.setattr(ItemSimilarity, "_compare", lambda *_, **__: 1 / 0)
        engine.identify.record(_batch(engine, range(5, 9), "c", items=9))
        engine.refreshing.refresh()
    assert not _agrees(engine)
    engine.identify.record(_batch(engine, range(9, 11), "d", items=9))
    engine.refreshing.refresh()
    assert _agrees(engine)


def test_a_scorer_that_fails_stays_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "tired.py").write_text(BROKEN)
    with _open(tmp_path / "shop.duckdb", plugins_dir=str(folder)) as engine:
        engine.identify.record(_batch(engine, range(20), "a"))
        engine.fit()
        with caplog.at_level(logging.WARNING):
            for number in range(3):
                engine.identify.record(_batch(engine, range(5), f"b{number}", items=9))
                engine.refreshing.refresh()
        assert _agrees(engine)
        assert engine.recommend("c1", scorer="tired").items
    told = [record.getMessage() for record in caplog.records if "tired" in record.getMessage()]
    assert len(told) == 1
    assert "stays as it is: RuntimeError" in told[0]


def test_a_server_refreshes_by_itself(engine: Engine) -> None:
    with serve(engine) as server, visavis.connect(server.address) as client:
        client.identify.record([Interaction("purchase", "newcomer", name) for name in ("x1", "x2")])
        _wait(lambda: bool(engine.live.generation.scorers["item_similarity"].neighbours(40, 5)[0].size))  # type: ignore[attr-defined]
        assert [item.item_id for item in client.similar("x1").items] == ["x2"]
        _wait(lambda: client.admin.status().refreshed_sequence == client.admin.status().sequence)


def test_writers_readers_and_fits_beside_refreshes(engine: Engine) -> None:
    engine.keep_fresh()
    wrong: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                assert engine.recommend("c7", n=5).items
        except BaseException as error:  # noqa: BLE001 - told by the test
            wrong.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(30):
        engine.identify.record(_batch(engine, range(number, number + 4), f"b{number}", items=17 + number))
        if number in (10, 20):
            engine.fit()
    stop.set()
    asking.join()
    assert not wrong
    engine.refreshing.refresh()
    assert _agrees(engine)


def test_a_rebase_in_between_is_no_gap(engine: Engine) -> None:
    engine.identify.record(_batch(engine, range(40), "b", items=13))
    engine.live.rebuild_histories()
    engine.identify.record(_batch(engine, range(10), "c", items=5))
    engine.refreshing.refresh()
    assert _agrees(engine)


def test_no_thread_where_the_pause_is_none(tmp_path: Path) -> None:
    with _open(tmp_path / "shop.duckdb", refresh_ms=0) as engine:
        engine.keep_fresh()
        assert not any(thread.name == "visavis-refresh" for thread in threading.enumerate())
