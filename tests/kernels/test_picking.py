from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def empty(n_lists: int, n: int) -> dict[str, Any]:
    return {
        "items": np.full((n_lists, n), -1, np.int32),
        "values": np.full((n_lists, n), np.nan),
        "by": np.zeros((n_lists, n), np.int8),
        "counts": np.zeros((n_lists, 3), np.int64),
    }


def answer(rng: np.random.Generator, n_rows: int, m: int, n_items: int) -> dict[str, Any]:
    """What a scorer might answer; now and then it is wrong."""
    codes = np.full((n_rows, m), -1, np.int32)
    for row in range(n_rows):
        length = int(rng.integers(0, m + 1))
        codes[row, :length] = rng.permutation(max(n_items, length))[:length]
    scores = rng.random((n_rows, m))
    if rng.random() < 0.3 and codes.size:
        codes.flat[rng.integers(codes.size)] = rng.choice([-2, -1, 0, n_items])
    if rng.random() < 0.2 and codes.size:
        scores.flat[rng.integers(codes.size)] = rng.choice([np.nan, np.inf])
    hidden = rng.integers(-1, n_items + 2, (n_rows, 1)).astype(np.int32)
    return {
        "codes": codes,
        "scores": scores,
        "group": rng.integers(-1, 30, n_items).astype(np.int32) if rng.random() < 0.6 else np.empty(0, np.int32),
        "everywhere": rng.random(n_items) < 0.02,
        "exclude_indptr": np.arange(n_rows + 1),
        "exclude_items": hidden.ravel(),
    }


@pytest.mark.parametrize("n_items", [0, 1, 5, 20])
def test_lists_are_filled_like_their_twins(rng: np.random.Generator, n_items: int) -> None:
    wrong = set()
    for _ in range(60):
        n_lists, n = int(rng.integers(1, 4)), int(rng.integers(1, 7))
        ours, theirs = empty(n_lists, n), empty(n_lists, n)
        for scorer in range(3):
            rows = np.sort(rng.permutation(n_lists)[: rng.integers(1, n_lists + 1)])
            given_ = answer(rng, len(rows), int(rng.integers(0, 9)), n_items) | {"rows": rows, "scorer": scorer}
            told = kernels.pick(**ours, **given_)
            assert told == reference.pick(**theirs, **given_)
            wrong.add(told)
            for name, column in ours.items():
                np.testing.assert_array_equal(column, theirs[name])
    assert "" in wrong


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_a_list_holds_no_item_and_no_group_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lists = empty(2, 6)
    given_ = answer(rng, 2, 12, 12) | {"rows": np.arange(2), "everywhere": np.zeros(12, bool)}
    group = given_["group"]
    for scorer in range(2):
        kernels.pick(**lists, **given_, scorer=scorer)
    for row in range(2):
        placed = lists["items"][row][lists["items"][row] >= 0]
        groups = group[placed][group[placed] >= 0] if len(group) else group
        assert len(set(placed.tolist())) == len(placed) == lists["counts"][row].sum()
        assert len(set(groups.tolist())) == len(groups)


def test_more_groups_than_items_and_threads() -> None:
    """Marks are kept by each thread for itself."""
    found = []

    def fill(group: int) -> None:
        lists = empty(1, 3)
        for _ in range(200):
            lists = empty(1, 3)
            codes = np.array([[2, 1, 0]], np.int32)
            nothing = np.array([0, 0]), np.empty(0, np.int32)
            groups = np.array([group, 7, group], np.int32)
            args = [np.zeros(1, np.int64), codes, np.ones((1, 3)), groups, np.zeros(3, bool), *nothing, 0]
            assert kernels.pick(*lists.values(), *args) == ""
        found.append(lists["items"][0].tolist())

    threads = [threading.Thread(target=fill, args=(group,)) for group in (1_000, 50_000, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[2, 1, -1]] * 3


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"codes": np.zeros((2, 1), np.int32)}, "codes"),
        ({"scores": np.zeros((1, 2))}, "scores"),
        ({"group": np.zeros(2, np.int32)}, "group"),
        ({"exclude_indptr": np.zeros(1, np.int64)}, "exclude_indptr"),
        ({"by": np.zeros((2, 2), np.int8)}, "by"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], field: str) -> None:
    arguments = empty(1, 2) | {
        "rows": np.zeros(1, np.int64), "codes": np.zeros((1, 1), np.int32), "scores": np.ones((1, 1)),
        "group": np.empty(0, np.int32), "everywhere": np.zeros(3, bool),
        "exclude_indptr": np.zeros(2, np.int64), "exclude_items": np.empty(0, np.int32), "scorer": 0,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        kernels.pick(**(arguments | options))
    assert caught.value.violations[0].field == field
