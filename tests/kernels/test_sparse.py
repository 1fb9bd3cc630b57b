from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput


def same(actual: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for a, b, dtype in zip(actual, expected, (np.int64, np.int32, np.float64), strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_build_csr_like_its_twin(rng: np.random.Generator, n_rows: int, n_columns: int) -> None:
    n = 3 * n_rows * n_columns // 2
    rows = rng.integers(-1, n_rows, n).astype(np.int32)
    columns = rng.integers(-1, n_columns, n).astype(np.int32)
    values = rng.normal(size=n)
    same(
        kernels.build_csr(rows, columns, values, n_rows, n_columns),
        reference.build_csr(rows, columns, values, n_rows, n_columns),
    )


@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_transpose_like_its_twin(rng: np.random.Generator, n_rows: int, n_columns: int) -> None:
    matrix = samples.ratings(rng, n_rows, n_columns)
    same(kernels.transpose(*matrix, n_columns), reference.transpose(*matrix, n_columns))


def test_build_csr_keeps_zero_sums_and_nan_like_its_twin() -> None:
    rows, columns = np.array([1, 0, 1, 0]), np.array([2, 0, 2, 1])
    values = np.array([1.5, np.nan, -1.5, 2.0])
    indptr, indices, data = kernels.build_csr(rows, columns, values, 2, 3)
    same((indptr, indices, data), reference.build_csr(rows, columns, values, 2, 3))
    assert indptr.tolist() == [0, 2, 3]
    assert indices.tolist() == [0, 1, 2]
    assert np.isnan(data[0])
    assert data[1:].tolist() == [2.0, 0.0]


entries = st.lists(st.tuples(st.integers(-2, 5), st.integers(-2, 4), st.integers(-9, 9)), max_size=40)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(entries)
def test_transposing_twice_changes_nothing(given_entries: list[tuple[int, int, int]]) -> None:
    rows, columns, values = np.array(given_entries, np.int64).reshape(-1, 3).T
    matrix = kernels.build_csr(rows, columns, values.astype(float), 6, 5)
    same(kernels.transpose(*kernels.transpose(*matrix, 5), 6), matrix)
    assert matrix[2].sum() == values[(rows >= 0) & (columns >= 0)].sum()


@pytest.mark.parametrize(
    ("rows", "columns", "values", "field"),
    [
        ([0, 3], [0, 0], [1.0, 1.0], "rows"),
        ([0, 1], [0, 2], [1.0, 1.0], "columns"),
        ([0, 1], [0], [1.0, 1.0], "columns"),
        ([0, 1], [0, 1], [1.0], "values"),
        ([0.0, 1.0], [0, 1], [1.0, 1.0], "rows"),
        ([0, 2**40], [0, 1], [1.0, 1.0], "rows"),
        ([0, 1], [0, 1], ["1", "2"], "values"),
        ([[0, 1]], [0, 1], [1.0, 1.0], "rows"),
    ],
)
def test_build_csr_names_what_is_wrong(rows: Any, columns: Any, values: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        kernels.build_csr(np.array(rows), np.array(columns), np.array(values), 3, 2)
    assert caught.value.violations[0].field == field


@pytest.mark.parametrize("size", [-1, 2**31, 1.5, "3", True, None])
def test_sizes_are_whole_numbers_in_range(size: Any) -> None:
    none = np.zeros(0, np.int32)
    with pytest.raises(InvalidInput, match="n_rows: must be a whole number"):
        kernels.build_csr(none, none, np.zeros(0), size, 2)


@pytest.mark.parametrize(
    ("indptr", "indices", "field"),
    [
        ([], [0, 1], "indptr"),
        ([1, 2], [0, 1], "indptr"),
        ([0, 1], [0, 1], "indptr"),
        ([0, 2, 1, 2], [0, 1], "indptr"),
        ([0, 2], [0, 3], "indices"),
        ([0, 2], [-1, 0], "indices"),
        ([0, 2], [1, 0], "indices"),
        ([0, 2], [1, 1], "indices"),
        ([0, 0, 2, 2], [2, 0], "indices"),
    ],
)
def test_a_broken_matrix_is_refused(indptr: Any, indices: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        kernels.transpose(np.array(indptr, np.int64), np.array(indices, np.int32), np.ones(2), 3)
    assert caught.value.violations[0].field == field


def test_any_layout_and_byte_order_of_input_is_taken_and_none_is_changed() -> None:
    indptr, indices, data = np.array([0, 2, 3]), np.array([0, 2, 1], np.int32), np.array([1.0, 2.0, 3.0])
    expected = reference.transpose(indptr, indices, data, 3)
    strided = np.repeat(data, 2)[::2]
    frozen = data.copy()
    frozen.flags.writeable = False
    variants: list[Any] = [strided, frozen, data.astype(">f8"), data.astype(np.float32), data.astype(np.int8)]
    for variant in variants:
        same(kernels.transpose(indptr.astype(np.uint16), indices.astype(np.int64), variant, 3), expected)
    assert data.flags.writeable
