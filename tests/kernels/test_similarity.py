from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput

NONE = np.nan
RATINGS = np.array(
    [[5, 3, 4, 4, NONE], [3, 1, 2, 3, 3], [4, 3, 4, 3, 5], [3, 3, 1, 5, 4], [1, 5, 5, 2, 1]], dtype=float
)
BASKETS = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], dtype=float)


def csr(matrix: Any) -> tuple[Any, Any, Any]:
    matrix = np.asarray(matrix, float)
    return reference.sparse(np.nan_to_num(matrix), ~np.isnan(matrix) & (matrix != 0))


def square(answer: tuple[Any, Any]) -> Any:
    """The answer as a matrix, NaN where a pair is not in it."""
    neighbours, similarities = answer
    matrix = np.full((len(neighbours),) * 2, np.nan)
    for item, (codes, values) in enumerate(zip(neighbours, similarities, strict=True)):
        matrix[item, codes[codes >= 0]] = values[codes >= 0]
    return matrix


def same(actual: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    assert [part.dtype for part in actual] == [np.int32, np.float64]
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def alike(actual: tuple[Any, Any], expected: tuple[Any, Any], *, of: Any) -> None:
    """Equal to float32's precision: `of(k)` is the twin's whole answer, for items whose places rounding may swap."""
    assert [part.dtype for part in actual] == [np.int32, np.float64]
    size = max(1.0, float(np.abs(expected[1]).max(initial=0.0)))
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-5, atol=1e-6 * size)
    exact = square(of)
    for item, (codes, values) in enumerate(zip(*actual, strict=True)):
        kept = codes >= 0
        assert len(set(codes[kept].tolist())) == kept.sum()
        np.testing.assert_allclose(values[kept], exact[item, codes[kept]], rtol=1e-5, atol=1e-6 * size)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_cosine_top_k_like_its_twin(rng: np.random.Generator, n_rows: int, n_columns: int, whole: bool) -> None:
    matrix = samples.ratings(rng, n_rows, n_columns, whole=whole)
    for k in (1, 3, n_columns + 2):
        for shrinkage, positive_only in ((0.0, True), (2.5, False)):
            options: dict[str, Any] = {"shrinkage": shrinkage, "positive_only": positive_only}
            actual = kernels.cosine_top_k(*matrix, n_columns, k, **options)
            expected = reference.cosine_top_k(*matrix, n_columns, k, **options)
            if whole:
                same(actual, expected)
            else:
                alike(actual, expected, of=reference.cosine_top_k(*matrix, n_columns, n_columns + 1, **options))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("reading", ["all_customers", "co_rated"])
