"""`als`: what is learned against what it minimizes, the fold-in, and the reasons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers import als as module
from visavis_plugins.scorers.als import Als

SMALL: dict[str, object] = {"factors": 3, "regularization": 0.05, "unobserved": 0.2, "iterations": 4}


def events_of(values: NDArray[Any]) -> list[Event]:
    """Who likes what by how much: 1 bought it, 0.2 looked at it."""
    return [
        Event(int(customer), int(item), "purchase" if values[customer, item] == 1 else "view")
        for customer, item in np.argwhere(values)
    ]


def fitted(values: NDArray[Any], **options: object) -> Als:
    n_customers, n_items = values.shape
    history = make_history(events_of(values), n_customers=n_customers, n_items=n_items)
    return Als(build_options(Als, SMALL | options)).fit(history)


def sample(rng: np.random.Generator, n_customers: int, n_items: int) -> NDArray[Any]:
    values = rng.choice([0.0, 0.0, 0.2, 1.0], (n_customers, n_items))
    values[0] = 1.0
    values[:, 0] = 1.0
    return values


def solved(values: NDArray[Any], others: NDArray[Any], unobserved: float, regularization: float) -> NDArray[Any]:
    """The rows that minimize the objective, `others` being given: Hu, Koren and Volinsky, with Rendle's ridge."""
    gram, identity = unobserved * others.T @ others, np.eye(others.shape[1])
    rows = []
    for line in values:
        ridge = regularization * (line.sum() + unobserved * len(others))
        rows.append(np.linalg.solve(gram + (others.T * line) @ others + ridge * identity, others.T @ line))
    return np.array(rows)


def loss(values: NDArray[Any], x: NDArray[Any], y: NDArray[Any], unobserved: float, regularization: float) -> float:
    told = x @ y.T
    fit = (values * (1 - told) ** 2).sum() + unobserved * (told**2).sum()
    of_x = ((values.sum(axis=1) + unobserved * len(y)) * (x**2).sum(axis=1)).sum()
    of_y = ((values.sum(axis=0) + unobserved * len(x)) * (y**2).sum(axis=1)).sum()
    return float(fit + regularization * (of_x + of_y))


def test_learns_what_alternating_least_squares_minimize(rng: np.random.Generator) -> None:
    """From the start that chance gives, plain ALS with exact solutions ends at the same loss."""
    values = sample(rng, 30, 12)
    learned = fitted(values, iterations=300).factors_.astype(float)
    y = 0.1 / 3**0.5 * np.random.default_rng(7).standard_normal((12, 3), dtype=np.float32).astype(float)
    for _ in range(300):
        x = solved(values, y, 0.2, 0.05)
        y = solved(values.T, x, 0.2, 0.05)
    ours, wanted = (loss(values, solved(values, each, 0.2, 0.05), each, 0.2, 0.05) for each in (learned, y))
    assert ours == pytest.approx(wanted, rel=1e-3)


def test_more_iterations_bring_the_loss_down(rng: np.random.Generator) -> None:
    values = sample(rng, 40, 15)
    losses = []
    for iterations in (1, 2, 4, 8, 16):
        y = fitted(values, iterations=iterations).factors_.astype(float)
        losses.append(loss(values, solved(values, y, 0.2, 0.05), y, 0.2, 0.05))
    assert (np.diff(losses) <= 1e-6).all()


def test_fold_in_equals_batch(rng: np.random.Generator) -> None:
    """Scores are those of the rows that minimize the objective, whether or not the customer was there at the fit."""
    values = sample(rng, 30, 8)
    scorer = fitted(values)
    news = np.vstack([values, sample(rng, 5, 8)])
    scores = scorer.score(make_customers(events_of(news), range(35)), make_items(8))
    y = scorer.factors_.astype(float)
    np.testing.assert_allclose(scores, solved(news, y, 0.2, 0.05) @ y.T, atol=1e-9)


def test_older_baskets_fade_and_returns_say_nothing(rng: np.random.Generator) -> None:
    scorer = fitted(sample(rng, 30, 6), basket_decay=0.5)
    events = [Event(0, 0, day=1), Event(0, 1, day=2), Event(0, 2, "view", day=3), Event(0, 3, day=3, quantity=0.0)]
    scores = scorer.score(make_customers(events, [0]), make_items(6))
    y = scorer.factors_.astype(float)
    np.testing.assert_allclose(scores, solved(np.array([[0.5, 1, 0.2, 0, 0, 0]]), y, 0.2, 0.05) @ y.T, atol=1e-9)


