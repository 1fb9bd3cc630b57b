"""What each customer did, in memory: sorted arrays built at open or fit, and what came since."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.history import DAY, Customers


@dataclass(frozen=True, slots=True)
class Base:
    """Rows sorted by customer and time, as of commit `sequence`; customer c has `indptr[c]:indptr[c+1]`.

    `quantity` is net of returns and is lowered in place when one arrives.
    """

    sequence: int
    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float32]
    rating: NDArray[np.float32]
    basket: NDArray[np.int64]

    def rows_of(self, customer: int) -> tuple[int, int]:
        """First row and the one after the last of a customer."""
        if not 0 <= customer < len(self.indptr) - 1:
            return 0, 0
        return int(self.indptr[customer]), int(self.indptr[customer + 1])


class LateRow(NamedTuple):
    """One interaction that came after the base was built. `quantity` is as recorded, `kept` less what came back."""

    sequence: int
    item: int
    kind: int
    time: int
    quantity: float
    kept: float
    rating: float
    basket: int


class Histories:
    """Read by requests in any thread, written by the writer thread; a reader sees one state or the next."""

    def __init__(self, base: Base) -> None:
        self._lock = threading.Lock()
        self._base = base
        self._late: dict[int, tuple[LateRow, ...]] = {}
        self._late_rows = 0

    @property
    def late_rows(self) -> int:
        """How many interactions came since the base was built."""
        return self._late_rows

    def swap(self, base: Base, purchase: int, returned: int) -> None:
        """Take a newer base; what came after it stays. One that is older than the present base is left aside."""
        with self._lock:
            if base.sequence < self._base.sequence:
                return
            later = {
                customer: kept
                for customer, rows in self._late.items()
                if (kept := [row for row in rows if row.sequence > base.sequence])
            }
            self._base, self._late = base, {}
            self._late_rows = 0
            for customer, rows in later.items():
                # Again from what was recorded: a return may have lowered a row of the old base.
                self._extend(customer, rows, purchase, returned)

    def append(self, customers: NDArray[np.int32], rows: Sequence[LateRow], purchase: int, returned: int) -> None:
        """Take in interactions that were committed (customer −1: nobody's, left out).

        `purchase` and `returned` are the codes of these kinds (−1: not there yet). A return lowers the latest
        purchases of its item.
        """
        with self._lock:
            grown: dict[int, list[LateRow]] = {}
            for customer, row in zip(customers.tolist(), rows, strict=True):
                if customer >= 0:
                    grown.setdefault(customer, []).append(row)
            for customer, new in grown.items():
                self._extend(customer, new, purchase, returned)

    def bought_any(self, customer: int) -> bool:
        """Whether anything is known of a customer."""
        first, end = self._base.rows_of(customer)
        return end > first or customer in self._late

    def of(self, codes: NDArray[np.int32], ids: Sequence[str], kinds: Sequence[str], now: int) -> Customers:
        """The customers of one request with their rows, oldest first; purchases that were wholly returned left out."""
        base, late = self._base, self._late
        purchase = kinds.index("purchase") if "purchase" in kinds else -1
        slices = [base.rows_of(code) for code in codes.tolist()]
        parts: list[tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64], NDArray[np.float64],
                          NDArray[np.float64], NDArray[np.int64]]] = []
        lengths = np.zeros(len(codes), dtype=np.int64)
        for place, (code, (first, end)) in enumerate(zip(codes.tolist(), slices, strict=True)):
            columns = (
                base.item[first:end],
                base.kind[first:end],
                base.time[first:end],
                base.quantity[first:end].astype(np.float64),
                base.rating[first:end].astype(np.float64),
                base.basket[first:end],
            )
            if code in late:
                columns = _with_late(columns, late[code])
            gone = (columns[1] == purchase) & (columns[3] <= 0)
            if gone.any():
                columns = tuple(column[~gone] for column in columns)  # type: ignore[assignment]
            parts.append(columns)
            lengths[place] = len(columns[0])
        indptr = np.zeros(len(codes) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        item, kind, time, quantity, rating, basket = (
            (np.concatenate(column) for column in zip(*parts, strict=True))
            if parts
            else (np.empty(0, d) for d in (np.int32, np.uint16, np.int64, np.float64, np.float64, np.int64))
        )
        return Customers(codes, ids, kinds, now, indptr, item, kind, time, quantity, rating, basket)

    def _extend(self, customer: int, rows: Sequence[LateRow], purchase: int, returned: int) -> None:
        own = list(self._late.get(customer, ()))
        for row in rows:
            if row.kind == returned and row.item >= 0:
                self._take_back(customer, own, row, purchase)
            own.append(row._replace(kept=row.quantity))
        # A new tuple, because a reader may hold the old one.
        self._late[customer] = tuple(own)
        self._late_rows += len(rows)

    def _take_back(self, customer: int, late: list[LateRow], returned: LateRow, purchase: int) -> None:
        left = returned.quantity
        for place in range(len(late) - 1, -1, -1):
            row = late[place]
            if left > 0 and row.kind == purchase and row.item == returned.item and row.kept > 0:
                taken = min(left, row.kept)
                late[place] = row._replace(kept=row.kept - taken)
                left -= taken
        base = self._base
        first, end = base.rows_of(customer)
        for row_number in range(end - 1, first - 1, -1):
            if left <= 0:
                return
            if base.kind[row_number] == purchase and base.item[row_number] == returned.item:
                taken = min(left, float(base.quantity[row_number]))
                base.quantity[row_number] -= taken
                left -= taken


def basket_of_day(customer: int, time: int) -> int:
    """Basket number of a row without an order: one customer's day. Negative, so that no order has it."""
    return -((customer << 24) | (time // DAY & 0xFFFFFF)) - 2


def _with_late(
    columns: tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64], NDArray[np.float64],
                   NDArray[np.float64], NDArray[np.int64]],
    late: Sequence[LateRow],
) -> tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64],
           NDArray[np.int64]]:
    item = np.concatenate([columns[0], np.array([row.item for row in late], dtype=np.int32)])
    kind = np.concatenate([columns[1], np.array([row.kind for row in late], dtype=np.uint16)])
    time = np.concatenate([columns[2], np.array([row.time for row in late], dtype=np.int64)])
    quantity = np.concatenate([columns[3], np.array([row.kept for row in late], dtype=np.float64)])
    rating = np.concatenate([columns[4], np.array([row.rating for row in late], dtype=np.float64)])
    basket = np.concatenate([columns[5], np.array([row.basket for row in late], dtype=np.int64)])
    order = np.argsort(time, kind="stable")
    return item[order], kind[order], time[order], quantity[order], rating[order], basket[order]


__all__ = ["Base", "Histories", "LateRow", "basket_of_day"]
