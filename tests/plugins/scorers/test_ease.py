"""`ease`: published values, both ways of solving it, what counts how much, and the reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers import ease as module
from visavis_plugins.scorers._inverse import invert
from visavis_plugins.scorers.ease import Ease

TOY = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]])
"""Customers as rows: the matrix of the reference values below, from the formula of Steck, WWW 2019."""
FIRST_ROW = [0, 0.269231, 0, 0.205882, 0.142857]
FOURTH_ROW = [0.285714, -0.384615, 0.666667, 0, 0.285714]


def bought(matrix: NDArray[Any]) -> list[Event]:
    return [Event(int(customer), int(item)) for customer, item in np.argwhere(matrix)]


def fitted(events: list[Event], n_items: int, **options: object) -> Ease:
    return Ease(build_options(Ease, {"neighbours": 0} | options)).fit(make_history(events, n_items=n_items))


def learned(scorer: Ease) -> NDArray[np.float64]:
    """The weights as a matrix, 0 where none is kept."""
    n_items = len(scorer.starts_) - 1
    weights = np.zeros((n_items, n_items))
    weights[np.repeat(np.arange(n_items), np.diff(scorer.starts_)), scorer.targets_] = scorer.weights_
    return weights


def formula(matrix: NDArray[Any], regularization: float) -> NDArray[np.float64]:
    inverse = np.linalg.inv(matrix.T @ matrix + regularization * np.eye(matrix.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def purchases(rng: np.random.Generator, n_customers: int, n_items: int) -> NDArray[Any]:
    matrix = (rng.random((n_customers, n_items)) < 0.3).astype(int)
    matrix[:, 0] |= matrix.sum(axis=1) == 0
    return matrix


def test_weights_are_those_of_the_paper() -> None:
    for more in ({}, {3: 7}):  # the second time with customers who outnumber the items, of whom nothing is known
        history = make_history(bought(TOY), n_items=5, n_customers=4 + more.get(3, 0))
        weights = learned(Ease(build_options(Ease, {"neighbours": 0, "regularization": 1.0})).fit(history))
        np.testing.assert_allclose(weights[0], FIRST_ROW, atol=5e-7)
        np.testing.assert_allclose(weights[3], FOURTH_ROW, atol=5e-7)


@pytest.mark.parametrize(("n_customers", "n_items"), [(30, 12), (12, 30), (20, 20), (1, 3)])
def test_both_ways_give_the_formula(rng: np.random.Generator, n_customers: int, n_items: int) -> None:
    """Primal where there are as many customers as items, dual where there are fewer."""
    matrix = purchases(rng, n_customers, n_items)
    weights = learned(fitted(bought(matrix), n_items, regularization=2.0))
    np.testing.assert_allclose(weights, formula(matrix, 2.0), atol=1e-7)


@pytest.mark.parametrize("n", [0, 1, 2, 255, 256, 257, 700])
def test_inverts_in_place(rng: np.random.Generator, n: int) -> None:
    matrix = (rng.random((n, n)) < 0.1).astype(float)
    matrix = matrix @ matrix.T + 0.5 * np.eye(n)
    inverse = matrix.copy()
    invert(inverse)
    np.testing.assert_allclose(inverse @ matrix, np.eye(n), atol=1e-9)


def test_the_strongest_weights_of_each_item_are_kept(rng: np.random.Generator) -> None:
    matrix = purchases(rng, 40, 9)
    everything = learned(fitted(bought(matrix), 9))
    kept = learned(fitted(bought(matrix), 9, neighbours=3))
    for target in range(9):
        chosen = np.flatnonzero(kept[:, target])
        assert len(chosen) == 3
        np.testing.assert_array_equal(kept[chosen, target], everything[chosen, target])
        left = np.delete(np.abs(everything[:, target]), chosen)
        assert np.abs(kept[chosen, target]).min() >= left.max()


def test_of_equal_weights_those_of_smaller_codes_are_kept() -> None:
    kept = learned(fitted(bought(np.ones((3, 5))), 5, neighbours=2))
    assert [np.flatnonzero(kept[:, target]).tolist() for target in range(5)] == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_items_beyond_the_most_bought_have_no_opinion() -> None:
    matrix = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1]])
    scorer = fitted(bought(matrix), 4, max_items=3, regularization=1.0)
    weights = learned(scorer)
    assert not weights[2].any()
    assert not weights[:, 2].any()
    np.testing.assert_allclose(weights[np.ix_([0, 1, 3], [0, 1, 3])], formula(matrix[:, [0, 1, 3]], 1.0), atol=1e-7)
    scores = scorer.score(make_customers([Event(0, 0), Event(0, 2)], [0]), make_items(6))
    assert np.isnan(scores[0]).tolist() == [True, False, True, False, True, True]


def test_looks_count_less_than_purchases_and_returns_nothing() -> None:
    scorer = fitted(bought(TOY), 5, regularization=1.0)
    weights = learned(scorer)
    events = [Event(0, 0, "view"), Event(0, 1), Event(0, 3, quantity=0.0)]
    scores = scorer.score(make_customers(events, [0]), make_items(5))
    np.testing.assert_allclose(scores[0, 2:], (0.2 * weights[0] + weights[1])[2:], atol=1e-12)


def test_older_baskets_fade() -> None:
    scorer = fitted(bought(TOY), 5, regularization=1.0, basket_decay=0.5)
    weights = learned(scorer)
    events = [
        Event(0, 0, day=1), Event(0, 4, day=1), Event(0, 4, day=2), Event(0, 1, day=3), Event(0, 2, "view", day=4)
    ]  # fmt: skip
    scores = scorer.score(make_customers(events, [0]), make_items(5))
    expected = 0.25 * weights[0] + 0.5 * weights[4] + weights[1] + 0.2 * weights[2]
    np.testing.assert_allclose(scores[0], expected, atol=1e-12)


def test_what_speaks_against_an_item_is_said() -> None:
    scorer = fitted(bought(TOY), 5, regularization=1.0)
    events = [Event(0, 3), Event(0, 0, "view")]
    customers, chosen = make_customers(events, [0]), np.array([[1]], dtype=np.int32)
    ((parts,),) = scorer.explain(customers, chosen, scorer.score(customers, make_items(5))[:, [1]])
    assert [(part.kind, part.text, part.item) for part in parts] == [
        ("because_you_viewed", "because you looked at {item}", 0),
        ("although_you_bought", "although you bought {item}", 3),
    ]


@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_removing_a_cause_lowers_the_score_by_its_amount(rng: np.random.Generator, decay: float) -> None:
    scorer = fitted(bought(purchases(rng, 40, 12)), 12, regularization=5.0, basket_decay=decay)
    # Two of each basket, so that none of them vanishes with the purchase that is taken out.
    mine = [Event(0, item, day=float(item // 2)) for item in (2, 3, 6, 7, 8, 9)]
    for target in (0, 1, 11):
        score = scorer.score(make_customers(mine, [0]), make_items(12))[0, target]
        ((parts,),) = scorer.explain(make_customers(mine, [0]), np.array([[target]], np.int32), np.array([[score]]))
        assert len(parts) == len(mine)
        for part in parts:
            rest = [event for event in mine if event.item != part.item]
            without = scorer.score(make_customers(rest, [0]), make_items(12))[0, target]
            assert score - without == pytest.approx(part.amount, abs=1e-9)


def test_what_was_bought_just_now_counts_as_if_it_had_been_bought_before_the_fit(rng: np.random.Generator) -> None:
    """The fold-in equals the batch: the score of a customer of the fit is his row times the weights."""
    matrix = purchases(rng, 30, 8)
    scorer = fitted(bought(matrix), 8)
    scores = scorer.score(make_customers(bought(matrix), range(30)), make_items(8))
    np.testing.assert_allclose(np.nan_to_num(scores), matrix @ learned(scorer), atol=1e-12)


def test_too_little_memory_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(module, "ease_weights", refuse)
    with pytest.raises(MemoryError, match="make max_items smaller"):
        fitted(bought(TOY), 5)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 5))
@settings(derandomize=True, max_examples=40, deadline=None)
def test_lists_hold_what_scores_best(seed: int, n_items: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = purchases(rng, 6, n_items)
    scorer = fitted(bought(matrix), n_items, neighbours=neighbours, regularization=1.0)
    customers, catalogue = make_customers(bought(matrix), range(6)), make_items(n_items)
    codes, values = scorer.top(customers, catalogue, n_items, make_exclusions(n_items, [()] * 6))
    scores = scorer.score(customers, catalogue)
    for row in range(6):
        known = np.flatnonzero(~np.isnan(scores[row]))
        best = known[np.lexsort((known, -scores[row][known]))]
        assert codes[row, : len(best)].tolist() == best.tolist()
        np.testing.assert_array_equal(values[row, : len(best)], scores[row][best])
