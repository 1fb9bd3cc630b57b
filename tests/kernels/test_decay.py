from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("n", "n_groups"), [(0, 0), (0, 3), (1, 1), (50, 4), (300, 90)])
def test_decayed_sum_like_its_twin(rng: np.random.Generator, n: int, n_groups: int, dtype: Any) -> None:
    group = rng.integers(-1, n_groups, n).astype(dtype)
    age, value = rng.uniform(-5, 500, n), rng.normal(size=n)
    sums = kernels.decayed_sum(group, age, value, 30.0, n_groups)
    assert sums.dtype == np.float64
    assert sums.shape == (n_groups,)
    np.testing.assert_allclose(sums, reference.decayed_sum(group, age, value, 30.0, n_groups), rtol=1e-12, atol=1e-14)


def test_every_half_life_halves_exactly() -> None:
    sums = kernels.decayed_sum(np.array([0, 1, 2, -1]), np.array([0.0, 7.0, 14.0, 0.0]), np.full(4, 8.0), 7, 4)
    assert sums.tolist() == [8.0, 4.0, 2.0, 0.0]


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 100), st.floats(0, 10)), max_size=20), st.floats(1, 50))
def test_one_half_life_later_all_sums_are_halved(entries: list[tuple[int, float, float]], half_life: float) -> None:
    group, age, value = np.array(entries, float).reshape(-1, 3).T
    now = kernels.decayed_sum(group.astype(int), age, value, half_life, 4)
    later = kernels.decayed_sum(group.astype(int), age + half_life, value, half_life, 4)
    np.testing.assert_allclose(later, now / 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"group": np.array([0, 2])}, "group"),
        ({"group": np.array([0.0, 1.0])}, "group"),
        ({"age": np.array([0.0, np.nan])}, "age"),
        ({"value": np.array([0.0, np.inf])}, "value"),
        ({"value": np.ones(3)}, "value"),
        ({"half_life": 0.0}, "half_life"),
        ({"half_life": np.nan}, "half_life"),
        ({"half_life": "30 days"}, "half_life"),
        ({"n_groups": -1}, "n_groups"),
    ],
)
def test_decayed_sum_names_what_is_wrong(options: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {
        "group": np.array([0, 1]), "age": np.ones(2), "value": np.ones(2), "half_life": 30.0, "n_groups": 2,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        kernels.decayed_sum(**(arguments | options))
    assert caught.value.violations[0].field == field
