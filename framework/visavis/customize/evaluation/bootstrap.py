"""Which scorers did better than which, or whether other customers might have said the opposite.

All pairs of one task are compared at once, so the intervals hold for all of them together: with many scorers the best
one always looks better than it is, and an interval for each alone would call one of twenty pairs of equals different.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 20
"""Customers below which no verdict is given: the mean of so few is nowhere near normal."""
_DRAWS = 2_000
_AT_ONCE = 4_000_000  # counts that are drawn at a time


def pair_intervals(
    values: NDArray[np.float64], pairs: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean differences and half-widths of their simultaneous 95 % intervals, float64 [n_pairs] each.

    `values` float64 [n_customers, n_scorers] is a measure of each customer by each scorer, `pairs` int64 [n_pairs, 2]
    columns of it. Paired bootstrap over customers (Efron 1979), 2,000 draws with replacement; the half-width is the
    95th percentile of the largest deviation over all pairs, each in its standard errors, times a pair's standard error
    (the maximum statistic of Romano and Wolf 2005). A pair that never differs has the width 0.
    """
    n = len(values)
    one, other = pairs.T
    apart = values[:, one] - values[:, other]
    means = apart.mean(axis=0)
    errors = apart.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(pairs))
    differ = errors > 0
    if not differ.any():
        return means, np.zeros(len(pairs))
    chance = np.random.default_rng(seed)
    largest = np.empty(_DRAWS)
    step = max(1, _AT_ONCE // n)
    for begin in range(0, _DRAWS, step):
        end = min(begin + step, _DRAWS)
        drawn = chance.multinomial(n, np.full(n, 1 / n), size=end - begin)
        of_scorer = drawn @ values / n
        deviation = np.abs(of_scorer[:, one] - of_scorer[:, other] - means)[:, differ] / errors[differ]
        largest[begin:end] = deviation.max(axis=1)
    return means, np.percentile(largest, 95) * errors


def verdict(low: float, high: float, n_customers: int) -> str:
    """better, worse, or unclear where the interval holds 0 or comes from too few customers."""
    if n_customers < FEWEST:
        return "unclear"
    return "better" if low > 0 else "worse" if high < 0 else "unclear"


__all__ = ["FEWEST", "pair_intervals", "verdict"]
