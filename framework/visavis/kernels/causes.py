"""What scores are made of: finding the parts of those of `scores`, checking those of others, keeping the strongest."""

from __future__ import annotations

import threading
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import lean, serial
from visavis.kernels.by_item import ItemRows, Values

_Folded = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]
_FEW = 64  # parts of a place that are sorted as they come


def contributions(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    rows: ItemRows,
    chosen: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """What scores are made of: `(starts int64 [n_customers · m + 1], entries int64 [c], amounts float64 [c])`.

    For customer r and place p of `chosen` (int32 [n_customers, m]) the parts are those at `starts[r · m + p]` up to
    the next start: entries of the customer (places in `items`) and how much each brought, largest first, ties in the
    order of the entries. Amounts add up to the score of `score_items` within rounding. No parts where the score is NaN.
    """
    entries = np.arange(len(items), dtype=np.int32)
    starts, found, _, amounts = strongest_parts(
        indptr, items, weights, entries, rows, chosen, len(entries), _check.MAX_CODES
    )
    return starts, found.astype(np.int64), amounts


def strongest_parts(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    template: NDArray[np.int32],
    rows: ItemRows,
    chosen: NDArray[np.int32],
    n_templates: int,
    most: int,
) -> _Folded:
    """`contributions`, of which `fold_parts` keeps at most `most` for each place: `(starts, template, item, amount)`.

    `template` says of each entry what its parts are called, 0 … n_templates − 1.
    """
    begins = _check.array("indptr", indptr, np.int64)
    codes = _check.array("items", items, np.int32)
    parts = _check.array("weights", weights, np.float64, length=len(codes))
    words = _check.array("template", template, np.int32, length=len(codes))
    wanted = _check.array("chosen", chosen, np.int32, ndim=2, length=len(begins) - 1)
    kept = _check.count("most", most)
    slot = _slots.of(len(rows))
    try:
        fine, starts, kept_template, kept_item, kept_amount = _strongest_parts(
            begins, codes, parts, words, rows.codes, rows.values, rows.sizes, wanted, slot, n_templates, kept
        )
    except BaseException:
        _slots.renew(0)
        raise
    if not fine:
        _check.row_starts("indptr", indptr, len(codes))
        _check.refuse("template", f"must be 0 … {n_templates - 1}, but holds {words.min()} … {words.max()}")
    return starts, kept_template, kept_item, kept_amount


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
) -> _Folded:
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


class _Slots(threading.local):
    """One thread's memory: of each item the place that it was chosen for; −1 all over between two customers."""

    def __init__(self) -> None:
        self.renew(0)

    def renew(self, n_items: int) -> None:
        """Memory that no call has touched; also for what a call that failed left behind."""
        self._slots = np.full(n_items, -1, np.int32)

    def of(self, n_items: int) -> NDArray[np.int32]:
        """A slot for each item."""
        if n_items > len(self._slots):
            self.renew(n_items)
        return self._slots


_slots = _Slots()


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
    to, best = 0, np.empty(8, np.float64)
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
        if last - first > most > len(best):
            best = np.empty(most, np.float64)
        to = _fold(
            template, item, amount, first, last, n_templates, most, best, kept_template, kept_item, kept_amount, to
        )
        kept_starts[place + 1] = to
    return 0, 0, 0.0, kept_starts, kept_template, kept_item, kept_amount


@lean
def _fold(
    template: NDArray[np.int32],
    item: NDArray[np.int32],
    amount: NDArray[np.float64],
    first: int,
    last: int,
    n_templates: int,
    most: int,
    best: NDArray[np.float64],
    kept_template: NDArray[np.int32],
    kept_item: NDArray[np.int32],
    kept_amount: NDArray[np.float64],
    to: int,
) -> int:
    """Keep the strongest of the parts `first:last`, at most `most`, behind the `to` kept so far; answers how many
    are kept then."""
    if last - first <= most:
        for part in range(first, last):
            kept_template[to], kept_item[to], kept_amount[to] = template[part], item[part], amount[part]
            to += 1
    elif most > 0:
        bar, ties = _bar(amount, first, last, most - 1, best)
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
    return to


@lean
def _bar(amount: NDArray[np.float64], first: int, last: int, n: int, best: NDArray[np.float64]) -> tuple[float, int]:
    """What the n strongest of some amounts reach: all above the bar are among them, and so many of those at it. `best`
    is room for n."""
    if n == 0:
        return np.inf, 0
    for place in range(n):
        best[place] = 0.0
    for part in range(first, last):
        strength = abs(amount[part])
        if strength > best[n - 1]:
            place = n - 1
            while place > 0 and best[place - 1] < strength:
                best[place] = best[place - 1]
                place -= 1
            best[place] = strength
    above = 0
    for part in range(first, last):
        above += abs(amount[part]) > best[n - 1]
    return best[n - 1], n - above


