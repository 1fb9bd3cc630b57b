from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def hashes(*values: int) -> Any:
    return np.array(values, np.uint64)


@pytest.mark.parametrize("capacity", [0, 1, 11, 12, 1000])
def test_a_new_table_takes_its_capacity_before_it_grows_like_its_twin(rng: np.random.Generator, capacity: int) -> None:
    table, twin = kernels.id_set_new(capacity), reference.id_set_new(capacity)
    assert table.dtype == np.uint64
    assert len(table).bit_count() == 1
    filled, used, is_new = kernels.id_set_add(table, 0, rng.integers(1, 2**63, capacity).astype(np.uint64))
    assert filled is table
    assert used == capacity == is_new.sum()
    assert not reference.id_set_contains(twin, hashes(1, 2)).any()
    assert not kernels.id_set_contains(kernels.id_set_new(capacity), hashes(0, 1, 2)).any()


@pytest.mark.parametrize("step", [1, 2**20, 2**44, 2**60 + 1])
def test_id_set_add_and_id_set_contains_like_their_twins(rng: np.random.Generator, step: int) -> None:
    table, used = kernels.id_set_new(4), 0
    twin, twin_used = reference.id_set_new(4), 0
    for size in (0, 1, 5, 40, 300, 7):
        batch = rng.integers(0, 400, size).astype(np.uint64) * np.uint64(step)
        table, used, is_new = kernels.id_set_add(table, used, batch)
        twin, twin_used, expected = reference.id_set_add(twin, twin_used, batch)
        np.testing.assert_array_equal(is_new, expected)
        assert used == twin_used == np.count_nonzero(table)
        assert used <= 0.7 * len(table)
        asked = rng.integers(0, 800, 100).astype(np.uint64) * np.uint64(step)
        np.testing.assert_array_equal(kernels.id_set_contains(table, asked), reference.id_set_contains(twin, asked))


def test_the_hash_zero_and_the_constant_for_it_are_one() -> None:
    table, used, is_new = kernels.id_set_add(kernels.id_set_new(2), 0, hashes(0, 0x9E3779B97F4A7C15))
    assert (used, is_new.tolist()) == (1, [True, False])
    assert kernels.id_set_contains(table, hashes(0, 0x9E3779B97F4A7C15)).all()


def test_the_hash_zero_and_the_largest_are_like_any_other() -> None:
    table, used, is_new = kernels.id_set_add(kernels.id_set_new(2), 0, hashes(0, 2**64 - 1, 0, 2**64 - 1))
    assert is_new.tolist() == [True, True, False, False]
    assert used == 2
    assert kernels.id_set_contains(table, hashes(0, 2**64 - 1, 2**64 - 2, 1)).tolist() == [True, True, False, False]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=30), max_size=6))
def test_each_hash_is_new_once(batches: list[list[int]]) -> None:
    table, used = kernels.id_set_new(0), 0
    seen: set[int] = set()
    for batch in batches:
        table, used, is_new = kernels.id_set_add(table, used, hashes(*batch))
        # The hash 0 and the constant that it is kept as count as one.
        keys = {value or 0x9E3779B97F4A7C15 for value in batch}
        assert is_new.sum() == len(keys - seen)
        seen.update(keys)
        assert used == len(seen)
    assert kernels.id_set_contains(table, hashes(*seen)).all()


def test_a_table_said_to_be_emptier_than_it_is_still_ends_and_answers() -> None:
    table = np.arange(1, 17, dtype=np.uint64)
    assert kernels.id_set_contains(table, hashes(3, 99)).tolist() == [True, False]
    grown, used, is_new = kernels.id_set_add(table, 0, hashes(3, 99))
    assert is_new.tolist() == [False, True]
    assert used == 1
    assert kernels.id_set_contains(grown, hashes(1, 16, 99, 100)).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("table", "used", "values", "field"),
    [
        (np.zeros(15, np.uint64), 0, hashes(1), "table"),
        (np.zeros(0, np.uint64), 0, hashes(1), "table"),
        (np.zeros(16, np.int64), 0, hashes(1), "table"),
        (np.zeros(32, np.uint64)[::2], 0, hashes(1), "table"),
        (np.frombuffer(bytes(128), np.uint64), 0, hashes(1), "table"),
        (np.zeros(16, np.uint64), 12, hashes(1), "used"),
        (np.zeros(16, np.uint64), -1, hashes(1), "used"),
        (np.zeros(16, np.uint64), 0, np.array([-1]), "hashes"),
        (np.zeros(16, np.uint64), 0, np.array([1.0]), "hashes"),
    ],
)
def test_id_set_names_what_is_wrong(table: Any, used: int, values: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        kernels.id_set_add(table, used, values)
    assert caught.value.violations[0].field == field
