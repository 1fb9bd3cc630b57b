"""Sums in which the past fades."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def decayed_sum(
    group: NDArray[np.integer[Any]],
    age: NDArray[np.float64],
    value: NDArray[np.float64],
    half_life: float,
    n_groups: int,
) -> NDArray[np.float64]:
    """float64 [n_groups]: the sum of value · 0.5^(age / half_life) over each group's entries.

    `group` holds integers [n], negative ones are skipped; `age` and `half_life` are in one unit, an age below 0 counts
    for more than its value. Raises InvalidInput for groups ≥ `n_groups` and for ages or values that are not finite.
    """
    size = _check.count("n_groups", n_groups)
    groups = _check.array("group", group, np.int64)
    ages = _check.finite("age", age, length=len(groups))
    values = _check.finite("value", value, length=len(groups))
    period = _check.number("half_life", half_life)
    if period == 0.0:
        _check.refuse("half_life", "must be above 0")
    if len(groups) and groups.max() >= size:
        _check.refuse("group", f"must be below {size}, but entry {int(np.argmax(groups))} is {groups.max()}")
    sums = np.zeros(size, np.float64)
    _decayed_sum(groups, ages, values, period, sums)
    return sums


@serial
def _decayed_sum(
    group: NDArray[np.int64],
    age: NDArray[np.float64],
    value: NDArray[np.float64],
    half_life: float,
    sums: NDArray[np.float64],
) -> None:
    for entry in range(len(group)):
        if group[entry] >= 0:
            sums[group[entry]] += value[entry] * 2.0 ** (-age[entry] / half_life)


__all__ = ["decayed_sum"]
