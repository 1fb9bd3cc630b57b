"""What each customer did, in memory: sorted arrays built at open or fit, and what came since."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.history import DAY, Customers
from visavis.live.netting import net_quantities


@dataclass(frozen=True, slots=True)
class Base:
    """Rows sorted by customer and time, as of commit `sequence`; customer c has `indptr[c]:indptr[c+1]`.

    `quantity` is what is left after returns, `recorded` what was recorded; purchases wholly returned are there, with
    0. `id_hash`, `reverses` and `amount` (64 bits each) are what a later return needs to find its purchase.
    """

    sequence: int
    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]
    recorded: NDArray[np.float64]
    amount: NDArray[np.float64]
    id_hash: NDArray[np.uint64]
    reverses: NDArray[np.uint64]

    def rows_of(self, customer: int) -> slice:
        """The rows of a customer; none for one that came later."""
        if not 0 <= customer < len(self.indptr) - 1:
            return slice(0, 0)
        return slice(int(self.indptr[customer]), int(self.indptr[customer + 1]))


class LateRow(NamedTuple):
    """One interaction that came after the base was built, as recorded. `reverses` 0: it names no other."""

    sequence: int
    item: int
    kind: int
    time: int
    quantity: float
    amount: float
    rating: float
    basket: int
    id_hash: int
    reverses: int


class _Late(NamedTuple):
    """What came of one customer. `left`: quantities after returns of the base's rows, then of these; None where
    nothing was returned."""

    rows: tuple[LateRow, ...]
    left: NDArray[np.float64] | None


class _State(NamedTuple):
    """A base and what came after it, by customer: read together, replaced together."""

    base: Base
    late: dict[int, _Late]


class Histories:
    """Read by requests in any thread, written by the writer thread; a reader sees one state or the next."""

    def __init__(self, base: Base) -> None:
        self._lock = threading.Lock()
        self._state = _State(base, {})

    def swap(self, base: Base, purchase: int, returned: int) -> None:
        """Take a newer base; what came after it stays. One that is older than the present base is left aside.

        `purchase` and `returned` are the codes of these kinds (−1: not there yet).
        """
        with self._lock:
            if base.sequence < self._state.base.sequence:
                return
            late = {}
            for customer, old in self._state.late.items():
                rows = tuple(row for row in old.rows if row.sequence > base.sequence)
                if rows:
                    late[customer] = _late(base, customer, rows, purchase, returned)
            self._state = _State(base, late)

    def append(self, customers: NDArray[np.int32], rows: Sequence[LateRow], purchase: int, returned: int) -> None:
        """Take in interactions that were committed (customer −1: nobody's, left out); kinds as in `swap`."""
        grown: dict[int, list[LateRow]] = {}
        for customer, row in zip(customers.tolist(), rows, strict=True):
            if customer >= 0:
                grown.setdefault(customer, []).append(row)
        with self._lock:
            base, late = self._state
            for customer, new in grown.items():
                if customer in late:
                    new = [*late[customer].rows, *new]
                # A new value, because a reader may hold the old one.
                late[customer] = _late(base, customer, tuple(new), purchase, returned)

    def of(self, codes: NDArray[np.int32], ids: Sequence[str], kinds: Sequence[str], now: int) -> Customers:
        """The customers of one request with their rows, oldest first; purchases that were wholly returned left out."""
        base, late = self._state
        purchase = kinds.index("purchase") if "purchase" in kinds else -1
        parts = [_columns(base, code, late.get(code), purchase) for code in codes.tolist()]
        indptr = np.zeros(len(codes) + 1, dtype=np.int64)
        np.cumsum([len(part.item) for part in parts], out=indptr[1:])

        def whole(name: str) -> NDArray[Any]:
            columns = [getattr(part, name) for part in parts] or [getattr(base, name)[:0]]
            return np.concatenate(columns)

        return Customers(
            codes=codes,
            ids=ids,
            kinds=kinds,
            now=now,
            indptr=indptr,
            item=whole("item"),
            kind=whole("kind"),
            time=whole("time"),
            quantity=whole("quantity"),
            rating=whole("rating"),
            basket=whole("basket"),
        )


class _Columns(NamedTuple):
    """The rows of one customer as requests read them."""

    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]


def basket_of_day(customer: int, time: int) -> int:
    """Basket number of a row without an order: one customer's day. Negative, so that no order has it."""
    return -((customer << 24) | (time // DAY & 0xFFFFFF)) - 2


def _columns(base: Base, customer: int, late: _Late | None, purchase: int) -> _Columns:
    rows = base.rows_of(customer)
    columns = _Columns(
        base.item[rows],
        base.kind[rows],
        base.time[rows],
        base.quantity[rows],
        base.rating[rows],
        base.basket[rows],
    )
    if late is not None:
        columns = _Columns(
            _join(columns.item, [row.item for row in late.rows]),
            _join(columns.kind, [row.kind for row in late.rows]),
            _join(columns.time, [row.time for row in late.rows]),
            _join(columns.quantity, [row.quantity for row in late.rows]) if late.left is None else late.left,
            _join(columns.rating, [row.rating for row in late.rows]),
            _join(columns.basket, [row.basket for row in late.rows]),
        )
        order = np.argsort(columns.time, kind="stable")
        columns = _Columns._make(column[order] for column in columns)
    gone = (columns.kind == purchase) & (columns.quantity <= 0)
    return _Columns._make(column[~gone] for column in columns) if gone.any() else columns


def _late(base: Base, customer: int, late: tuple[LateRow, ...], purchase: int, returned: int) -> _Late:
    rows = base.rows_of(customer)
    kind = _join(base.kind[rows], [row.kind for row in late])
    if returned < 0 or not (kind == returned).any():
        return _Late(late, None)
    left = net_quantities(
        np.full(len(kind), customer, dtype=np.int32),
        _join(base.item[rows], [row.item for row in late]),
        kind,
        _join(base.time[rows], [row.time for row in late]),
        _join(base.recorded[rows], [row.quantity for row in late]),
        _join(base.amount[rows], [row.amount for row in late]),
        _join(base.id_hash[rows], [row.id_hash for row in late]),
        _join(base.reverses[rows], [row.reverses for row in late]),
        purchase,
        returned,
    )
    return _Late(late, left)


def _join(column: NDArray[Any], more: Sequence[float]) -> NDArray[Any]:
    return np.concatenate([column, np.array(more, dtype=column.dtype)])


__all__ = ["Base", "Histories", "LateRow", "basket_of_day"]
