"""Factors: improving them, folding a customer in, and scoring by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput

SHAPES = [(0, 0, 1), (3, 0, 2), (0, 4, 2), (1, 1, 1), (9, 7, 3), (40, 30, 16)]
"""Rows, columns, factors."""


def problem(rng: np.random.Generator, n_rows: int, n_columns: int, d: int) -> dict[str, Any]:
    indptr, indices, data = samples.ratings(rng, n_rows, n_columns)
    others = rng.normal(size=(n_columns, d)).astype(np.float32)
    return {
        "indptr": indptr, "indices": indices, "data": data.astype(np.float32), "others": others,
        "gram": (0.1 * others.T @ others).astype(np.float32), "ridge": (0.5 + rng.random(n_rows)).astype(np.float32),
    }  # fmt: skip


@pytest.mark.parametrize(("n_rows", "n_columns", "d"), SHAPES)
@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_improve_factors_like_its_twin(
    rng: np.random.Generator, n_rows: int, n_columns: int, d: int, n_steps: int
) -> None:
    given = problem(rng, n_rows, n_columns, d)
    start = rng.normal(size=(n_rows, d)).astype(np.float32)
    wanted = start.copy()
    reference.improve_factors(**given, factors=wanted, n_steps=n_steps)
    for threads in (1, 3):
        factors = start.copy()
        kernels.improve_factors(**given, factors=factors, n_steps=n_steps, threads=threads)
        np.testing.assert_allclose(factors, wanted, rtol=1e-4, atol=1e-4)


def test_many_steps_solve_the_equations_whatever_the_threads(rng: np.random.Generator) -> None:
    given = problem(rng, 40, 30, 8)
    answers = []
    for threads in (1, 4):
        factors = np.zeros((40, 8), np.float32)
        kernels.improve_factors(**given, factors=factors, n_steps=30, threads=threads)
        answers.append(factors)
    np.testing.assert_array_equal(*answers)
    matrices, sides = reference.normal_equations(
        *(given[name] for name in ("indptr", "indices", "data", "others", "gram", "ridge"))
    )
    np.testing.assert_allclose(answers[0], np.linalg.solve(matrices, sides[:, :, None])[:, :, 0], atol=1e-4)


def test_improve_factors_names_what_is_wrong(rng: np.random.Generator) -> None:
    given = problem(rng, 4, 3, 2) | {"factors": np.zeros((4, 2), np.float32), "n_steps": 1}
    frozen = np.zeros((4, 2), np.float32)
    frozen.flags.writeable = False
    for field, wrong in (
        ("factors", frozen), ("factors", np.zeros((4, 3), np.float32)), ("factors", np.zeros((4, 2))),
        ("gram", np.zeros((3, 3), np.float32)), ("ridge", np.ones(3, np.float32)), ("n_steps", -1), ("threads", 0),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=field):
            kernels.improve_factors(**(given | {field: wrong}))


@pytest.mark.parametrize(("n_rows", "n_columns", "d"), SHAPES)
def test_normal_equations_like_their_twin(rng: np.random.Generator, n_rows: int, n_columns: int, d: int) -> None:
    indptr, indices, data = samples.ratings(rng, n_rows, n_columns)
    factors, gram = rng.normal(size=(n_columns, d)).astype(np.float32), np.eye(d)
    ridge = rng.random(n_rows)
    found = kernels.normal_equations(indptr, indices, data, factors, gram, ridge)
    expected = reference.normal_equations(indptr, indices, data, factors, gram, ridge)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    with pytest.raises(InvalidInput, match="ridge"):
        kernels.normal_equations(indptr, indices, data, factors, gram, np.append(ridge, 1.0))
    with pytest.raises(InvalidInput, match="gram"):
        kernels.normal_equations(indptr, indices, data, factors, np.eye(d + 1), ridge)


def asked(rng: np.random.Generator, n_customers: int, n_items: int, d: int, *, whole: bool) -> dict[str, Any]:
    """Whole numbers make ties; some customers are unknown."""
    vectors = rng.integers(-1, 2, (n_customers, d)).astype(float) if whole else rng.normal(size=(n_customers, d))
    vectors[rng.random(n_customers) < 0.2] = np.nan
    factors = rng.integers(-1, 2, (d, n_items)) if whole else rng.normal(size=(d, n_items))
    return {"vectors": vectors, "factors": factors.astype(np.float32)}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items", "d"), [(0, 0, 1), (3, 0, 2), (1, 1, 1), (8, 6, 3), (5, 1300, 4)])
def test_factor_top_and_scores_like_their_twins(
    rng: np.random.Generator, n_customers: int, n_items: int, d: int, whole: bool
) -> None:
    given = asked(rng, n_customers, n_items, d, whole=whole)
    indptr, exclude = samples.lists(rng, n_customers, n_items)
    unwanted = {"everywhere": rng.random(n_items + 3) < 0.2, "exclude_indptr": indptr, "exclude_items": exclude}
    for n in (0, 1, 3, n_items + 2):
        codes, scores = kernels.factor_top(**given, **unwanted, n=n)
        expected = reference.factor_top(**given, **unwanted, n=n)
        assert [codes.dtype.name, scores.dtype.name] == ["int32", "float64"]
        np.testing.assert_array_equal(codes, expected[0])
        np.testing.assert_array_equal(scores, expected[1])
        np.testing.assert_array_equal(kernels.factor_scores(**given, chosen=codes), scores)
    chosen = rng.integers(-1, n_items + 2, (n_customers, 9)).astype(np.int32)
    np.testing.assert_array_equal(
        kernels.factor_scores(**given, chosen=chosen), reference.factor_scores(**given, chosen=chosen)
    )


def test_factor_scores_name_what_is_wrong() -> None:
    given: dict[str, Any] = {"vectors": np.ones((2, 3)), "factors": np.ones((3, 4), np.float32)}
    nothing: dict[str, Any] = {"exclude_indptr": np.zeros(3, np.int64), "exclude_items": np.zeros(0, np.int32), "n": 1}
    with pytest.raises(InvalidInput, match="vectors"):
        kernels.factor_scores(np.ones((2, 2)), given["factors"], np.zeros((2, 1), np.int32))
    with pytest.raises(InvalidInput, match="chosen"):
        kernels.factor_scores(**given, chosen=np.zeros((1, 1), np.int32))
    with pytest.raises(InvalidInput, match="everywhere"):
        kernels.factor_top(**given, everywhere=np.zeros(3, bool), **nothing)
    nothing["exclude_indptr"] = np.zeros(2, np.int64)
    with pytest.raises(InvalidInput, match="exclude_indptr"):
        kernels.factor_top(**given, everywhere=np.zeros(4, bool), **nothing)
