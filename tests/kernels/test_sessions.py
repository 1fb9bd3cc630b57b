from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def under_way(rng: np.random.Generator, sizes: list[int], n_items: int) -> tuple[Any, Any, Any]:
    """Sessions of distinct items, some of which nobody knows; weights that tie."""
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = [rng.permutation(np.arange(-1, n_items + 2))[:size] for size in sizes]
    items = np.array([item for row in rows for item in row], np.int32)
    return indptr, items, rng.integers(1, 4, len(items)) / 4


def index(rng: np.random.Generator, n_items: int, n_sessions: int) -> tuple[Any, Any]:
    lists = [np.flatnonzero(rng.random(n_sessions) < rng.random() / 2) for _ in range(n_items)]
    indptr = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return indptr, np.array([session for one in lists for session in one], np.int32)


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 3], [5, 14], [2] * 40])
def test_neighbours_like_their_twin(rng: np.random.Generator, sizes: list[int]) -> None:
    for n_items, n_sessions in ((0, 0), (13, 60), (20, 5)):
        sessions = under_way(rng, [min(size, n_items + 3) for size in sizes], n_items)
        known = index(rng, n_items, n_sessions)
        for candidates, k in ((1, 1), (10, 3), (100, 100), (7, 50)):
            found = kernels.session_neighbours(*sessions, *known, candidates, k)
            expected = reference.session_neighbours(*sessions, *known, candidates, k)
            assert [one.dtype.name for one in found] == ["int64", "int32", "float64", "int64"]
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 12], [60, 3]])
def test_latest_sessions_like_their_twin(rng: np.random.Generator, sizes: list[int]) -> None:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(indptr[-1])
    rows = (
        rng.integers(-1, 9, n).astype(np.int32),
        rng.integers(0, 4, n).astype(np.uint16),
        np.concatenate([np.sort(rng.integers(0, 90, size)) for size in sizes] or [np.zeros(0, np.int64)]),
        rng.choice([0.0, 1.0, 3.0], n),
    )
    for gap in (0, 2, 10, 1000):
        for longest in (1, 4, 50):
            arguments = indptr, *rows, np.array([True, True, False, True]), 1, gap, longest
            found, expected = kernels.latest_sessions(*arguments), reference.latest_sessions(*arguments)
            assert [one.dtype.name for one in found] == ["int64", "int32", "float64"]
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_kind_beyond_the_table_is_named() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(InvalidInput, match="kind: must be 0 to -1"):
        kernels.latest_sessions(
            np.array([0, 1]), np.zeros(1, np.int32), np.zeros(1, np.uint16), one, np.ones(1), np.zeros(0, bool), 0, 1, 1
        )


def test_sessions_as_long_as_they_may_be(rng: np.random.Generator) -> None:
    items = np.arange(62, dtype=np.int32)
    arguments = np.array([0, 62]), items, np.ones(62), np.arange(63), np.zeros(62, np.int32)
    starts, sessions, similarities, shared = kernels.session_neighbours(*arguments, 5, 5)
    assert (starts.tolist(), sessions.tolist(), similarities.tolist()) == ([0, 1], [0], [62.0])
    assert shared.tolist() == [2**62 - 1]
    with pytest.raises(InvalidInput, match="at most 62"):
        kernels.session_neighbours(np.array([0, 63]), np.arange(63, dtype=np.int32), np.ones(63), *arguments[3:], 5, 5)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"indptr": np.array([0, 2])}, "indptr"),
        ({"weights": np.array([np.nan])}, "weights"),
        ({"index_indptr": np.array([0, 9])}, "index_indptr"),
        ({"candidates": 0}, "candidates"),
        ({"k": 0}, "k"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {
        "indptr": np.array([0, 1]), "items": np.zeros(1, np.int32), "weights": np.ones(1),
        "index_indptr": np.array([0, 1]), "index_sessions": np.zeros(1, np.int32), "candidates": 5, "k": 5,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        kernels.session_neighbours(**(arguments | options))
    assert caught.value.violations[0].field == field
