from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput

CASES = [(0, 0), (3, 0), (0, 5), (1, 1), (1, 6), (8, 6), (20, 15), (5, 40)]
"""Customers, items of the table."""


def request(rng: np.random.Generator, n_customers: int, n_items: int, *, whole: bool) -> dict[str, Any]:
    indptr, items = samples.lists(rng, n_customers, n_items)
    starts, targets, values = samples.ratings(rng, n_items, n_items, whole=whole)
    return {
        "indptr": indptr, "items": items,
        "weights": rng.integers(-1, 3, len(items)).astype(float) if whole else rng.random(len(items)),
        "starts": starts, "targets": targets, "values": values - 3.0 if whole else values,
    }  # fmt: skip


def exclusions(rng: np.random.Generator, n_customers: int, n_items: int) -> dict[str, Any]:
    indptr, items = samples.lists(rng, n_customers, n_items)
    return {"everywhere": rng.random(n_items + 3) < 0.2, "exclude_indptr": indptr, "exclude_items": items}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items"), CASES)
def test_linear_top_like_its_twin(rng: np.random.Generator, n_customers: int, n_items: int, whole: bool) -> None:
    asked = request(rng, n_customers, n_items, whole=whole)
    unwanted = exclusions(rng, n_customers, n_items)
    for n in (0, 1, 3, n_items + 2):
        codes, scores = kernels.linear_top(**asked, **unwanted, n=n)
        expected_codes, expected_scores = reference.linear_top(**asked, **unwanted, n=n)
        assert [codes.dtype.name, scores.dtype.name] == ["int32", "float64"]
        np.testing.assert_array_equal(codes, expected_codes)
        np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items"), CASES)
def test_linear_scores_and_parts_like_their_twins(
    rng: np.random.Generator, n_customers: int, n_items: int, whole: bool
) -> None:
    asked = request(rng, n_customers, n_items, whole=whole)
    for m in (0, 1, 9):
        chosen = rng.integers(-1, n_items + 2, (n_customers, m)).astype(np.int32)
        scores = kernels.linear_scores(**asked, chosen=chosen)
        assert scores.dtype == np.float64
        np.testing.assert_array_equal(scores, reference.linear_scores(**asked, chosen=chosen))
        found, expected = kernels.linear_parts(**asked, chosen=chosen), reference.linear_parts(**asked, chosen=chosen)
        assert [part.dtype.name for part in found] == ["int64", "int64", "float64"]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_single_precision_is_added_up_in_double(rng: np.random.Generator) -> None:
    asked = request(rng, 8, 6, whole=False)
    single = asked["values"].astype(np.float32)
    chosen = np.tile(np.arange(6, dtype=np.int32), (8, 1))
    narrow = kernels.linear_scores(**(asked | {"values": single}), chosen=chosen)
    wide = kernels.linear_scores(**(asked | {"values": single.astype(np.float64)}), chosen=chosen)
    np.testing.assert_array_equal(narrow, wide)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_lists_scores_and_parts_agree(seed: int, n_items: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    asked = request(rng, 4, n_items, whole=whole)
    codes, scores = kernels.linear_top(**asked, **exclusions(rng, 4, n_items), n=n_items)
    np.testing.assert_array_equal(scores, kernels.linear_scores(**asked, chosen=codes))
    starts, _, parts = kernels.linear_parts(**asked, chosen=codes)
    for place, score in enumerate(scores.ravel()):
        own = parts[starts[place] : starts[place + 1]]
        assert len(own) == 0 if np.isnan(score) else abs(own.sum() - score) < 1e-9


def test_what_is_no_row_of_the_table_is_refused() -> None:
    asked: dict[str, Any] = {
        "indptr": np.array([0, 1]), "items": np.array([0], np.int32), "weights": np.ones(1),
        "starts": np.array([0, 1, 1]), "targets": np.array([1], np.int32), "values": np.ones(1),
        "chosen": np.array([[1]], np.int32),
    }  # fmt: skip
    assert kernels.linear_scores(**asked).tolist() == [[1.0]]
    for field, wrong in (
        ("starts", np.array([0, 9, 1])), ("starts", np.array([0, 2])), ("values", np.ones(2)),
        ("weights", np.array([np.nan])), ("chosen", np.zeros((2, 1), np.int32)),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=field):
            kernels.linear_scores(**(asked | {field: wrong}))
    nothing = {"exclude_indptr": np.zeros(2, np.int64), "exclude_items": np.zeros(0, np.int32)}
    del asked["chosen"]
    with pytest.raises(InvalidInput, match="everywhere"):
        kernels.linear_top(**asked, **nothing, everywhere=np.zeros(1, bool), n=1)
