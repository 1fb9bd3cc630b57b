from __future__ import annotations

import numpy as np
import pytest

from visavis.customize.evaluation.bootstrap import paired_interval, verdict


def test_the_interval_is_that_of_the_mean(rng: np.random.Generator) -> None:
    differences = rng.normal(0.3, 2.0, 4_000)
    mean, low, high = paired_interval(differences, seed=1)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    assert mean == differences.mean()
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.15 * error)


def test_the_same_seed_draws_the_same(rng: np.random.Generator) -> None:
    differences = rng.normal(size=50)
    assert paired_interval(differences, 3) == paired_interval(differences, 3)
    assert paired_interval(differences, 3) != paired_interval(differences, 4)


def test_draws_in_pieces_are_draws(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    differences = rng.normal(size=300)
    whole = paired_interval(differences, 5)
    monkeypatch.setattr("visavis.customize.evaluation.bootstrap._AT_ONCE", 1)
    assert paired_interval(differences, 5) == whole


def test_one_in_twenty_of_equals_is_said_to_differ(rng: np.random.Generator) -> None:
    told = [verdict(*paired_interval(rng.normal(size=200), seed)[1:]) for seed in range(300)]
    # 300 fair trials at 5 %: 15 expected, three standard errors are 11.
    assert 300 - told.count("unclear") < 27
    assert {"better", "worse"} <= set(told)


def test_words() -> None:
    assert [verdict(*ends) for ends in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2), (0.0, 0.0))] == [
        "better", "worse", "unclear", "unclear",
    ]  # fmt: skip
