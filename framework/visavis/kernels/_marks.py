"""What kernels over the entries of customers share: their checks, and memory that each thread keeps for itself.

Sums and marks take 24 bytes for each item of the largest table that the thread met: clearing them anew for every
customer would take longer than the sums.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

_LAST_MARK = 2**31 - 1


def entries_of(
    indptr: object, items: object, weights: object
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    codes = _check.array("items", items, np.int32)
    amounts = _check.array("weights", weights, np.float64, length=len(codes))
    starts = _check.array("indptr", indptr, np.int64)
    if _fault(starts, len(codes)) or not _all_finite(amounts):
        # Something is wrong, and these say what.
        _check.row_starts("indptr", indptr, len(codes))
        _check.finite("weights", weights)
    return starts, codes, amounts


class _Marks(threading.local):
    """One thread's memory for scoring. What an entry holds counts only where its stamp is the mark of the customer
    at hand; marks only grow, so nothing is cleared between customers."""

    def __init__(self) -> None:
        self._renew(0)

    def _renew(self, n_items: int) -> None:
        self._n_items = n_items
        self._next = 0
        self._stamp = np.full(n_items, -1, np.int32)
        self._excluded = np.full(n_items, -1, np.int32)
        self.slots = np.empty(n_items, np.int32)
        """Beside the marks, a number for each item that means nothing without one."""
        self._sums = np.empty(n_items, np.float64)
        self._touched = np.empty(n_items, np.int32)

    def of(
        self, n_items: int, rows: int
    ) -> tuple[int, NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
        """The first of `rows` marks, and the arrays: at least [n_items] each. The two of marks hold no mark
        of these rows."""
        if n_items > self._n_items or self._next > _LAST_MARK - rows:
            self._renew(max(n_items, self._n_items))
        mark = self._next
        self._next += rows
        return mark, self._stamp, self._excluded, self._sums, self._touched


marks = _Marks()


@serial
def _fault(starts: NDArray[np.int64], n_entries: int) -> bool:
    """Whether these are no row starts of so many entries."""
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != n_entries:
        return True
    falls = False
    for row in range(len(starts) - 1):
        falls |= starts[row] > starts[row + 1]
    return falls


@serial
def _all_finite(values: NDArray[np.float64]) -> bool:
    finite = True
    for value in values:
        finite &= np.isfinite(value)
    return finite


__all__ = ["entries_of", "marks"]
