"""Learned state comes back as it was, whatever its type and size."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visavis.config import Settings
from visavis.errors import StoreDamaged
from visavis.store import Operation, Store, Transaction, generations
from visavis.store.generations import (
    FittedPlugin,
    GenerationRow,
    delete_generations,
    insert_generation,
    insert_memberships,
    insert_plugin,
    insert_similar_items,
    read_generations,
    read_memberships,
    read_plugins,
    served_generation,
)

STATE: dict[str, Any] = {
    "empty_": np.empty((0, 3), np.float32),
    "flag_": True,
    "floats_": np.array([[1.5, np.nan], [-np.inf, 0.0]]),
    "name_": "é🍵",
    "none_": None,
    "number_": 3,
    "other_order_": np.arange(6, dtype=">i4").reshape(2, 3).T,
    "ratio_": math.nan,
    "scalar_": np.array(7),
    "times_": np.array(["2024-01-01"], dtype="datetime64[us]"),
    "words_": np.array(["a", "längst"]),
}
ROW = GenerationRow(1, datetime(2024, 1, 1), 5, 1, 2, 3, 0.5, "0")  # noqa: DTZ001 - as stored


@pytest.fixture
def store(tmp_path: Path, plain_settings: Settings) -> Any:
    with Store.open(tmp_path / "s.duckdb", plain_settings) as opened:
        yield opened


def test_state_comes_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "PART_BYTES", 7)

    def apply(tx: Transaction) -> None:
        insert_plugin(tx, 1, FittedPlugin("scorer", "b", '{"k": 1}', STATE))
        insert_plugin(tx, 1, FittedPlugin("scorer", "a", "{}", {}, "fell over"))
        insert_plugin(tx, 2, FittedPlugin("scorer", "b", "{}", {"number_": 4}))
        insert_generation(tx, ROW)

    store.writer.run(Operation(apply))
    with store.cursor() as cursor:
        broken, fitted = read_plugins(cursor, 1)
        assert (broken.name, broken.error, broken.state) == ("a", "fell over", {})
        assert (fitted.options, fitted.error) == ('{"k": 1}', "")
        assert fitted.state.keys() == STATE.keys()
        for name, value in STATE.items():
            found = fitted.state[name]
            if isinstance(value, np.ndarray):
                assert found.dtype == value.dtype
                assert found.shape == value.shape
            np.testing.assert_array_equal(found, value)
        assert read_plugins(cursor, 2)[0].state == {"number_": 4}
        assert read_generations(cursor) == [ROW]
        assert served_generation(cursor) == 1


def test_memberships_and_neighbours(store: Store) -> None:
    def apply(tx: Transaction) -> None:
        insert_memberships(tx, 1, "rfm", np.array([2, 0], np.int32), ["best", "new"])
        insert_memberships(tx, 1, "none", np.empty(0, np.int32), [])
        insert_similar_items(tx, 1, "s", np.array([[1, -1], [-1, -1]], np.int32), np.array([[0.5, 0.0], [0.0, 0.0]]))

    store.writer.run(Operation(apply))
    with store.cursor() as cursor:
        found = read_memberships(cursor, 1)
        assert list(found) == ["rfm"]
        assert found["rfm"][0].tolist() == [0, 2]
        assert found["rfm"][1] == ["new", "best"]
        neighbours = cursor.execute("SELECT item_code, rank, similar_code, similarity FROM similar_items").fetchall()
        assert neighbours == [(0, 1, 1, 0.5)]
    store.writer.run(Operation(lambda tx: delete_generations(tx, [])))
    with store.cursor() as cursor:
        assert read_memberships(cursor, 1) == {}


def test_a_part_that_is_missing_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "PART_BYTES", 8)

    def apply(tx: Transaction) -> None:
        insert_plugin(tx, 1, FittedPlugin("scorer", "a", "{}", {"x_": np.arange(3.0)}))
        tx.cursor.execute("DELETE FROM generation_arrays WHERE part = 1")

    store.writer.run(Operation(apply))
    with store.cursor() as cursor, pytest.raises(StoreDamaged, match=r"x_ has 16 bytes.*visavis fit"):
        read_plugins(cursor, 1)