@serial
def _strongest_parts(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    template: NDArray[np.int32],
    codes: NDArray[np.int32],
    values: Values,
    sizes: NDArray[np.int32],
    chosen: NDArray[np.int32],
    slot: NDArray[np.int32],
    n_templates: int,
    most: int,
) -> tuple[bool, NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    m = chosen.shape[1]
    starts, own, to = np.zeros((len(indptr) - 1) * m + 1, np.int64), np.zeros(m + 1, np.int64), 0
    free = np.empty(m, np.int64)
    kept_template, kept_item = np.empty(256, np.int32), np.empty(256, np.int32)
    kept_amount, before, best = np.empty(256, np.float64), np.empty(m, np.int32), np.empty(8, np.float64)
    places, causes, parts = np.empty(256, np.int32), np.empty(256, np.int64), np.empty(256, np.float64)
    entries, amounts = np.empty(256, np.int64), np.empty(256, np.float64)
    words, reasons = np.empty(256, np.int32), np.empty(256, np.int32)
    for row in range(len(indptr) - 1):
        first, last = indptr[row], indptr[row + 1]
        if not 0 <= first <= last <= len(items):
            return False, starts, kept_template, kept_item, kept_amount
        for entry in range(first, last):
            if not 0 <= template[entry] < n_templates:
                return False, starts, kept_template, kept_item, kept_amount
        for place in range(m):
            if 0 <= chosen[row, place] < len(sizes):
                # An item that was chosen twice: the later place leads to the earlier one.
                before[place] = slot[chosen[row, place]]
                slot[chosen[row, place]] = place
        n_found = _find(items, weights, first, last, codes, values, sizes, slot, before, places, causes, parts)
        if n_found > len(places):
            places, causes = np.empty(2 * n_found, np.int32), np.empty(2 * n_found, np.int64)
            parts = np.empty(2 * n_found, np.float64)
            _find(items, weights, first, last, codes, values, sizes, slot, before, places, causes, parts)
        for place in range(m):
            if 0 <= chosen[row, place] < len(sizes):
                slot[chosen[row, place]] = -1
        if n_found > len(entries):
            entries, amounts = np.empty(2 * n_found, np.int64), np.empty(2 * n_found, np.float64)
            words, reasons = np.empty(2 * n_found, np.int32), np.empty(2 * n_found, np.int32)
        if _lay_out(n_found, places, causes, parts, own, free, entries, amounts):
            _sort_long(own, entries, amounts)
        for part in range(n_found):
            words[part], reasons[part] = template[entries[part]], items[entries[part]]
        while to + n_found > len(kept_item):
            kept_template = np.append(kept_template, np.empty_like(kept_template))
            kept_item = np.append(kept_item, np.empty_like(kept_item))
            kept_amount = np.append(kept_amount, np.empty_like(kept_amount))
        for place in range(m):
            if own[place + 1] - own[place] > most > len(best):
                best = np.empty(most, np.float64)
            to = _fold(
                words, reasons, amounts, own[place], own[place + 1], n_templates, most, best,
                kept_template, kept_item, kept_amount, to,
            )  # fmt: skip
            starts[row * m + place + 1] = to
    return True, starts, kept_template[:to], kept_item[:to], kept_amount[:to]


@lean
def _find(
    items: NDArray[np.int32],
    weights: NDArray[np.float64],
    first: int,
    last: int,
    codes: NDArray[np.int32],
    values: Values,
    sizes: NDArray[np.int32],
    slot: NDArray[np.int32],
    before: NDArray[np.int32],
    places: NDArray[np.int32],
    causes: NDArray[np.int64],
    parts: NDArray[np.float64],
) -> int:
    """How many parts one customer's entries have in the items that have a slot; those that there is room for are put
    down as they are found: the place that each is for, its entry and its amount."""
    n_found = 0
    for entry in range(first, last):
        cause, weight = items[entry], weights[entry]
        if cause < 0 or cause >= len(sizes) or weight == 0.0:
            continue
        for neighbour in range(sizes[cause]):
            place = slot[np.uint64(codes[cause, neighbour])]  # not below 0: the compiler need not look
            while place >= 0:
                if n_found < len(places):
                    places[n_found], causes[n_found] = place, entry
                    parts[n_found] = weight * float(values[cause, neighbour])
                n_found += 1
                place = before[place]
    return n_found


@lean
def _lay_out(
    n_found: int,
    places: NDArray[np.int32],
    causes: NDArray[np.int64],
    parts: NDArray[np.float64],
    starts: NDArray[np.int64],
    free: NDArray[np.int64],
    entries: NDArray[np.int64],
    amounts: NDArray[np.float64],
) -> bool:
    """Put the parts found behind `starts[0]`, place by place and the largest first, and say where each place starts.
    Answers whether there are places of so many parts that they must still be sorted."""
    m, are_long = len(starts) - 1, False
    for place in range(m):
        free[place] = 0
    for index in range(n_found):
        free[places[index]] += 1
    for place in range(m):
        size = free[place]
        are_long |= size > _FEW
        free[place] = starts[place]
        starts[place + 1] = starts[place] + size
    for index in range(n_found):
        place = places[index]
        begin, end, amount = starts[place], free[place], parts[index]
        free[place] += 1
        # Sorted as they come, while there are few.
        if starts[place + 1] - begin <= _FEW:
            while end > begin and amounts[end - 1] < amount:
                entries[end], amounts[end] = entries[end - 1], amounts[end - 1]
                end -= 1
        entries[end], amounts[end] = causes[index], amount
    return are_long


@serial
def _sort_long(starts: NDArray[np.int64], entries: NDArray[np.int64], amounts: NDArray[np.float64]) -> None:
    for place in range(len(starts) - 1):
        begin, end = starts[place], starts[place + 1]
        if end - begin > _FEW:
            order = np.argsort(-amounts[begin:end], kind="mergesort")
            entries[begin:end] = entries[begin:end][order]
            amounts[begin:end] = amounts[begin:end][order]


__all__ = ["contributions", "fold_parts", "strongest_parts"]
