from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from visavis.customize.evaluation.bootstrap import FEWEST, pair_intervals, verdict

PAIR = np.array([[0, 1]])


def test_the_interval_of_one_pair_is_that_of_its_mean(rng: np.random.Generator) -> None:
    values = rng.normal((0.3, 0.0), 2.0, (4_000, 2))
    (mean,), (width,) = pair_intervals(values, PAIR, seed=1)
    apart = values[:, 0] - values[:, 1]
    assert mean == pytest.approx(apart.mean())
    assert width == pytest.approx(1.96 * apart.std(ddof=1) / np.sqrt(len(apart)), rel=0.06)


def test_the_same_seed_draws_the_same(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng.normal(size=(50, 2))
    one, again, other = (pair_intervals(values, PAIR, seed)[1].tolist() for seed in (3, 3, 4))
    assert one == again != other
    monkeypatch.setattr("visavis.customize.evaluation.bootstrap._AT_ONCE", 1)
    assert pair_intervals(values, PAIR, 3)[1] == pytest.approx(one)


def test_of_many_equals_none_is_called_a_winner(rng: np.random.Generator) -> None:
    """Eight scorers that guess: in one of twenty tables, at most, any of their 28 pairs is said to differ."""
    pairs = np.array(list(combinations(range(8), 2)))
    wrong = 0
    for seed in range(200):
        means, widths = pair_intervals(rng.normal(size=(150, 8)), pairs, seed)
        told = {verdict(m - w, m + w, 150) for m, w in zip(means, widths, strict=True)}
        wrong += told != {"unclear"}
    # 200 fair trials at 5 %: 10 expected, three standard errors are 9.
    assert wrong < 20


def test_a_real_difference_is_told_among_many(rng: np.random.Generator) -> None:
    values = rng.normal(size=(400, 6))
    values[:, 2] += 1.0
    pairs = np.array(list(combinations(range(6), 2)))
    means, widths = pair_intervals(values, pairs, 1)
    clear = {tuple(pair) for pair, m, w in zip(pairs.tolist(), means, widths, strict=True) if abs(m) > w}
    assert clear == {(0, 2), (1, 2), (2, 3), (2, 4), (2, 5)}


def test_who_never_differs_has_no_width() -> None:
    means, widths = pair_intervals(np.ones((30, 3)), np.array([[0, 1], [1, 2]]), 1)
    assert means.tolist() == widths.tolist() == [0, 0]
    means, widths = pair_intervals(np.array([[1.0, 0.0]]), PAIR, 1)
    assert (means.tolist(), widths.tolist()) == ([1.0], [0.0])


def test_words() -> None:
    ends = ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2), (0.0, 0.0))
    assert [verdict(*one, FEWEST) for one in ends] == ["better", "worse", "unclear", "unclear"]
    assert {verdict(*one, FEWEST - 1) for one in ends} == {"unclear"}
