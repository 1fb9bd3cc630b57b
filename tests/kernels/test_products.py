from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference
from tests.kernels.samples import SHAPES, lists, ratings

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_of_rows_like_their_twin(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    for n_customers, density in ((0, 0.3), (5, 0.05), (3, 0.9)):
        table = ratings(rng, *shape, density=density)
        indptr, rows = lists(rng, n_customers, shape[0], longest=9)
        weights = rng.integers(-3, 4, len(rows)).astype(float)
        for values in (table[2], None):
            arguments = indptr, rows, weights, table[0], table[1], values, shape[1]
            found, expected = kernels.add_rows(*arguments), reference.add_rows(*arguments)
            assert [one.dtype.name for one in found] == ["int64", "int32", "float64"]
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", SHAPES)
def test_largest_sums_like_their_twin(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    for n_customers, density, n in ((0, 0.3, 2), (5, 0.1, 3), (4, 0.9, 0), (3, 0.9, 50)):
        table = ratings(rng, *shape, density=density)
        indptr, rows = lists(rng, n_customers, shape[0], longest=9)
        weights = rng.integers(-3, 4, len(rows)).astype(float)
        hidden = lists(rng, n_customers, shape[1])
        for values in (table[2], None):
            arguments = (indptr, rows, weights, table[0], table[1], values, rng.random(shape[1]) < 0.2, *hidden, n)
            found, expected = kernels.top_of_rows(*arguments), reference.top_of_rows(*arguments)
            assert [one.dtype.name for one in found] == ["int32", "float64"]
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)


def test_few_of_many_items_and_many_customers(rng: np.random.Generator) -> None:
    table = ratings(rng, 300, 5000, density=0.01, whole=False)
    indptr, rows = lists(rng, 400, 300, longest=20)
    arguments = indptr, rows, rng.random(len(rows)), *table, 5000
    found, expected = kernels.add_rows(*arguments), reference.add_rows(*arguments)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"indptr": np.array([0, 2])}, "indptr"),
        ({"weights": np.ones(3)}, "weights"),
        ({"table_indptr": np.array([0, 9])}, "table_indptr"),
        ({"table_items": np.array([7], np.int32)}, "table_indptr"),
        ({"table_values": np.ones(2)}, "table_values"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {
        "indptr": np.array([0, 1]), "rows": np.zeros(1, np.int32), "weights": np.ones(1), "n_items": 3,
        "table_indptr": np.array([0, 1]), "table_items": np.zeros(1, np.int32), "table_values": np.ones(1),
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        kernels.add_rows(**(arguments | options))
    assert caught.value.violations[0].field == field
    del arguments["n_items"]
    hiding = {"everywhere": np.zeros(3, bool), "exclude_indptr": np.zeros(2, np.int64), "n": 2}
    with pytest.raises(InvalidInput) as caught:
        kernels.top_of_rows(**(arguments | hiding | {"exclude_items": np.zeros(0, np.int32)} | options))
    assert caught.value.violations[0].field == field
