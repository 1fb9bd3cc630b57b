from __future__ import annotations

import threading
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput

CASES = [(0, 0, 1), (3, 0, 2), (0, 5, 2), (1, 1, 1), (1, 6, 3), (8, 6, 5), (20, 15, 4), (5, 40, 10)]
"""Customers, items of the table, neighbours of each."""


def request(rng: np.random.Generator, n_customers: int, n_items: int, k: int, *, whole: bool) -> dict[str, Any]:
    indptr, items = samples.lists(rng, n_customers, n_items)
    weights = rng.integers(-1, 3, len(items)).astype(float) if whole else rng.random(len(items))
    neighbours, similarities = samples.table(rng, n_items, k, whole=whole)
    return {
        "indptr": indptr, "items": items, "weights": weights, "rows": kernels.item_rows(neighbours, similarities),
    }  # fmt: skip


def exclusions(rng: np.random.Generator, n_customers: int, n_items: int) -> dict[str, Any]:
    indptr, items = samples.lists(rng, n_customers, n_items)
    return {"everywhere": rng.random(n_items + 3) < 0.2, "exclude_indptr": indptr, "exclude_items": items}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items", "k"), CASES)
def test_top_n_like_its_twin(rng: np.random.Generator, n_customers: int, n_items: int, k: int, whole: bool) -> None:
    history = request(rng, n_customers, n_items, k, whole=whole)
    unwanted = exclusions(rng, n_customers, n_items)
    groups = (None, rng.integers(-1, 3, n_items + 3).astype(np.int32))
    for n, group in product((0, 1, 3, n_items + 2), groups):
        codes, scores = kernels.top_n(**history, **unwanted, n=n, group=group)
        expected_codes, expected_scores = reference.top_n(**history, **unwanted, n=n, group=group)
        assert [codes.dtype.name, scores.dtype.name] == ["int32", "float64"]
        np.testing.assert_array_equal(codes, expected_codes)
        np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items", "k"), CASES)
def test_score_items_like_its_twin(
    rng: np.random.Generator, n_customers: int, n_items: int, k: int, whole: bool
) -> None:
    history = request(rng, n_customers, n_items, k, whole=whole)
    for m in (0, 1, 9):
        chosen = rng.integers(-1, n_items + 2, (n_customers, m)).astype(np.int32)
        scores = kernels.score_items(**history, chosen=chosen)
        assert scores.dtype == np.float64
        np.testing.assert_array_equal(scores, reference.score_items(**history, chosen=chosen))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items", "k"), CASES)
