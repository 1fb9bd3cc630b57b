"""What each customer did, in memory: sorted arrays built at open or fit, and what came since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers
from visavis.live.base import Base, baskets_of_day
from visavis.live.netting import net_quantities
from visavis.live.vocabulary import read_only
from visavis.store.interactions import StoredRows


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


_LATE = np.dtype(
    [
        ("sequence", np.int64),
        ("item", np.int32),
        ("kind", np.uint16),
        ("time", np.int64),
        ("quantity", np.float64),
        ("amount", np.float64),
        ("rating", np.float64),
        ("basket", np.int64),
        ("id_hash", np.uint64),
        ("reverses", np.uint64),
    ]
)
"""`LateRow` as a row of an array."""


class _Late:
    """What came of one customer. The rows never change; a longer one may share their memory, and writes behind them."""

    __slots__ = ("_left", "_memory", "count")

    def __init__(self, memory: NDArray[np.void], count: int) -> None:
        self._memory = memory
        self.count = count
        self._left: tuple[tuple[int, int], NDArray[np.float64]] | None = None

    @property
    def rows(self) -> NDArray[np.void]:
        return self._memory[: self.count]

    def and_more(self, rows: NDArray[np.void]) -> _Late:
        """With these rows behind. Only the longest may grow, by one thread at a time."""
        count = self.count + len(rows)
        memory = self._memory
        if count > len(memory):
            memory = np.empty(max(count, 2 * len(memory)), dtype=_LATE)
            memory[: self.count] = self.rows
        memory[self.count : count] = rows
        return _Late(memory, count)

    def left(self, base: Base, customer: int, purchase: int, returned: int) -> NDArray[np.float64]:
        """Quantities after returns of the base's rows, then of these. Worked out when first read, for the writer has
        no time for it; readers that race work it out twice, the same."""
        kinds = (purchase, returned)
        if self._left is None or self._left[0] != kinds:
            self._left = (kinds, _net(base, customer, self.rows, purchase, returned))
        return self._left[1]


class _Lates:
    """What came after a base, by customer: rows loaded with it, sorted, and rows that came since. Written under the
    lock of `Histories`, read without."""

    def __init__(self, customers: NDArray[np.int32], rows: NDArray[np.void]) -> None:
        """Loaded rows with the customer of each, ascending; not of nobody."""
        self._loaded = rows
        self._begins = np.append(np.flatnonzero(np.diff(customers, prepend=-1)), len(rows))
        self._customers = customers[self._begins[:-1]]
        self._met: dict[int, _Late] = {}
        """Those who were asked for or got more rows."""
        self.count = len(rows)

    def get(self, customer: int) -> _Late | None:
        """What came of a customer."""
        late = self._met.get(customer)
        if late is None and len(self._customers):
            place = int(np.searchsorted(self._customers, customer))
            if place < len(self._customers) and self._customers[place] == customer:
                rows = self._loaded[self._begins[place] : self._begins[place + 1]]
                # Unless the writer was faster: what it put there holds more.
                return self._met.setdefault(customer, _Late(rows, len(rows)))
        return late

    def add(self, customer: int, rows: NDArray[np.void]) -> None:
        """A new value, because a reader may hold the old one."""
        late = self.get(customer)
        self._met[customer] = _Late(rows, len(rows)) if late is None else late.and_more(rows)
        self.count += len(rows)

    def after(self, sequence: int) -> _Lates:
        """Only what came after a commit."""
        # A list at once, because readers add to the map.
        met = list(self._met.items())
        owner = np.repeat(self._customers, np.diff(self._begins))
        keep = self._loaded["sequence"] > sequence
        keep &= ~np.isin(owner, np.array([customer for customer, _ in met], dtype=np.int32))
        left = _Lates(owner[keep], self._loaded[keep])
        for customer, late in met:
            rows = late.rows[late.rows["sequence"] > sequence]
            if len(rows):
                left.add(customer, rows)
        return left


class _State(NamedTuple):
    """A base and what came after it: read together, replaced together."""

    base: Base
    late: _Lates


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
        self._state = _State(base, _Lates(np.empty(0, dtype=np.int32), np.empty(0, dtype=_LATE)))
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
        order = np.argsort(customers, kind="stable")
        order = order[np.count_nonzero(customers < 0) :]
        customers = customers[order]
        late = np.empty(len(order), dtype=_LATE)
        for name in _LATE.names or ():
            late[name] = getattr(rows, name)[order]
        alone = late["basket"] < 0
        late["basket"][alone] = baskets_of_day(customers[alone], late["time"][alone])
        self._state = _State(self._state.base, _Lates(customers, late))

    def append(self, customers: NDArray[np.int32], rows: Sequence[LateRow]) -> None:
        """Take in interactions that were committed (customer −1: nobody's, left out)."""
        grown: dict[int, list[LateRow]] = {}
        for customer, row in zip(customers.tolist(), rows, strict=True):
            if customer >= 0:
                grown.setdefault(customer, []).append(row)
        with self._lock:
            base, late = self._state
            for customer, new in grown.items():
                late.add(customer, np.array(new, dtype=_LATE))
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


def _columns(base: Base, customer: int, late: _Late | None, purchase: int, returned: int) -> _Columns:
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


def _net(base: Base, customer: int, late: NDArray[np.void], purchase: int, returned: int) -> NDArray[np.float64]:
    """What is left of a customer's rows in the base, then of the late ones. The base's own is right but for the items
    that were bought or brought back since."""
    rows = base.rows_of(customer)
    left = np.concatenate([base.quantity[rows], late["quantity"]])
    item = np.concatenate([base.item[rows], late["item"]])
    kind = np.concatenate([base.kind[rows], late["kind"]])
    traded = np.isin(late["kind"], [purchase, returned])
    touched = np.flatnonzero(np.isin(item, np.intersect1d(late["item"][traded], item[kind == returned])))
    if not len(touched):
        return left

    def whole(name: str, recorded: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([recorded[rows], late[name]])[touched]

    left[touched] = net_quantities(
        np.full(len(touched), customer, dtype=np.int32),
        item[touched],
        kind[touched],
        whole("time", base.time),
        whole("quantity", base.recorded),
        whole("amount", base.amount),
        whole("id_hash", base.id_hash),
        whole("reverses", base.reverses),
        purchase,
        returned,
    )
    return left


__all__ = ["REBASE_ROWS", "REBASE_SHARE", "Histories", "LateRow", "most_late"]
