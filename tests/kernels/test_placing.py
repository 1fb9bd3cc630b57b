from __future__ import annotations

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize(("n", "n_groups"), [(0, 0), (0, 3), (1, 1), (50, 7), (300, 400)])
def test_place_rows_like_its_twin(rng: np.random.Generator, n: int, n_groups: int) -> None:
    group = rng.integers(0, max(n_groups, 1), n).astype(np.int32)
    free, expected_free = (rng.integers(0, 9, n_groups).astype(np.int64) for _ in range(2))
    expected_free[:] = free
    places = kernels.place_rows(group, free)
    assert places.dtype == np.int64
    np.testing.assert_array_equal(places, reference.place_rows(group, expected_free))
    np.testing.assert_array_equal(free, expected_free)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_pieces_make_a_stable_sort(rng: np.random.Generator, piece: int) -> None:
    group = rng.integers(0, 13, 500).astype(np.int32)
    free = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=13))[:-1]]).astype(np.int64)
    order = np.empty(len(group), np.int64)
    for start in range(0, len(group), piece):
        rows = np.arange(start, min(start + piece, len(group)))
        order[kernels.place_rows(group[rows], free)] = rows
    np.testing.assert_array_equal(order, np.argsort(group, kind="stable"))


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_group_outside_is_refused(wrong: int) -> None:
    with pytest.raises(InvalidInput, match=f"group: must be 0 to 2, but entry 1 is {wrong}"):
        kernels.place_rows(np.array([0, wrong], np.int32), np.zeros(3, np.int64))


def test_free_must_be_written_in_place() -> None:
    with pytest.raises(InvalidInput, match="free: must be a writable array of int64"):
        kernels.place_rows(np.zeros(1, np.int32), np.zeros(1, np.int32))  # type: ignore[arg-type]
