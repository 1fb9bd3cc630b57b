"""Which pairs of scorers are put beside each other, and in what words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from visavis.customize.evaluation.bootstrap import pair_intervals, verdict
from visavis.customize.evaluation.judging import DECIDING
from visavis.evaluation import Compared, Judged

LEAST_OWN = 0.05
"""Share of places that a scorer must fill itself to be compared: below it, the figures are the fall-back's."""


def comparisons(
    judged: Sequence[Judged], deciding: Mapping[str, Mapping[str, NDArray[np.float64]]], seed: int
) -> Iterator[Compared]:
    """Of each task: every scorer beside the best baseline, and the best scorer beside every other one.

    Intervals hold for all pairs of the task together, also those that are not told: which ones are told depends on
    who came out best.
    """
    for task, values in deciding.items():
        lines = {one.scorer: one for one in judged if one.task == task and one.value("own", DECIDING[1]) >= LEAST_OWN}
        ranked = sorted(lines, key=lambda name: (-lines[name].value(*DECIDING), name))
        own = [name for name in ranked if not lines[name].baseline]
        best = next((name for name in ranked if lines[name].baseline), None)
        if not own:
            continue
        pairs = np.array(list(combinations(range(len(ranked)), 2)), dtype=np.int64).reshape(-1, 2)
        table = np.stack([values[name] for name in ranked], axis=1)
        means, widths = pair_intervals(table, pairs, seed)
        found = {(a, b): (mean, width) for (a, b), mean, width in zip(pairs.tolist(), means, widths, strict=True)}
        told = [(name, best) for name in own if best is not None] + [(own[0], name) for name in own[1:]]
        for name, against in told:
            a, b = ranked.index(name), ranked.index(against)
            mean, width = found[min(a, b), max(a, b)]
            mean = float(mean if a < b else -mean)
            low, high = mean - float(width), mean + float(width)
            yield Compared(task, name, against, *DECIDING, mean, low, high, verdict(low, high, len(table)))


__all__ = ["LEAST_OWN", "comparisons"]
