"""Filling ranked lists from what a scorer answered, one variant of each group if asked, checking it on the way."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_LAST_MARK = 2**31 - 1


def pick(
    items: NDArray[np.int32],
    values: NDArray[np.float64],
    by: NDArray[np.int8],
    counts: NDArray[np.int64],
    rows: NDArray[np.int64],
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
    group: NDArray[np.int32],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    scorer: int,
) -> str:
    """Put `codes` [n_rows, m], best first with their `scores`, into the lists `rows`, in place.

    List r is row r of `items` (int32, −1: free; taken places first) with `values` (float64) and `by` (int8: who placed
    the item) alongside, and `counts` int64 [n_lists, n_scorers] says how many each scorer has placed. An item that a
    list has already is passed over, and so is one of whose group (`group` int32 [n_items], −1: none; empty: nobody
    cares) it has one; `scorer` is what `by` will say.

    Codes must be −1, which comes last, or those of items that are neither marked in `everywhere` (bool [n_items]) nor
    among the row's own `exclude_items[exclude_indptr[r]:exclude_indptr[r+1]]`; scores of items are finite. Answers
    what is wrong with them, and then has changed nothing; empty if all is well.
    """
    for field, array in (("items", items), ("values", values), ("by", by), ("counts", counts)):
        if not array.flags.carray or len(array) != len(items):
            _check.refuse(field, "must be a writable array [n_lists, …]")
    answered = _check.array("codes", codes, np.int32, ndim=2, length=len(rows))
    given = _check.array("scores", scores, np.float64, ndim=2, length=len(rows))
    hidden = _check.array("everywhere", everywhere, np.bool_)
    groups = _check.array("group", group, np.int32)
    own = _check.array("exclude_items", exclude_items, np.int32)
    own_starts = _check.array("exclude_indptr", exclude_indptr, np.int64, length=len(rows) + 1)
    wanted = _check.array("rows", rows, np.int64)
    if answered.shape != given.shape:
        _check.refuse("scores", f"must have the shape of codes {answered.shape}, not {given.shape}")
    if len(groups) not in (0, len(hidden)):
        _check.refuse("group", f"must have length {len(hidden)} or 0, not {len(groups)}")
    mark, item_marks, group_marks = _scratch.of(len(hidden), 2 * len(rows))
    wrong = _wrong(answered, given, hidden, own_starts, own, mark, item_marks)
    if wrong:
        return _WRONG[wrong]
    mark += len(rows)
    while largest := _pick(
        items, values, by, counts, wanted, answered, given, groups, scorer, mark, item_marks, group_marks
    ):
        # More groups than items: rare, so nobody counts them beforehand. What was placed so far stays.
        mark, item_marks, group_marks = _scratch.of(largest, len(rows))
    return ""


_WRONG = (
    "",
    "what is no code of an item; codes are whole numbers, -1 for a missing place",
    "an item behind a missing place; missing places (-1) come last",
    "an item a score that is not a finite number",
    "an item that was excluded",
)


class _Scratch(threading.local):
    """One thread's marks of items and of groups; what bears no mark of the row at hand bears none."""

    def __init__(self) -> None:
        self._renew(0)

    def _renew(self, n_items: int) -> None:
        self._next = 0
        self._items = np.full(n_items, -1, np.int32)
        self._groups = np.full(n_items, -1, np.int32)

    def of(self, n_items: int, marks: int) -> tuple[int, NDArray[np.int32], NDArray[np.int32]]:
        """The first of so many marks, and what they are made in: [n_items] each, or more."""
        if n_items > len(self._items) or self._next > _LAST_MARK - marks:
            self._renew(max(n_items, len(self._items)))
        mark = self._next
        self._next += marks
        return mark, self._items, self._groups


_scratch = _Scratch()


@serial
def _wrong(
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
    everywhere: NDArray[np.bool_],
    exclude_indptr: NDArray[np.int64],
    exclude_items: NDArray[np.int32],
    first_mark: int,
    marks: NDArray[np.int32],
) -> int:
    wrong, n_items = 0, len(everywhere)
    for row in range(len(codes)):
        mark = first_mark + row
        for entry in range(exclude_indptr[row], exclude_indptr[row + 1]):
            if 0 <= exclude_items[entry] < n_items:
                marks[exclude_items[entry]] = mark
        for place in range(codes.shape[1]):
            code = codes[row, place]
            if code < -1:
                return 1
            if code == -1:
                continue
            if place > 0 and codes[row, place - 1] < 0:
                return 2
            if not np.isfinite(scores[row, place]):
                wrong = 3
            elif not wrong and (code >= n_items or everywhere[code] or marks[code] == mark):
                wrong = 4
    return wrong


@serial
def _pick(
    items: NDArray[np.int32],
    values: NDArray[np.float64],
    by: NDArray[np.int8],
    counts: NDArray[np.int64],
    rows: NDArray[np.int64],
    codes: NDArray[np.int32],
    scores: NDArray[np.float64],
    group: NDArray[np.int32],
    scorer: int,
    first_mark: int,
    item_marks: NDArray[np.int32],
    group_marks: NDArray[np.int32],
) -> int:
    """0, or how many groups there must be marks for."""
    n = items.shape[1]
    for index in range(len(rows)):
        row, mark = rows[index], first_mark + index
        count = 0
        while count < n and items[row, count] >= 0:
            item = items[row, count]
            item_marks[item] = mark
            if len(group) and group[item] >= 0:
                if group[item] >= len(group_marks):
                    return int(group[item]) + 1
                group_marks[group[item]] = mark
            count += 1
        for place in range(codes.shape[1]):
            item = codes[index, place]
            if count == n or item < 0:
                break
            if item_marks[item] == mark:
                continue
            if len(group) and group[item] >= 0:
                if group[item] >= len(group_marks):
                    return int(group[item]) + 1
                if group_marks[group[item]] == mark:
                    continue
                group_marks[group[item]] = mark
            item_marks[item] = mark
            items[row, count], values[row, count], by[row, count] = item, scores[index, place], scorer
            counts[row, scorer] += 1
            count += 1
    return 0


__all__ = ["pick"]