def test_contributions_like_their_twin(
    rng: np.random.Generator, n_customers: int, n_items: int, k: int, whole: bool
) -> None:
    history = request(rng, n_customers, n_items, k, whole=whole)
    for m in (0, 1, 9):
        chosen = rng.integers(-1, n_items + 2, (n_customers, m)).astype(np.int32)
        parts = kernels.contributions(**history, chosen=chosen)
        assert [part.dtype.name for part in parts] == ["int64", "int64", "float64"]
        for found, expected in zip(parts, reference.contributions(**history, chosen=chosen), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_many_contributions_stand_in_order_too(rng: np.random.Generator) -> None:
    """Long lists of parts are grown and sorted another way than short ones."""
    n = 700
    rows = kernels.item_rows(np.zeros((n, 1), np.int32), rng.integers(1, 5, (n, 1)).astype(float))
    history = {
        "indptr": np.array([0, n, 2 * n]), "items": np.tile(np.arange(n, dtype=np.int32), 2),
        "weights": np.ones(2 * n), "rows": rows,
    }  # fmt: skip
    chosen = np.array([[0, 0], [5, 0]], np.int32)
    parts = kernels.contributions(**history, chosen=chosen)
    for found, expected in zip(parts, reference.contributions(**history, chosen=chosen), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", ["top_n", "score_items", "contributions"])
def test_single_precision_is_added_up_in_double(rng: np.random.Generator, kernel: str) -> None:
    history = request(rng, 8, 6, 5, whole=False)
    rows = history["rows"]
    single = kernels.item_rows(rows.codes, rows.values.astype(np.float32))
    double = kernels.item_rows(rows.codes, single.values.astype(np.float64))
    more: dict[str, Any] = {"chosen": np.tile(np.arange(6, dtype=np.int32), (8, 1))}
    if kernel == "top_n":
        more = exclusions(rng, 8, 6) | {"n": 4}
    narrow = getattr(kernels, kernel)(**(history | {"rows": single}), **more)
    wide = getattr(kernels, kernel)(**(history | {"rows": double}), **more)
    for one, other in zip(narrow, wide, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_lists_scores_and_reasons_agree(seed: int, n_items: int, k: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    history = request(rng, 4, n_items, k, whole=whole)
    unwanted = exclusions(rng, 4, n_items)
    codes, scores = kernels.top_n(**history, **unwanted, n=n_items)
    np.testing.assert_array_equal(scores, kernels.score_items(**history, chosen=codes))
    everything = np.tile(np.arange(n_items, dtype=np.int32), (4, 1))
    all_scores = kernels.score_items(**history, chosen=everything)
    for row in range(4):
        listed = codes[row][codes[row] >= 0]
        out = unwanted["exclude_items"][slice(*unwanted["exclude_indptr"][row : row + 2])]
        wanted = [j for j in range(n_items) if j not in out and not unwanted["everywhere"][j]]
        assert sorted(listed) == [j for j in wanted if not np.isnan(all_scores[row, j])]
    starts, entries, amounts = kernels.contributions(**history, chosen=everything)
    for place, score in enumerate(all_scores.ravel()):
        own = slice(starts[place], starts[place + 1])
        assert len(set(entries[own].tolist())) == len(entries[own])
        assert (np.diff(amounts[own]) <= 0).all()
        if np.isnan(score):
            assert len(entries[own]) == 0
        else:
            assert abs(amounts[own].sum() - score) < 1e-9


def test_what_one_call_leaves_behind_does_not_reach_the_next() -> None:
    """A thread that is new has fresh memory, where small numbers of any meaning could be taken for marks."""
    wrong = []

    def work() -> None:
        rng = np.random.default_rng(5)
        history = request(rng, 3, 30, 9, whole=False)
        unwanted = exclusions(rng, 3, 30)
        for _ in range(20):
            codes, _ = kernels.top_n(**history, **unwanted, n=12)
            wrong.append(not np.array_equal(codes, reference.top_n(**history, **unwanted, n=12)[0]))
            kernels.contributions(**history, chosen=codes)
            kernels.score_items(**history, chosen=codes)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(wrong) == 20
    assert not any(wrong)


NEIGHBOURS = np.array([[1, 2], [0, 2], [3, -1], [2, -1]], np.int32)
SIMILARITIES = np.array([[0.5, 0.5], [0.75, 0.25], [0.125, 0.0], [1.0, np.nan]])
NOTHING: dict[str, Any] = {"exclude_indptr": np.zeros(2, np.int64), "exclude_items": np.zeros(0, np.int32)}


def one(items: list[int], weights: list[float]) -> dict[str, Any]:
    return {
        "indptr": np.array([0, len(items)]), "items": np.array(items, np.int32), "weights": np.array(weights, float),
        "rows": kernels.item_rows(NEIGHBOURS, SIMILARITIES),
    }  # fmt: skip


def test_equal_scores_stand_in_order_of_code_and_what_nobody_knows_is_passed_over() -> None:
    history = one([0, -1, 9, 1, 0], [1.0, 1.0, 1.0, 0.0, 1.0])
    codes, scores = kernels.top_n(**history, everywhere=np.zeros(4, bool), **NOTHING, n=3)
    assert codes.tolist() == [[1, 2, -1]]
    assert scores[0, :2].tolist() == [1.0, 1.0]
    assert np.isnan(scores[0, 2])
    _, entries, amounts = kernels.contributions(**history, chosen=np.array([[2]], np.int32))
    assert (entries.tolist(), amounts.tolist()) == ([0, 4], [0.5, 0.5])


def test_variants_that_crowd_a_list_leave_room_for_others() -> None:
    """However many of one group come before the next: nothing is given up early, and the end is found."""
    n = 50
    neighbours = np.full((n, n), -1, np.int32)
    neighbours[0] = np.roll(np.arange(n), -1)
    rows = kernels.item_rows(neighbours, np.tile(np.linspace(2, 1, n), (n, 1)))
    history = one([0], [1.0]) | {"rows": rows, "everywhere": np.zeros(n, bool)} | NOTHING
    group = np.zeros(n, np.int32)
    group[[30, 45]] = [1, -1]
    codes, _ = kernels.top_n(**history, n=4, group=group)
    assert codes.tolist() == [[1, 30, 45, -1]]


@pytest.mark.parametrize("kernel", ["top_n", "score_items"])
def test_sums_that_could_overflow_are_refused(kernel: str) -> None:
    more = {"everywhere": np.zeros(4, bool), "n": 2} | NOTHING if kernel == "top_n" else {"chosen": NEIGHBOURS[:1]}
    for weights in ([1e300], [1e149, 1e150]):
        with pytest.raises(InvalidInput, match="weights: are too large to be added up"):
            getattr(kernels, kernel)(**one([0] * len(weights), weights), **more)
    huge = kernels.item_rows(NEIGHBOURS, np.where(NEIGHBOURS < 0, 0.0, 1e300))
    with pytest.raises(InvalidInput, match="weights: are too large to be added up"):
        getattr(kernels, kernel)(**(one([0], [1.0]) | {"rows": huge}), **more)
    getattr(kernels, kernel)(**one([0], [1.0]), **more)


def test_exclusions_of_one_customer_do_not_touch_the_next() -> None:
    history = one([0, 0], [1.0, 1.0]) | {"indptr": np.array([0, 1, 2])}
    unwanted: dict[str, Any] = {"exclude_indptr": np.array([0, 3, 3]), "exclude_items": np.array([1, -1, 99], np.int32)}
    codes, _ = kernels.top_n(**history, everywhere=np.array([0, 0, 0, 0, 1], bool), **unwanted, n=2)
    assert codes.tolist() == [[2, -1], [1, 2]]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"weights": np.array([np.nan])}, "weights"),
        ({"weights": np.ones(2)}, "weights"),
        ({"indptr": np.array([0, 2])}, "indptr"),
        ({"group": np.zeros(3, np.int32)}, "group"),
        ({"everywhere": np.zeros(3, bool)}, "everywhere"),
        ({"everywhere": np.zeros(4, np.int8)}, "everywhere"),
        ({"exclude_indptr": np.array([0, 0, 0])}, "exclude_indptr"),
        ({"exclude_indptr": np.array([0, 1])}, "exclude_indptr"),
        ({"n": -1}, "n"),
    ],
)
def test_top_n_names_what_is_wrong(options: dict[str, Any], field: str) -> None:
    arguments = one([0], [1.0]) | {"everywhere": np.zeros(4, bool), "n": 2} | NOTHING
    with pytest.raises(InvalidInput) as caught:
        kernels.top_n(**(arguments | options))
    assert caught.value.violations[0].field == field


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_customers", "n_items", "k"), CASES)
def test_strongest_parts_like_their_twin(
    rng: np.random.Generator, n_customers: int, n_items: int, k: int, whole: bool
) -> None:
    history = request(rng, n_customers, n_items, k, whole=whole)
    template = rng.integers(0, 3, len(history["items"])).astype(np.int32)
    chosen = rng.integers(-1, n_items + 2, (n_customers, 7)).astype(np.int32)
    for most in (0, 1, 2, 3, 100):
        more: dict[str, Any] = {"template": template, "chosen": chosen, "n_templates": 3, "most": most}
        found, expected = kernels.strongest_parts(**history, **more), reference.strongest_parts(**history, **more)
        for own, twin in zip(found, expected, strict=True):
            assert own.dtype == twin.dtype
            np.testing.assert_array_equal(own, twin)