@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_adjusted_cosine_top_k_like_its_twin(
    rng: np.random.Generator, n_rows: int, n_columns: int, reading: Any, whole: bool
) -> None:
    matrix = samples.ratings(rng, n_rows, n_columns, density=0.5, whole=whole)
    for k, positive_only in ((1, True), (3, False), (n_columns + 2, False)):
        options: dict[str, Any] = {"reading": reading, "positive_only": positive_only}
        actual = kernels.adjusted_cosine_top_k(*matrix, n_columns, k, **options)
        expected = reference.adjusted_cosine_top_k(*matrix, n_columns, k, **options)
        if reading == "co_rated":
            same(actual, expected)
        elif not positive_only:
            whole_answer = reference.adjusted_cosine_top_k(*matrix, n_columns, n_columns + 1, **options)
            alike(actual, expected, of=whole_answer)
        else:
            np.testing.assert_allclose(actual[1], expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_counted_similarities_like_their_twins(rng: np.random.Generator, n_rows: int, n_columns: int) -> None:
    indptr, indices, _ = samples.ratings(rng, n_rows, n_columns)
    pattern = (indptr, indices, n_columns)
    for k in (1, 3, n_columns + 2):
        same(kernels.jaccard_top_k(*pattern, k), reference.jaccard_top_k(*pattern, k))
        for actual, expected in zip(
            (kernels.log_likelihood_top_k(*pattern, k), kernels.cosine_top_k(indptr, indices, None, n_columns, k)),
            (reference.log_likelihood_top_k(*pattern, k), reference.cosine_top_k(indptr, indices, None, n_columns, k)),
            strict=True,
        ):
            np.testing.assert_allclose(actual[1], expected[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_weighted_similarities_like_their_twins(rng: np.random.Generator, n_rows: int, n_columns: int) -> None:
    indptr, indices, data = samples.ratings(rng, n_rows, n_columns, whole=False)
    matrix = (indptr, indices, np.abs(data), n_columns)
    for k in (1, 3):
        everything = max(n_columns, 1)
        alike(
            kernels.tf_idf_top_k(*matrix, k),
            reference.tf_idf_top_k(*matrix, k),
            of=reference.tf_idf_top_k(*matrix, everything),
        )
        for options in ({}, {"k1": 0.0}, {"k1": 100.0, "b": 1.0}):
            alike(
                kernels.bm25_top_k(*matrix, k, **options),
                reference.bm25_top_k(*matrix, k, **options),
                of=reference.bm25_top_k(*matrix, everything, **options),
            )


def test_adjusted_cosine_of_the_toy_ratings() -> None:
    """Sarwar et al., WWW 2001, formula of 3.1.3 over all users; equals scikit-learn's cosine of the centred matrix."""
    s = square(kernels.adjusted_cosine_top_k(*csr(RATINGS), 5, 4, positive_only=False))
    published = {
        (1, 2): -0.939725, (1, 3): -0.547068, (1, 4): 0.267841, (1, 5): 0.713758, (2, 3): 0.620543,
        (2, 4): -0.360645, (2, 5): -0.853001, (3, 4): -0.881380, (3, 5): -0.763560, (4, 5): 0.433063,
    }  # fmt: skip
    for (i, j), value in published.items():
        assert s[i - 1, j - 1] == pytest.approx(value, abs=5e-7)


def test_log_likelihood_of_a_published_table() -> None:
    """Dunning 1993, bigrams of a text: the two words met 110 times, one alone 2442 times, the other 111 times."""
    together = [(1, 1)] * 110 + [(1, 0)] * 2442 + [(0, 1)] * 111 + [(0, 0)] * 29114
    neighbours, ratios = kernels.log_likelihood_top_k(*csr(together)[:2], 2, 1)
    assert neighbours.tolist() == [[1], [0]]
    assert ratios[0, 0] == pytest.approx(270.72, abs=0.005)


def test_adjusted_cosine_of_the_toy_ratings_over_co_rated_pairs() -> None:
    """The other reading of the same formula: only users who rated both. Only items 1 and 5 lack a common user."""
    s = square(kernels.adjusted_cosine_top_k(*csr(RATINGS), 5, 4, reading="co_rated", positive_only=False))
    assert s[0, 4] == pytest.approx(0.804914, abs=5e-7)
    assert s[2, 3] == pytest.approx(-0.881380, abs=5e-7)


def test_cosine_of_the_toy_baskets() -> None:
    """First row of the cosine of X = 11001, 01100, 10110, 00111: 0, .5, .408248, .5, .5 (ties by smaller code)."""
    neighbours, similarities = kernels.cosine_top_k(*csr(BASKETS), 5, 5)
    assert neighbours[0].tolist() == [1, 3, 4, 2, -1]
    assert similarities[0] == pytest.approx([0.5, 0.5, 0.5, 0.408248, 0.0], abs=5e-7)
    assert similarities[0, 0] == 0.5


def test_equal_columns_are_exactly_alike_and_never_more() -> None:
    matrix = csr(np.ones((3, 4)))
    neighbours, similarities = kernels.cosine_top_k(*matrix, 4, 3)
    assert neighbours.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert (similarities == 1.0).all()


def test_checkerboard() -> None:
    """Even customers like even items, odd ones odd items: no item has a neighbour of the other colour."""
    board = np.add.outer(np.arange(12), np.arange(10)) % 2 == 0
    board[:2] &= np.arange(10) > 4
    neighbours, similarities = kernels.cosine_top_k(*csr(board), 10, 9)
    for item in range(10):
        found = neighbours[item][neighbours[item] >= 0]
        assert sorted(found) == [other for other in range(item % 2, 10, 2) if other != item]
    assert (similarities[neighbours >= 0] > 0.8).all()
    rated = np.where(board, 5.0, 1.0)
    for reading in ("all_customers", "co_rated"):
        s = square(kernels.adjusted_cosine_top_k(*csr(rated), 10, 9, reading=reading, positive_only=False))
        same_colour = np.add.outer(np.arange(10), np.arange(10)) % 2 == 0
        np.fill_diagonal(s, np.nan)
        assert np.nanmin(s[same_colour]) > 0 > np.nanmax(s[~same_colour])


def test_ratings_at_their_customers_mean_have_no_direction() -> None:
    """The mean of .1, .2, .3 is .20000000000000004, and .1 three times averages .10000000000000002."""
    for reading in ("all_customers", "co_rated"):
        ratings = [[0.1, 0.2, 0.3], [0.1, 0.1, 0.1], [0.3, 0.2, 0.1]]
        options: dict[str, Any] = {"reading": reading, "positive_only": False}
        s = square(kernels.adjusted_cosine_top_k(*csr(ratings), 3, 2, **options))
        assert s[0, 1] == s[1, 2] == 0.0
        assert s[0, 2] == pytest.approx(-1.0)


def test_values_of_any_size_keep_their_cosine() -> None:
    for scale in (1e-80, 1e80, 1e150):
        neighbours, similarities = kernels.cosine_top_k(*csr(BASKETS * scale), 5, 4)
        assert neighbours[0].tolist() == [1, 3, 4, 2]
        assert similarities[0] == pytest.approx([0.5, 0.5, 0.5, 0.408248], abs=5e-7)


def test_a_stored_zero_is_a_customer_in_common_without_similarity() -> None:
    matrix = (np.array([0, 2]), np.array([0, 2], np.int32), np.array([0.0, 1.0]))
    neighbours, similarities = kernels.cosine_top_k(*matrix, 3, 2, positive_only=False)
    assert neighbours.tolist() == [[2, -1], [-1, -1], [0, -1]]
    assert not similarities.any()
    assert (kernels.cosine_top_k(*matrix, 3, 2)[0] == -1).all()


matrices = st.integers(1, 7).flatmap(
    lambda width: st.lists(st.lists(st.integers(-3, 3), min_size=width, max_size=width), max_size=8)
)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(matrices, st.floats(0, 5))
def test_similarity_is_symmetric_bounded_and_best_first(rows: list[list[int]], shrinkage: float) -> None:
    width = len(rows[0]) if rows else 3
    matrix = csr(np.array(rows, float).reshape(-1, width))
    for answer in (
        kernels.cosine_top_k(*matrix, width, width, shrinkage=shrinkage, positive_only=False),
        kernels.adjusted_cosine_top_k(*matrix, width, width, positive_only=False),
        kernels.adjusted_cosine_top_k(*matrix, width, width, reading="co_rated", positive_only=False),
    ):
        s = square(answer)
        np.testing.assert_array_equal(s, s.T)
        assert np.isnan(np.diag(s)).all()
        assert (np.abs(answer[1]) <= 1 + 1e-12).all()
        for codes, values in zip(*answer, strict=True):
            n = int((codes >= 0).sum())
            assert (codes[n:] == -1).all()
            assert (values[n:] == 0).all()
            order = np.lexsort((codes[:n], -values[:n]))
            np.testing.assert_array_equal(order, np.arange(n))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(matrices, st.integers(1, 6))
def test_a_smaller_k_is_the_front_of_a_larger_one(rows: list[list[int]], k: int) -> None:
    width = len(rows[0]) if rows else 3
    matrix = csr(np.array(rows, float).reshape(-1, width))
    small, large = kernels.cosine_top_k(*matrix, width, k), kernels.cosine_top_k(*matrix, width, k + 3)
    same(small, (large[0][:, :k], large[1][:, :k]))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"k": 0}, "k"),
        ({"k": -1}, "k"),
        ({"k": 2.0}, "k"),
        ({"n_columns": 4}, "indices"),
        ({"shrinkage": -1.0}, "shrinkage"),
        ({"shrinkage": np.nan}, "shrinkage"),
        ({"shrinkage": "1"}, "shrinkage"),
        ({"data": np.array([np.nan] * 11)}, "data"),
        ({"data": np.array([np.inf] * 11)}, "data"),
        ({"data": np.array([1e200] * 11)}, "data"),
        ({"data": np.ones(3)}, "data"),
        ({"data": [1.0] * 11}, "data"),
    ],
)
def test_cosine_names_what_is_wrong(options: dict[str, Any], field: str) -> None:
    indptr, indices, data = csr(BASKETS)
    arguments: dict[str, Any] = {"indptr": indptr, "indices": indices, "data": data, "n_columns": 5, "k": 3}
    with pytest.raises(InvalidInput) as caught:
        kernels.cosine_top_k(**(arguments | options))
    assert caught.value.violations[0].field == field


@pytest.mark.parametrize("reading", ["all_customers", "co_rated"])
def test_ratings_too_large_to_square_are_refused(reading: Any) -> None:
    with pytest.raises(InvalidInput, match="data: is too large"):
        kernels.adjusted_cosine_top_k(*csr([[1e200, 3e200], [1.0, 2.0]]), 2, 1, reading=reading)


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(InvalidInput, match="reading: must be 'all_customers' or 'co_rated', not 'both'"):
        kernels.adjusted_cosine_top_k(*csr(RATINGS), 5, 3, reading="both")  # type: ignore[arg-type]
