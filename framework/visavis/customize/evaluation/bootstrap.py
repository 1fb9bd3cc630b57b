"""Whether one scorer did better than another, or whether other customers might have said the opposite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DRAWS = 2_000
_AT_ONCE = 4_000_000  # numbers that are drawn at a time


def paired_interval(differences: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """The mean of `differences` (one for each customer) and its 95 % interval: percentiles of the means of 2,000 draws
    of as many customers with replacement (Efron 1979; paired, as each customer met both). NaN for no customer."""
    n = len(differences)
    if not n:
        return float("nan"), float("nan"), float("nan")
    chance = np.random.default_rng(seed)
    means = np.empty(_DRAWS)
    step = max(1, _AT_ONCE // n)
    for begin in range(0, _DRAWS, step):
        end = min(begin + step, _DRAWS)
        means[begin:end] = differences[chance.integers(n, size=(end - begin, n))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def verdict(low: float, high: float) -> str:
    """better, worse, or unclear where the interval holds 0."""
    return "better" if low > 0 else "worse" if high < 0 else "unclear"


__all__ = ["paired_interval", "verdict"]
