from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def rows(rng: np.random.Generator, sizes: list[int], n_items: int, n_baskets: int) -> dict[str, Any]:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(indptr[-1])
    basket, counted = rng.integers(0, n_baskets, n).astype(np.int64), rng.random(n) < 0.8
    return {
        "indptr": indptr, "item": rng.integers(-1, n_items, n).astype(np.int32), "counted": counted,
        "age": kernels.basket_ages(indptr, basket, counted),
    }  # fmt: skip


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 7], [30, 2], [200]])
@pytest.mark.parametrize("n_groups", [1, 3, 7])
def test_habits_like_their_twin(rng: np.random.Generator, sizes: list[int], n_groups: int) -> None:
    for n_items, n_baskets in ((1, 1), (4, 2), (9, 5), (60, 40)):
        sample = rows(rng, sizes, n_items, n_baskets) | {
            "basket_decay": 0.9, "group_decay": 0.6, "n_groups": n_groups
        }  # fmt: skip
        found, expected = kernels.habits_of(**sample), reference.habits_of(**sample)
        assert [one.dtype.name for one in found] == ["int64", "int32", "float64", "int64"]
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-12)
        for place in (0, 1, 3):
            np.testing.assert_array_equal(found[place], expected[place])


def test_seven_baskets_in_three_groups() -> None:
    """The last group has the basket that is over; the oldest basket counts least, in its group and by its group."""
    item = np.array([5, 1, 2, 5, 3, 4, 6, 5], np.int32)  # baskets 0 … 6, the last of two rows
    age = np.array([6, 5, 4, 3, 2, 1, 0, 0])
    _, items, values, times = kernels.habits_of(np.array([0, 8]), item, age, np.ones(8, bool), 0.9, 0.6, 3)
    wanted = {
        1: 0.9**5 * 0.36 / 6, 2: 0.9**4 * 0.6 / 6, 3: 0.9**2 / 9, 4: 0.9 / 9, 6: 1 / 9,
        5: 0.9**6 * 0.36 / 6 + 0.9**3 * 0.6 / 6 + 1 / 9,
    }  # fmt: skip
    assert items.tolist() == [1, 2, 3, 4, 5, 6]
    assert times.tolist() == [1, 1, 1, 1, 3, 1]
    np.testing.assert_allclose(values, [wanted[code] for code in range(1, 7)], rtol=1e-14)


def test_habits_name_what_is_wrong() -> None:
    item, counted = np.zeros(2, np.int32), np.ones(2, bool)
    for age, groups, field in (([0, 2], 1, "age"), ([0, -1], 1, "age"), ([0, 1], 0, "n_groups")):
        with pytest.raises(InvalidInput, match=field):
            kernels.habits_of(np.array([0, 2]), item, np.array(age), counted, 0.9, 0.9, groups)