def test_what_nobody_liked_and_who_likes_nothing_have_no_score(rng: np.random.Generator) -> None:
    values = sample(rng, 20, 6)
    values[:, 4] = 0.0
    scorer = fitted(values)
    mine = [Event(0, 0), Event(1, 4), Event(1, 9), Event(2, 0, "skip")]
    scores = scorer.score(make_customers(mine, [0, 1, 2, -1]), make_items(10))
    assert np.isnan(scores[0]).tolist() == [False] * 4 + [True, False, True, True, True, True]
    assert np.isnan(scores[1:]).all()


def test_reasons_are_the_weights_of_the_paper(rng: np.random.Generator) -> None:
    """Hu, Koren and Volinsky, section 5: what item j brings for item i is r_j y_iᵀ A⁻¹ y_j."""
    values = sample(rng, 40, 12)
    scorer = fitted(values)
    liked = {2: 1.0, 5: 0.2, 7: 1.0}
    customers = make_customers([Event(0, 2), Event(0, 5, "view"), Event(0, 7)], [0])
    chosen = np.array([[3, -1, 11]], dtype=np.int32)
    scores = scorer.score(customers, make_items(12))[:, [3, 0, 11]]
    told = scorer.explain(customers, chosen, scores)[0]
    assert told[1] == []
    y = scorer.factors_.astype(float)
    matrix = 0.2 * y.T @ y + 0.05 * (2.2 + 0.2 * 12) * np.eye(3)
    matrix += sum(r * np.outer(y[j], y[j]) for j, r in liked.items())
    for item, parts, score in ((3, told[0], scores[0, 0]), (11, told[2], scores[0, 2])):
        wanted = {j: r * y[item] @ np.linalg.solve(matrix, y[j]) for j, r in liked.items()}
        assert {part.item: part.amount for part in parts} == pytest.approx(wanted, abs=1e-9)
        assert sum(part.amount for part in parts) == pytest.approx(score, abs=1e-9)
        assert (np.diff([part.amount for part in parts]) <= 0).all(), "the largest part first"
        for part in parts:
            word = "looked at" if part.item == 5 else "bought"
            assert part.text == f"{'because' if part.amount >= 0 else 'although'} you {word} {{item}}"


def test_what_faded_to_nothing_is_no_reason(rng: np.random.Generator) -> None:
    scorer = fitted(sample(rng, 20, 6), basket_decay=0.01)
    mine = [Event(0, 1, day=0), *(Event(0, 2, day=float(day)) for day in range(1, 400))]
    customers = make_customers(mine, [0])
    codes, scores = scorer.top(customers, make_items(6), 3, make_exclusions(6, [()]))
    for parts, score in zip(scorer.explain(customers, codes, scores)[0], scores[0], strict=True):
        assert [part.item for part in parts] == [2]
        assert parts[0].amount == pytest.approx(score, abs=1e-9)


def test_too_little_memory_names_the_way_out(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(module, "learn_factors", refuse)
    with pytest.raises(MemoryError, match="make factors smaller"):
        fitted(sample(rng, 5, 5))


@pytest.mark.parametrize("n_customers", [1, 300])
def test_many_customers_are_answered_as_each_alone(rng: np.random.Generator, n_customers: int) -> None:
    scorer = fitted(sample(rng, 40, 12))
    events = events_of(sample(rng, n_customers, 12))
    together = scorer.score(make_customers(events, range(n_customers)), make_items(12))
    for customer in (0, n_customers // 2, n_customers - 1):
        alone = scorer.score(make_customers(events, [customer]), make_items(12))
        np.testing.assert_array_equal(together[[customer]], alone)


@given(st.integers(0, 2**32), st.integers(1, 10))
@settings(derandomize=True, max_examples=30, deadline=None)
def test_lists_hold_what_scores_best(seed: int, n_items: int) -> None:
    values = sample(np.random.default_rng(seed), 6, n_items)
    scorer, customers = fitted(values), make_customers(events_of(values), range(6))
    codes, _ = scorer.top(customers, make_items(n_items), n_items, make_exclusions(n_items, [()] * 6))
    scores = scorer.score(customers, make_items(n_items))
    for row in range(6):
        best = np.lexsort((np.arange(n_items), -scores[row]))
        assert codes[row].tolist() == best.tolist()
