"""The two steps behind all similarities, where sizes change the way they go: widths, blocks, walks, threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput

Array = Any
KINDS = ["cosine", "product", "jaccard", "log_likelihood"]


def crowd(rng: np.random.Generator, n_rows: int, n_columns: int, n_entries: int) -> tuple[Array, Array]:
    """A matrix of ones with few long columns and many short ones."""
    columns = (n_columns * rng.random(n_entries) ** 4).astype(np.int64)
    pairs = np.unique(rng.integers(0, n_rows, n_entries) * n_columns + columns)
    indptr = np.searchsorted(pairs // n_columns, np.arange(n_rows + 1)).astype(np.int64)
    return indptr, (pairs % n_columns).astype(np.int32)


def plain_row(indptr: Array, indices: Array, data: Array, n_columns: int, item: int, k: int) -> tuple[Array, Array]:
    """One row of cosine, from the definition."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    column = np.zeros(len(indptr) - 1)
    column[rows[indices == item]] = data[indices == item]
    products = np.bincount(indices, weights=data * column[rows], minlength=n_columns)
    squares = np.bincount(indices, weights=data * data, minlength=n_columns)
    values = reference.divide(products, np.sqrt(squares * squares[item]))
    values[item] = 0.0
    best = np.lexsort((np.arange(n_columns), -values))[:k]
    best = best[values[best] > 0]
    return np.pad(best, (0, k - len(best)), constant_values=-1), np.pad(values[best], (0, k - len(best)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_item_layout_similar_items_and_rows_top_k_like_their_twins(
    rng: np.random.Generator, n_rows: int, n_columns: int, kind: Any
) -> None:
    matrix = samples.ratings(rng, n_rows, n_columns)
    layout = kernels.item_layout(*matrix, n_columns, kind=kind)
    twin = reference.item_layout(*matrix, n_columns, kind=kind)
    items = rng.integers(0, n_columns, 2 * n_columns).astype(np.int32) if n_columns else np.zeros(0, np.int32)
    for k in (1, 5, n_columns + 1):
        actual = kernels.similar_items(layout, k), kernels.rows_top_k(layout, items, k)
        expected = reference.similar_items(twin, k), reference.rows_top_k(twin, items, k)
        for (codes, values), (twins_codes, twins_values) in zip(actual, expected, strict=True):
            np.testing.assert_allclose(values, twins_values, rtol=1e-12, atol=1e-12)
            if kind != "log_likelihood":
                np.testing.assert_array_equal(codes, twins_codes)


def test_rows_of_an_adjusted_layout_are_those_of_the_whole(rng: np.random.Generator) -> None:
    matrix = samples.ratings(rng, 60, 40)
    layout = kernels.item_layout(*matrix, 40, kind="adjusted_cosine")
    items = rng.integers(0, 40, 25).astype(np.int32)
    whole, rows = kernels.adjusted_cosine_top_k(*matrix, 40, 7), kernels.rows_top_k(layout, items, 7)
    for all_of, some in zip(whole, rows, strict=True):
        np.testing.assert_array_equal(all_of[items], some)
    twin = reference.similar_items(reference.item_layout(*matrix, 40, kind="adjusted_cosine"), 7)
    np.testing.assert_allclose(whole[1], twin[1], rtol=1e-5, atol=1e-6)
    assert (kernels.item_layout(matrix[0], matrix[1], None, 40, kind="adjusted_cosine").squares == 0).all()


@pytest.mark.parametrize("kind", ["jaccard", "log_likelihood"])
def test_kinds_that_count_take_no_notice_of_values(kind: Any) -> None:
    indptr, indices = np.array([0, 2, 4]), np.array([0, 1, 0, 2], np.int32)
    expected = kernels.similar_items(kernels.item_layout(indptr, indices, None, 4, kind=kind), 3)
    for data in (np.zeros(4), np.full(4, 1e200), np.array([0.0, 1e200, -1.0, 0.5])):
        answer = kernels.similar_items(kernels.item_layout(indptr, indices, data, 4, kind=kind), 3)
        for part in range(2):
            np.testing.assert_array_equal(answer[part], expected[part])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_columns", [65_535, 65_536, 65_537])
def test_codes_on_both_sides_of_sixteen_bits(rng: np.random.Generator, n_columns: int, weighted: bool) -> None:
    indptr, indices = crowd(rng, 400, n_columns, 60_000)
    # One customer has everything: the longest row there can be, and the last code is used.
    row = np.arange(n_columns, dtype=np.int32)
    indptr, indices = np.append(indptr, indptr[-1] + n_columns), np.concatenate([indices, row])
    data = rng.integers(1, 6, len(indices)).astype(float) if weighted else np.ones(len(indices))
    layout = kernels.item_layout(indptr, indices, data, n_columns)
    items = np.array([0, 1, 300, 65_000, n_columns - 1], np.int32)
    neighbours, similarities = kernels.rows_top_k(layout, items, 30)
    for place, item in enumerate(items):
        codes, values = plain_row(indptr, indices, data, n_columns, item, 30)
        np.testing.assert_array_equal(similarities[place], values)
        np.testing.assert_array_equal(neighbours[place], codes)


@pytest.mark.parametrize("length", [255, 256, 65_535, 65_536])
def test_counts_on_both_sides_of_what_a_narrow_accumulator_holds(length: int) -> None:
    """Two items that the same `length` customers have, and a third that one of them has."""
    indptr = np.append(np.arange(length, dtype=np.int64) * 2, [2 * length + 1])
    indices = np.append(np.tile(np.array([0, 1], np.int32), length), np.int32(2))
    indices[-3:] = [0, 1, 2]
    neighbours, similarities = kernels.cosine_top_k(indptr, indices, None, 200, 2)
    assert neighbours[:3].tolist() == [[1, 2], [0, 2], [0, 1]]
    assert similarities[0].tolist() == [1.0, 1 / np.sqrt(length)]


@pytest.mark.parametrize("k", [1, 20, 300, 3000])
def test_all_ways_lead_to_the_same_rows(rng: np.random.Generator, k: int) -> None:
    """Long and short columns, walked or looked through, many neighbours or few."""
    n_columns = 2000
    indptr, indices = crowd(rng, 900, n_columns, 40_000)
    for data in (None, rng.integers(1, 6, len(indices)).astype(float)):
        layout = kernels.item_layout(indptr, indices, data, n_columns)
        neighbours, similarities = kernels.similar_items(layout, k)
        for item in range(0, n_columns, 37):
            values = np.ones(len(indices)) if data is None else data
            codes, expected = plain_row(indptr, indices, values, n_columns, item, k)
            np.testing.assert_array_equal(similarities[item], expected)
            np.testing.assert_array_equal(neighbours[item], codes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positive_only", [True, False])
def test_chosen_rows_threads_and_order_of_asking_change_no_bit(
    rng: np.random.Generator, kind: Any, positive_only: bool
) -> None:
    indptr, indices = crowd(rng, 500, 700, 12_000)
    data = rng.normal(size=len(indices))
    one = kernels.item_layout(indptr, indices, data, 700, kind=kind, threads=1)
    three = kernels.item_layout(indptr, indices, data, 700, kind=kind, threads=3)
    whole = kernels.similar_items(one, 15, positive_only=positive_only, threads=1)
    again = kernels.similar_items(three, 15, positive_only=positive_only, threads=3)
    items = rng.integers(0, 700, 200).astype(np.int32)
    some = kernels.rows_top_k(three, items, 15, positive_only=positive_only)
    for part in range(2):
        np.testing.assert_array_equal(whole[part], again[part])
        np.testing.assert_array_equal(whole[part][items], some[part])


@pytest.mark.parametrize("scale", [1e-70, 1e-30, 1.0, 1e30, 1e70])
@pytest.mark.parametrize("shrinkage", [0.0, 1e-9, 3.0])
def test_columns_of_any_size_beside_each_other(rng: np.random.Generator, scale: float, shrinkage: float) -> None:
    indptr, indices = crowd(rng, 60, 150, 1500)
    data = rng.normal(size=len(indices)) * np.where(indices % 2 == 0, scale, 1.0)
    actual = kernels.cosine_top_k(indptr, indices, data, 150, 8, shrinkage=shrinkage)
    expected = reference.cosine_top_k(indptr, indices, data, 150, 8, shrinkage=shrinkage)
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-4, atol=1e-6 if shrinkage == 0.0 else 0.0)


@pytest.mark.parametrize("k", [1, 5, 20, 150])
@pytest.mark.parametrize("n_columns", [64, 65, 600, 9000])
def test_of_many_ties_the_smaller_codes_are_taken(rng: np.random.Generator, k: int, n_columns: int) -> None:
    """Each customer has a few items that few others have: hundreds are equally alike, walked or looked through."""
    n_rows = 60
    columns = np.sort(rng.permuted(np.tile(np.arange(n_columns), (n_rows, 1)), axis=1)[:, : min(n_columns, 400)])
    indptr = np.arange(n_rows + 1, dtype=np.int64) * columns.shape[1]
    indices = columns.ravel().astype(np.int32)
    neighbours, similarities = kernels.cosine_top_k(indptr, indices, None, n_columns, k)
    for item in range(0, n_columns, 1 + n_columns // 60):
        codes, expected = plain_row(indptr, indices, np.ones(len(indices)), n_columns, item, k)
        np.testing.assert_array_equal(similarities[item], expected)
        np.testing.assert_array_equal(neighbours[item], codes)


sizes = st.tuples(st.integers(1, 40), st.integers(1, 200), st.integers(0, 800), st.integers(0, 2**32))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(sizes, st.integers(1, 250), st.sampled_from(["cosine", "jaccard"]), st.floats(0, 20))
def test_counted_rows_equal_the_plain_formula(
    size: tuple[int, int, int, int], k: int, kind: Any, shrinkage: float
) -> None:
    n_rows, n_columns, n_entries, seed = size
    indptr, indices = crowd(np.random.default_rng(seed), n_rows, n_columns, n_entries)
    options: dict[str, Any] = {"kind": kind, "shrinkage": shrinkage if kind == "cosine" else 0.0}
    actual = kernels.similar_items(kernels.item_layout(indptr, indices, None, n_columns, **options), k)
    twin = reference.similar_items(reference.item_layout(indptr, indices, None, n_columns, **options), k)
    np.testing.assert_array_equal(actual[0], twin[0])
    np.testing.assert_array_equal(actual[1], twin[1])


def test_building_and_refreshing_from_several_threads(rng: np.random.Generator) -> None:
    """Whole builds on many threads each, while others refresh rows of one layout that they share."""
    indptr, indices = crowd(rng, 800, 900, 20_000)
    data = rng.integers(1, 6, len(indices)).astype(float)
    layout = kernels.item_layout(indptr, indices, data, 900)
    expected = kernels.similar_items(layout, 10)
    items = np.arange(0, 900, 7, dtype=np.int32)
    wrong: list[str] = []

    def build() -> None:
        for _ in range(5):
            answer = kernels.similar_items(kernels.item_layout(indptr, indices, data, 900, threads=3), 10, threads=3)
            if not all(np.array_equal(a, b) for a, b in zip(answer, expected, strict=True)):
                wrong.append("build")

    def refresh() -> None:
        for _ in range(40):
            answer = kernels.rows_top_k(layout, items, 10)
            if not all(np.array_equal(a, b[items]) for a, b in zip(answer, expected, strict=True)):
                wrong.append("refresh")

    threads = [threading.Thread(target=work) for work in (build, refresh, build, refresh)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_layout_says_its_memory(rng: np.random.Generator) -> None:
    indptr, indices = crowd(rng, 20_000, 1000, 200_000)
    n = len(indices)
    counted = kernels.item_layout(indptr, indices, None, 1000)
    weighted = kernels.item_layout(indptr, indices, np.arange(n) + 1.0, 1000)
    assert len(counted) == 1000
    assert counted.counted
    assert not weighted.counted
    assert 6 * n <= counted.nbytes <= 6 * n + 2 * 20_000 + 100_000
    assert 14 * n <= weighted.nbytes <= 14 * n + 6 * 20_000 + 100_000


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"kind": "euclid"}, "kind"),
        ({"kind": "jaccard", "shrinkage": 1.0}, "shrinkage"),
        ({"threads": 0}, "threads"),
        ({"data": np.array([1.0, np.nan])}, "data"),
        ({"data": np.array([1.0])}, "data"),
        ({"n_columns": 1}, "indices"),
    ],
)
def test_layout_names_what_is_wrong(options: dict[str, Any], field: str) -> None:
    given_: dict[str, Any] = {
        "indptr": np.array([0, 2]),
        "indices": np.array([0, 1], np.int32),
        "data": np.ones(2),
        "n_columns": 2,
    }
    with pytest.raises(InvalidInput) as caught:
        kernels.item_layout(**(given_ | options))
    assert caught.value.violations[0].field == field


@pytest.mark.parametrize(("items", "k", "field"), [([-1], 1, "items"), ([2], 1, "items"), ([0], 0, "k")])
def test_rows_top_k_names_what_is_wrong(items: list[int], k: int, field: str) -> None:
    layout = kernels.item_layout(np.array([0, 2]), np.array([0, 1], np.int32), None, 2)
    with pytest.raises(InvalidInput) as caught:
        kernels.rows_top_k(layout, np.array(items, np.int32), k)
    assert caught.value.violations[0].field == field
