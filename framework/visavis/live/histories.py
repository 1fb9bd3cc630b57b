"""What each customer did, in memory: sorted arrays built at open or fit, and what came since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers
from visavis.live.base import Base
from visavis.live.late import Late, LateColumns, Lates
from visavis.live.vocabulary import read_only
from visavis.store.interactions import StoredRows


class _State(NamedTuple):
    """A base and what came after it: read together, replaced together."""

    base: Base
    late: Lates


REBASE_ROWS = 100_000
REBASE_SHARE = 10
"""A new base is due when more than `REBASE_ROWS` rows and a tenth of the base came after it."""


class Histories:
    """Read by requests in any thread, written by the writer thread; a reader sees one state or the next.

    `outgrown` is called in the writer thread when a newer base is due, and again when as much came once more.
    """

    def __init__(self, base: Base, outgrown: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._outgrown = outgrown
        self._state = _State(base, Lates())
        self._due = most_late(base)

    @property
    def built_to(self) -> int:
        """The last commit of which the base holds all rows."""
        return self._state.base.sequence

    def swap(self, base: Base) -> None:
        """Take a newer base; what came after it stays. One that is older than the present base is left aside."""
        with self._lock:
            if base.sequence < self._state.base.sequence:
                return
            self._state = _State(base, self._state.late.after(base.sequence))
            self._due = self._state.late.count + most_late(base)

    def load(self, owners: NDArray[np.int32], rows: StoredRows) -> None:
        """Take in what the store holds beyond the base, before anybody reads. `owners`: customer by identity code."""
        customers = np.full(len(rows.identity), -1, dtype=np.int32)
        known = rows.identity >= 0
        customers[known] = owners[rows.identity[known]]
        late = Lates()
        late.add(customers, LateColumns._make(getattr(rows, name) for name in LateColumns._fields))
        self._state = _State(self._state.base, late)

    def append(self, customers: NDArray[np.int32], rows: LateColumns) -> None:
        """Take in interactions that were committed, with the customer of each (−1: nobody's, left out)."""
        with self._lock:
            base, late = self._state
            late.add(customers, rows)
            outgrown = late.count > self._due
            if outgrown:
                self._due = late.count + most_late(base)
        if outgrown:
            self._outgrown()

    def of(self, codes: NDArray[np.int32], ids: Sequence[str], kinds: Sequence[str], now: int) -> Customers:
        """The customers of one request with their rows, oldest first; purchases that were wholly returned left out."""
        base, late = self._state
        # Before the kinds: they are committed first, so no row is of a kind that is not there yet.
        lates = [late.get(code) for code in codes.tolist()]
        purchase = kinds.index("purchase") if "purchase" in kinds else -1
        returned = kinds.index("return") if "return" in kinds else -1
        parts = [
            _columns(base, code, late, purchase, returned) for code, late in zip(codes.tolist(), lates, strict=True)
        ]
        indptr = np.zeros(len(codes) + 1, dtype=np.int64)
        np.cumsum([len(part.item) for part in parts], out=indptr[1:])

        def whole(name: str) -> NDArray[Any]:
            columns = [getattr(part, name) for part in parts] or [getattr(base, name)[:0]]
            return read_only(np.concatenate(columns))

        return Customers(
            codes=read_only(codes),
            ids=ids,
            kinds=kinds,
            now=now,
            indptr=read_only(indptr),
            item=whole("item"),
            kind=whole("kind"),
            time=whole("time"),
            quantity=whole("quantity"),
            rating=whole("rating"),
            basket=whole("basket"),
        )

    def times_of(self, customer: int) -> NDArray[np.int64]:
        """When each interaction of a customer happened, in no order; those that were returned count, too."""
        base, late = self._state
        times = base.time[base.rows_of(customer)]
        came = late.get(customer)
        return times if came is None else np.concatenate([times, came.rows["time"]])


class _Columns(NamedTuple):
    """The rows of one customer as requests read them."""

    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]


def most_late(base: Base) -> int:
    """How many rows may come after a base before a newer one is due."""
    return max(REBASE_ROWS, len(base.item) // REBASE_SHARE)


def _columns(base: Base, customer: int, late: Late | None, purchase: int, returned: int) -> _Columns:
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
        left = late.left(base, customer, purchase, returned)
        columns = _Columns._make(
            left if name == "quantity" else np.concatenate([column, late.rows[name]])
            for name, column in zip(_Columns._fields, columns, strict=True)
        )
        order = np.argsort(columns.time, kind="stable")
        columns = _Columns._make(column[order] for column in columns)
    gone = (columns.kind == purchase) & (columns.quantity <= 0)
    return _Columns._make(column[~gone] for column in columns) if gone.any() else columns


__all__ = ["REBASE_ROWS", "REBASE_SHARE", "Histories", "most_late"]
