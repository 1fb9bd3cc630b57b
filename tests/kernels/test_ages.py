from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput

SIZES: list[list[int]] = [[], [0], [1], [1, 0, 7], [30, 2], [200]]


def rows(rng: np.random.Generator, sizes: list[int], n_baskets: int) -> dict[str, Any]:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(indptr[-1])
    basket = rng.integers(-3, n_baskets, n).astype(np.int64)
    if rng.random() < 0.5:
        basket.sort()
    return {"indptr": indptr, "basket": basket, "counted": rng.random(n) < 0.6}


@pytest.mark.parametrize("sizes", SIZES)
def test_basket_ages_like_their_twin(rng: np.random.Generator, sizes: list[int]) -> None:
    for n_baskets in (1, 4, 60):
        sample = rows(rng, sizes, n_baskets)
        ages = kernels.basket_ages(**sample)
        assert ages.dtype == np.int64
        np.testing.assert_array_equal(ages, reference.basket_ages(**sample))


@pytest.mark.parametrize("sizes", SIZES)
def test_youngest_like_its_twin(rng: np.random.Generator, sizes: list[int]) -> None:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(indptr[-1])
    own = [np.unique(rng.integers(0, 9, rng.integers(0, 6))) for _ in sizes]
    sample = {
        "indptr": indptr, "item": rng.integers(-1, 9, n).astype(np.int32), "age": rng.integers(0, 5, n),
        "marked": rng.random(n) < 0.7, "entry_indptr": np.cumsum([0, *map(len, own)]).astype(np.int64),
        "entry_item": np.concatenate([np.zeros(0), *own]).astype(np.int32),
    }  # fmt: skip
    found = kernels.youngest(**sample)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, reference.youngest(**sample))


def test_a_look_belongs_to_the_basket_of_its_day_or_comes_after_what_was_bought() -> None:
    # Oldest first: basket 5, a look, basket 6 (with a look before and one after it), a look under a number of its own.
    basket = np.array([5, 9, 6, 6, 6, 8])
    counted = np.array([True, False, False, True, False, False])
    ages = kernels.basket_ages(np.array([0, 6]), basket, counted)
    assert ages.tolist() == [1, 1, 0, 0, 0, 0]


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_a_customer_alone_is_as_old_as_in_company(seed: int) -> None:
    sample = rows(np.random.default_rng(seed), [3, 0, 12], 4)
    together = kernels.basket_ages(**sample)
    for first, last in zip(sample["indptr"][:-1], sample["indptr"][1:], strict=True):
        alone = kernels.basket_ages(
            np.array([0, last - first]), sample["basket"][first:last], sample["counted"][first:last]
        )
        np.testing.assert_array_equal(together[first:last], alone)


def test_ages_name_what_is_wrong() -> None:
    basket, counted = np.zeros(2, np.int64), np.ones(2, bool)
    with pytest.raises(InvalidInput, match="indptr"):
        kernels.basket_ages(np.array([0, 1]), basket, counted)
    with pytest.raises(InvalidInput, match="counted"):
        kernels.basket_ages(np.array([0, 2]), basket, counted[:1])
    items, ages = np.zeros(2, np.int32), np.zeros(2, np.int64)
    with pytest.raises(InvalidInput, match="entry_indptr"):
        kernels.youngest(np.array([0, 2]), items, ages, counted, np.array([0, 0, 0]), items[:0])
