"""The parts of scores as columns: checking that they add up, and keeping the strongest."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial


def fold_parts(
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    item: NDArray[np.int32],
    amount: NDArray[np.float64],
    chosen: NDArray[np.int32],
    scores: NDArray[np.float64],
    n_templates: int,
    n_items: int,
    within: float,
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Keep at most `most` parts of each score: `(starts, template, item, amount)` of those kept.

    The parts of place p (`chosen` int32 [n], −1: no item) are `starts[p]:starts[p+1]`: `template` 0 … n_templates − 1,
    `item` a code or −1, and `amount`. Where there are more than `most`, the most − 1 largest by absolute amount stay
    (of equal ones the earlier), in the order given, and one more sums up the rest: item −1, and as template n_templates
    + how many it stands for. `most` 0 keeps none.
    Raises InvalidInput that says of `parts` what is wrong: no row starts, a place without an item that has parts, a
    template or an item that does not exist, amounts whose sum is off `scores` by more than `within` (for a score above
    1, as a share of it).
    """
    begins = _check.array("starts", starts, np.int64)
    words = _check.array("template", template, np.int32)
    causes = _check.array("item", item, np.int32, length=len(words))
    parts = _check.array("amount", amount, np.float64, length=len(words))
    places = _check.array("chosen", chosen, np.int32)
    wanted = _check.array("scores", scores, np.float64, length=len(places))
    kept = _check.count("most", most)
    if len(begins) != len(places) + 1:
        _check.refuse("parts", f"{len(begins) - 1} lists for {len(places)} items")
    wrong, place, told, folded_starts, folded_words, folded_causes, folded_parts = _fold_parts(
        begins, words, causes, parts, places, wanted, n_templates, n_items, within, kept
    )
    if wrong:
        _refuse(wrong, place, told, wanted, n_templates, n_items)
    return folded_starts, folded_words, folded_causes, folded_parts


def _refuse(
    wrong: int, place: int, told: float, scores: NDArray[np.float64], n_templates: int, n_items: int
) -> NoReturn:
    _check.refuse(
        "parts",
        (
            "",
            "starts that fall, or do not fit what they point to",
            f"a reason for place {place}, which has no item",
            f"template {told:.0f}, and there are {n_templates}",
            f"item code {told:.0f}, and there are {n_items} items",
            f"reasons that add up to {told!r}, and the score is {float(scores[place])!r}",
        )[wrong],
    )


@serial
def _fold_parts(
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    item: NDArray[np.int32],
    amount: NDArray[np.float64],
    chosen: NDArray[np.int32],
    scores: NDArray[np.float64],
    n_templates: int,
    n_items: int,
    within: float,
    most: int,
) -> tuple[int, int, float, NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    kept_starts = np.zeros(len(starts), np.int64)
    size = 0
    if starts[0] != 0 or starts[-1] != len(amount):
        return 1, 0, 0.0, kept_starts, template[:0], item[:0], amount[:0]
    for place in range(len(chosen)):
        if starts[place] > starts[place + 1]:
            return 1, place, 0.0, kept_starts, template[:0], item[:0], amount[:0]
        size += min(starts[place + 1] - starts[place], most)
    kept_template, kept_item, kept_amount = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
    to = 0
    for place in range(len(chosen)):
        first, last = starts[place], starts[place + 1]
        if first == last:
            kept_starts[place + 1] = to
            continue
        if chosen[place] < 0:
            return 2, place, 0.0, kept_starts, kept_template, kept_item, kept_amount
        total = 0.0
        for part in range(first, last):
            if not 0 <= template[part] < n_templates:
                return 3, place, float(template[part]), kept_starts, kept_template, kept_item, kept_amount
            if not -1 <= item[part] < n_items:
                return 4, place, float(item[part]), kept_starts, kept_template, kept_item, kept_amount
            total += amount[part]
        # Written so that a NaN is wrong, too.
        if not abs(total - scores[place]) <= within * max(1.0, abs(scores[place])):
            return 5, place, total, kept_starts, kept_template, kept_item, kept_amount
        if last - first <= most:
            for part in range(first, last):
                kept_template[to], kept_item[to], kept_amount[to] = template[part], item[part], amount[part]
                to += 1
        elif most > 0:
            bar, ties = _bar(amount[first:last], most - 1)
            rest = 0.0
            for part in range(first, last):
                strength = abs(amount[part])
                if strength > bar or (strength == bar and ties > 0):
                    ties -= strength == bar
                    kept_template[to], kept_item[to], kept_amount[to] = template[part], item[part], amount[part]
                    to += 1
                else:
                    rest += amount[part]
            kept_template[to] = n_templates + last - first - (most - 1)
            kept_item[to], kept_amount[to] = -1, rest
            to += 1
        kept_starts[place + 1] = to
    return 0, 0, 0.0, kept_starts, kept_template, kept_item, kept_amount


@serial
def _bar(amounts: NDArray[np.float64], n: int) -> tuple[float, int]:
    """What the n strongest amounts reach: all above the bar are among them, and so many of those at it."""
    if n == 0:
        return np.inf, 0
    best = np.zeros(n)
    for amount in amounts:
        strength = abs(amount)
        if strength > best[n - 1]:
            place = n - 1
            while place > 0 and best[place - 1] < strength:
                best[place] = best[place - 1]
                place -= 1
            best[place] = strength
    above = 0
    for amount in amounts:
        above += abs(amount) > best[n - 1]
    return best[n - 1], n - above


__all__ = ["fold_parts"]
