"""What each customer did, in memory: sorted arrays built at open or fit, and what came since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import KIND_TABLE, Customers, KindTable
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

    def __init__(
        self, base: Base, outgrown: Callable[[], None] = lambda: None, kind_table: KindTable = KIND_TABLE
    ) -> None:
        self._lock = threading.Lock()
        self._outgrown = outgrown
        self._kind_table = kind_table
        self._state = _State(base, Lates())
        self._due = most_late(base)

    @property
    def base(self) -> Base:
        """The sorted rows, without what came after them."""
        return self._state.base

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
        came = late.among(codes)
        purchase = kinds.index("purchase") if "purchase" in kinds else -1
        returned = kinds.index("return") if "return" in kinds else -1
        settled = codes
        if came:
            settled = codes.copy()
            settled[[place for place, _ in came]] = -1
        indptr, item, kind, time, quantity, rating, basket = kernels.rows_of(
            base.indptr, base.item, base.kind, base.time, base.quantity, base.rating, base.basket, settled, purchase
        )
        columns = _Columns(item, kind, time, quantity, rating, basket)
        if came:
            parts = {place: _columns(base, int(codes[place]), one, purchase, returned) for place, one in came}
            indptr, columns = _inserted(indptr, columns, parts)
        for array in (indptr, *columns):
            array.setflags(write=False)
        return Customers(read_only(codes), ids, kinds, now, indptr, *columns, self._kind_table)

    def changed_since(self, sequence: int) -> NDArray[np.int32] | None:
        """Who did something after a commit: codes, ascending. None: nobody can say, the base holds later rows."""
        base, late = self._state
        return None if base.sequence > sequence else late.customers_after(sequence)

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


def _columns(base: Base, customer: int, late: Late, purchase: int, returned: int) -> _Columns:
    rows = base.rows_of(customer)
    left = late.left(base, customer, purchase, returned)
    columns = _Columns._make(
        left if name == "quantity" else np.concatenate([getattr(base, name)[rows], late.rows[name]])
        for name in _Columns._fields
    )
    stays = (columns.kind != purchase) | (columns.quantity > 0)
    order = np.argsort(columns.time, kind="stable")
    order = order[stays[order]]
    return _Columns._make(column[order] for column in columns)


def _inserted(
    indptr: NDArray[np.int64], columns: _Columns, parts: dict[int, _Columns]
) -> tuple[NDArray[np.int64], _Columns]:
    """Columns of several customers, row starts `indptr`, with the rows of some, by place, put where there were none."""
    if len(parts) == len(indptr) - 1 == 1:
        return np.array([0, len(parts[0].item)]), parts[0]
    sizes, begins = np.diff(indptr), indptr[:-1].copy()
    end = int(indptr[-1])
    for place, part in parts.items():
        sizes[place], begins[place] = len(part.item), end
        end += len(part.item)
    starts = np.zeros(len(indptr), dtype=np.int64)
    np.cumsum(sizes, out=starts[1:])
    order = np.arange(starts[-1]) + np.repeat(begins - starts[:-1], sizes)
    return starts, _Columns._make(
        np.concatenate([column, *(getattr(part, name) for part in parts.values())])[order]
        for name, column in zip(_Columns._fields, columns, strict=True)
    )


__all__ = ["REBASE_ROWS", "REBASE_SHARE", "Histories", "most_late"]
