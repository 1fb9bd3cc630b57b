"""Memory after reopening is memory before closing, whatever was done; and what was refused leaves no trace."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import visavis
from visavis import Consent, Customer, Identifier, Interaction, Item
from visavis.config import load_settings
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput
from visavis.live.kept import KEPT_ROWS
from visavis.store import Operation

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
REFS = ["ann", "bob", Identifier("email", "ann@x"), Identifier("device", "d"), None]


def interaction(number: int, ref: int, item: int, kind: str, hour: int, quantity: float, reverses: int) -> Interaction:
    return Interaction(
        kind,
        REFS[ref],
        f"i{item}",
        interaction_id=f"n{number}",
        occurred_at=BEGIN + timedelta(hours=hour),
        quantity=quantity,
        order_id=f"o{hour % 3}" if hour % 2 else "",
        reverses_id=f"n{reverses}" if reverses >= 0 else "",
    )


steps = st.one_of(
    st.lists(
        st.builds(
            interaction,
            number=st.integers(0, 40),
            ref=st.integers(0, 4),
            item=st.integers(0, 2),
            kind=st.sampled_from(["purchase", "purchase", "return", "view", "skip"]),
            hour=st.integers(0, 60),
            quantity=st.sampled_from([0.1, 1.0, 2.0]),
            reverses=st.integers(-1, 40),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["fit", "conflict", "too many"]),
    st.builds(Customer, st.sampled_from(["ann", "carl"]), st.just(()), st.dictionaries(st.just("k"), st.floats(0, 1))),
    st.builds(Item, st.sampled_from(["i0", "i9"]), st.sampled_from(["", "Nine"]), st.sampled_from(["", "g"])),
    st.builds(Consent, st.just("personalization"), st.booleans()),
)


def do(shop: Engine, step: Any) -> None:
    if isinstance(step, list):
        shop.identify.record(step)
    elif isinstance(step, Customer):
        shop.identify.upsert_customers([step])
    elif isinstance(step, Item):
        shop.identify.upsert_items([step])
    elif isinstance(step, Consent):
        shop.identify.upsert_customers([Customer("ann")], update_mask=["identifiers"])
        shop.identify.set_consent("ann", step)
    elif step == "fit":
        if shop.admin.status().interactions:
            shop.admin._live.rebuild_histories()
    elif step == "conflict":
        shop.identify.upsert_customers([Customer("owner", (Identifier("phone", "1"),))])
        with pytest.raises(Conflict):
            shop.identify.upsert_customers([Customer("thief", (Identifier("tablet", "t"), Identifier("phone", "1")))])
    else:
        with pytest.raises(InvalidInput):
            shop.identify.record([Interaction("view", "ghost", "spectre"), Interaction("view", "ghost", "")])


def memory(shop: Engine) -> dict[str, Any]:
    """Everything that requests read."""
    live = shop.live
    count = len(live.identities.customers)
    past = live.histories.of(np.arange(count, dtype=np.int32), [""] * count, live.kinds.names, 0)
    items = live.catalog.whole()
    return {
        "customers": live.identities.customers.texts,
        "owners": live.identities.owners.tolist(),
        "profiles": [shop.profile(ref) for ref in live.identities.customers.texts],
        "kinds": live.kinds.names,
        "items": [live.catalog.row(code) for code in range(len(live.catalog))],
        "columns": [getattr(items, name).tolist() for name in ("codes", "available", "group", "first_seen")],
        "past": [
            getattr(past, name).tolist()
            for name in ("indptr", "item", "kind", "time", "quantity", "basket")
        ],
    }  # fmt: skip


@pytest.mark.parametrize("kept_rows", [KEPT_ROWS, 0])
@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(steps, min_size=1, max_size=6))
def test_memory_after_reopening_is_memory_before(
    tmp_path: Path, empty_store: Path, kept_rows: int, monkeypatch: pytest.MonkeyPatch, script: list[Any]
) -> None:
    monkeypatch.setattr("visavis.live.kept.KEPT_ROWS", kept_rows)
    folder = tmp_path / "again"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(empty_store, folder)
    plain = load_settings({"linger_ms": 0}, environ={})
    with visavis.open(folder / "s.duckdb", settings=plain) as shop:
        for step in script:
            do(shop, step)
        before = memory(shop)
        assert "ghost" not in before["customers"]
        assert "thief" not in before["customers"]
    with visavis.open(folder / "s.duckdb", settings=plain) as shop:
        assert memory(shop) == before


def past_of(shop: Engine) -> list[Any]:
    live = shop.live
    codes = np.arange(len(live.identities.customers), dtype=np.int32)
    past = live.histories.of(codes, [""] * len(codes), live.kinds.names, 0)
    return [getattr(past, name).tolist() for name in ("indptr", "item", "kind", "time", "quantity", "basket")]


def test_what_came_is_folded_into_the_base_in_the_background(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.live.histories.REBASE_ROWS", 20)
    shop.live.rebuild_histories()
    for number in range(60):
        shop.identify.record(
            [
                Interaction("purchase", f"c{number % 3}", "i", interaction_id=f"p{number}"),
                Interaction("return", f"c{number % 3}", "i", reverses_id=f"p{number - 3}"),
            ]
        )
    shop.live.close()
    folded = past_of(shop)
    assert len(shop.live.histories._state.base.item) > 20
    shop.live.rebuild_histories()
    assert past_of(shop) == folded


def test_one_rebase_at_a_time_and_none_behind_the_close(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    def hold() -> None:
        runs.append(1)
        inside.set()
        assert go_on.wait(10)

    monkeypatch.setattr(shop.live, "rebuild_histories", hold)
    shop.live._rebase_soon()
    assert inside.wait(10)
    shop.live._rebase_soon()
    closing = threading.Thread(target=shop.close)
    closing.start()
    closing.join(0.05)
    # The store stays open as long as somebody reads it.
    assert closing.is_alive()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    shop.live._rebase_soon()
    assert len(runs) == 1


def test_a_rebase_that_fails_is_told_and_answers_go_on(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop.identify.record([Interaction("view", "ann", "tea")])

    def fall(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(shop.live, "build", fall)
    shop.live._rebase_soon()
    shop.live.close()
    assert "histories could not be rebased: MemoryError" in caplog.text
    assert shop.profile("ann").interaction_count == 1


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    visavis.open(folder / "s.duckdb", settings=load_settings({}, environ={})).close()
    return folder


def test_a_damaged_generation_leaves_the_store_open_for_a_new_fit(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop()
    shop.identify.record([Interaction("purchase", f"c{n % 3}", f"i{n % 2}") for n in range(12)])
    shop.fit()
    shop.store.writer.run(Operation(lambda tx: tx.cursor.execute("UPDATE generation_arrays SET data = 'x'::BLOB")))
    shop.close()
    again = open_shop()
    (warning,) = again.admin.status().warnings
    assert "generation 1 is left out" in warning
    assert "run `visavis fit`" in warning
    assert again.fit().generation == 2
    assert again.admin.status().warnings == ()
