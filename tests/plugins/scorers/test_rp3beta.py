"""`rp3beta`: the walk against its formula, what counts how much, and the reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.rp3beta import Rp3Beta


def events_of(values: NDArray[Any]) -> list[Event]:
    """Who likes what by how much: 1 bought it, 0.2 looked at it."""
    return [
        Event(int(customer), int(item), "purchase" if values[customer, item] == 1 else "view")
        for customer, item in np.argwhere(values)
    ]


def fitted(values: NDArray[Any], **options: object) -> Rp3Beta:
    n_customers, n_items = values.shape
    history = make_history(events_of(values), n_customers=n_customers, n_items=n_items)
    return Rp3Beta(build_options(Rp3Beta, options)).fit(history)


def learned(scorer: Rp3Beta) -> NDArray[np.float64]:
    """The table as a matrix, 0 where nothing is kept."""
    n_items = len(scorer.neighbours_)
    weights = np.zeros((n_items, n_items))
    rows, places = np.nonzero(scorer.neighbours_ >= 0)
    weights[rows, scorer.neighbours_[rows, places]] = scorer.weights_[rows, places]
    return weights


def formula(values: NDArray[Any], alpha: float, beta: float) -> NDArray[np.float64]:
    """W = (D_i⁻¹ Xᵀ)^α (D_u⁻¹ X)^α D_i^−β of Paudel et al., powers of each entry, 0 for an item and itself."""
    of_customer, of_item = values.sum(axis=1), values.sum(axis=0)
    zero = values == 0
    back = np.where(zero, 0.0, np.divide(values, of_item, where=~zero, out=np.ones(values.shape)) ** alpha)
    forth = np.where(zero, 0.0, np.divide(values, of_customer[:, None], where=~zero, out=np.ones(zero.shape)) ** alpha)
    walk = back.T @ forth * np.where(of_item > 0, np.maximum(of_item, 1e-300) ** -beta, 0.0)
    np.fill_diagonal(walk, 0.0)
    return walk


def sample(rng: np.random.Generator, n_customers: int, n_items: int) -> NDArray[Any]:
    return rng.choice([0.0, 0.0, 0.2, 1.0], (n_customers, n_items))


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.0, 0.6), (0.7, 0.3), (2.0, 1.0), (0.0, 0.0)])
def test_weights_are_those_of_the_walk(rng: np.random.Generator, alpha: float, beta: float) -> None:
    values = sample(rng, 30, 12)
    np.testing.assert_allclose(learned(fitted(values, alpha=alpha, beta=beta)), formula(values, alpha, beta), rtol=2e-6)


def test_a_walk_by_hand() -> None:
    # Customers {0, 1}, {1, 2}, {1}: from item 1 a third each, and from there half to either of two.
    values = np.array([[1, 1, 0], [0, 1, 1], [0, 1, 0]])
    assert learned(fitted(values, alpha=1.0, beta=0.0))[1].tolist() == pytest.approx([1 / 6, 0, 1 / 6], abs=1e-7)
    assert learned(fitted(values, alpha=1.0, beta=1.0))[0].tolist() == pytest.approx([0, 1 / 6, 0], abs=1e-7)


def test_each_item_keeps_its_largest(rng: np.random.Generator) -> None:
    values = sample(rng, 40, 9)
    wanted = formula(values, 1.0, 0.6)
    kept = learned(fitted(values, neighbours=3, alpha=1.0, beta=0.6))
    for item in range(9):
        best = np.argsort(-wanted[item], kind="stable")[:3]
        assert sorted(np.flatnonzero(kept[item])) == sorted(best)


def test_older_baskets_fade_and_the_live_history_is_read(rng: np.random.Generator) -> None:
    scorer = fitted(sample(rng, 30, 6), basket_decay=0.5)
    weights = learned(scorer)
    events = [Event(0, 0, day=1), Event(0, 1, day=2), Event(0, 2, "view", day=3), Event(0, 3, day=3, quantity=0.0)]
    scores = scorer.score(make_customers(events, [0]), make_items(6))
    expected = 0.5 * weights[0] + weights[1] + 0.2 * weights[2]
    np.testing.assert_allclose(np.nan_to_num(scores[0]), expected, atol=1e-12)


def test_fold_in_equals_batch(rng: np.random.Generator) -> None:
    values = sample(rng, 30, 8)
    scorer = fitted(values)
    scores = scorer.score(make_customers(events_of(values), range(30)), make_items(8))
    np.testing.assert_allclose(np.nan_to_num(scores), values @ learned(scorer), atol=1e-9)


def test_removing_a_cause_lowers_the_score_by_its_amount(rng: np.random.Generator) -> None:
    scorer = fitted(sample(rng, 40, 12))
    mine = [Event(0, item, day=float(item)) for item in (2, 5, 7, 9)]
    chosen = np.array([[3]], dtype=np.int32)
    score = scorer.score(make_customers(mine, [0]), make_items(12))[0, 3]
    ((parts,),) = scorer.explain(make_customers(mine, [0]), chosen, np.full((1, 1), score))
    assert [part.kind for part in parts] == ["because_you_bought"] * 4
    for part in parts:
        rest = [event for event in mine if event.item != part.item]
        without = scorer.score(make_customers(rest, [0]), make_items(12))[0, 3]
        assert score - without == pytest.approx(part.amount, abs=1e-9)


@given(st.integers(0, 2**32), st.integers(1, 10))
@settings(derandomize=True, max_examples=30, deadline=None)
def test_lists_hold_what_scores_best(seed: int, n_items: int) -> None:
    values = sample(np.random.default_rng(seed), 6, n_items)
    scorer, customers = fitted(values, neighbours=4), make_customers(events_of(values), range(6))
    codes, _ = scorer.top(customers, make_items(n_items), n_items, make_exclusions(n_items, [()] * 6))
    scores = scorer.score(customers, make_items(n_items))
    for row in range(6):
        known = np.flatnonzero(~np.isnan(scores[row]))
        best = known[np.lexsort((known, -scores[row][known]))]
        assert codes[row, : len(best)].tolist() == best.tolist()
