from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def base(rng: np.random.Generator, n_customers: int) -> dict[str, Any]:
    # Nobody's rows stand before the first customer's.
    indptr = np.cumsum([2, *rng.integers(0, 5, n_customers)]).astype(np.int64)
    n = int(indptr[-1])
    return {
        "indptr": indptr,
        "item": rng.integers(-1, 9, n).astype(np.int32),
        "kind": rng.integers(0, 3, n).astype(np.uint16),
        "time": rng.integers(0, 99, n).astype(np.int64),
        "quantity": rng.choice([-1.0, 0.0, 2.0], n),
        "rating": rng.random(n),
        "basket": rng.integers(0, 9, n).astype(np.int64),
    }


@pytest.mark.parametrize("purchase", [-1, 1])
@pytest.mark.parametrize("codes", [[], [0], [3, -1, 0, 3, 99], list(range(20))])
def test_rows_like_their_twin(rng: np.random.Generator, codes: list[int], purchase: int) -> None:
    arguments = base(rng, 20) | {"codes": np.array(codes, np.int32), "purchase": purchase}
    for found, expected in zip(kernels.rows_of(**arguments), reference.rows_of(**arguments), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sizes", [[], [0, 0], [1, 5, 0, 9]])
def test_items_like_their_twin(rng: np.random.Generator, sizes: list[int]) -> None:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    item, kind = rng.integers(-1, 9, indptr[-1]).astype(np.int32), rng.integers(0, 4, indptr[-1]).astype(np.uint16)
    for wanted in ([], [True], [False, True, True], [True] * 4):
        arguments = indptr, item, kind, np.array(wanted, bool), 7
        for found, expected in zip(kernels.items_of(*arguments), reference.items_of(*arguments), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_items_of_a_time_like_their_twin(rng: np.random.Generator) -> None:
    indptr = np.array([0, 4, 4, 30])
    item, kind = rng.integers(-1, 9, 30).astype(np.int32), rng.integers(0, 4, 30).astype(np.uint16)
    time, after = np.sort(rng.integers(0, 20, 30)), np.array([3, 10, np.iinfo(np.int64).min])
    arguments = indptr, item, kind, np.array([True, True, True]), 7, time, after
    for found, expected in zip(kernels.items_of(*arguments), reference.items_of(*arguments), strict=True):
        np.testing.assert_array_equal(found, expected)
    for options in ((time[:3], after), (None, after), (time, after[:1])):
        with pytest.raises(InvalidInput, match=r"time|after"):
            kernels.items_of(*arguments[:5], *options)


def test_what_is_wrong_is_named(rng: np.random.Generator) -> None:
    arguments = base(rng, 3) | {"codes": np.array([0], np.int32), "purchase": 1}
    for options, field in (
        ({"indptr": np.array([0, 99])}, "indptr"),
        ({"indptr": np.array([2, 1])}, "indptr"),
        ({"rating": np.zeros(1)}, "rating"),
        ({"codes": np.zeros(1)}, "codes"),
    ):
        with pytest.raises(InvalidInput) as caught:
            kernels.rows_of(**(arguments | options))
        assert caught.value.violations[0].field == field
    item, kind = np.zeros(2, np.int32), np.zeros(2, np.uint16)
    for indptr in ([0, 3], [1, 2], [0, 2, 1, 2], []):
        with pytest.raises(InvalidInput, match="indptr"):
            kernels.items_of(np.array(indptr, np.int64), item, kind, np.ones(1, bool), 1)