@pytest.mark.parametrize("whole", [True, False])
def test_item_rows_like_their_twin(rng: np.random.Generator, whole: bool) -> None:
    for n_items, k in ((0, 0), (0, 3), (3, 0), (9, 4)):
        table = samples.table(rng, n_items, k, whole=whole)
        for found, expected in zip(kernels.item_rows(*table), reference.item_rows(*table), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert len(kernels.item_rows(*table)) == n_items


@pytest.mark.parametrize(
    ("neighbours", "similarities", "told"),
    [
        ([[1], [0]], [[1.0]], "similarities: must have the shape"),
        ([[2], [0]], [[1.0], [1.0]], "neighbours: must be -1 or 0 … 1, -1 behind all others; row 0 is not so"),
        ([[1], [-2]], [[1.0], [1.0]], "neighbours: must be .* row 1 is not so"),
        ([[1, 0], [-1, 0]], [[1.0, 1.0], [1.0, 1.0]], "neighbours: must be .* row 1 is not so"),
        ([[1], [0]], [[1.0], [np.nan]], "similarities: must be finite, but row 1 is not"),
        ([[1], [0]], [[-np.inf], [0.0]], "similarities: must be finite, but row 0 is not"),
    ],
)
def test_rows_that_are_none_are_refused(neighbours: Any, similarities: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        kernels.item_rows(np.array(neighbours, np.int32), np.array(similarities))


def test_other_scores_name_what_is_wrong() -> None:
    with pytest.raises(InvalidInput, match="template: must be 0 … 1, but holds 2"):
        kernels.strongest_parts(
            **one([0], [1.0]), template=np.array([2], np.int32), chosen=NEIGHBOURS[:1], n_templates=2, most=1
        )
    with pytest.raises(InvalidInput, match="chosen: must have length 1, not 2"):
        kernels.score_items(**one([0], [1.0]), chosen=np.zeros((2, 1), np.int32))
    with pytest.raises(InvalidInput, match="chosen: must have 2 dimensions"):
        kernels.score_items(**one([0], [1.0]), chosen=np.zeros(1, np.int32))
    with pytest.raises(InvalidInput, match="chosen: must have length 1, not 2"):
        kernels.contributions(**one([0], [1.0]), chosen=np.zeros((2, 1), np.int32))
