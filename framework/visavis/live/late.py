"""What came of each customer after the base was built.

All rows stand in one growing array, in order of recording, each with the place of the customer's row before it. So a
batch goes in by columns, whoever it is of; a reader follows a customer's rows back, and keeps them for the next time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.live.base import Base, baskets_of_day
from visavis.live.netting import net_quantities
from visavis.live.vocabulary import GrowingArray


class LateColumns(NamedTuple):
    """Interactions as recorded, by column [n]. `basket` −1: the customer's day; `reverses` 0: it names no other."""

    sequence: NDArray[np.int64]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]
    id_hash: NDArray[np.uint64]
    reverses: NDArray[np.uint64]


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
"""`LateColumns` as a row of an array."""


class Late:
    """What came of one customer until a moment. The rows never change."""

    __slots__ = ("_left", "newest", "rows")

    def __init__(self, rows: NDArray[np.void], newest: int) -> None:
        self.rows = rows
        self.newest = newest
        """Place of the last row among all."""
        self._left: tuple[tuple[int, int], NDArray[np.float64]] | None = None

    def left(self, base: Base, customer: int, purchase: int, returned: int) -> NDArray[np.float64]:
        """Quantities after returns of the base's rows, then of these. Worked out when first read, for the writer has
        no time for it; readers that race work it out twice, the same."""
        kinds = (purchase, returned)
        if self._left is None or self._left[0] != kinds:
            self._left = (kinds, _net(base, customer, self.rows, purchase, returned))
        return self._left[1]


class Lates:
    """Rows beside one base. Written by one thread at a time, read without a lock."""

    def __init__(self) -> None:
        self._rows = GrowingArray(np.empty(0, dtype=_LATE))
        self._customers = GrowingArray(np.empty(0, dtype=np.int32))
        self._before = GrowingArray(np.empty(0, dtype=np.int32))
        """Place of the row of the same customer before this one, −1 for none."""
        self._newest = GrowingArray(np.empty(0, dtype=np.int32))
        """By customer: place of the last row, −1 for none."""
        self._met: dict[int, Late] = {}
        """Those who were asked for."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._customers)

    def get(self, customer: int) -> Late | None:
        """What came of a customer."""
        newest = self._newest.view
        last = int(newest[customer]) if 0 <= customer < len(newest) else -1
        if last < 0:
            return None
        met = self._met.get(customer)
        if met is not None and met.newest >= last:
            return met
        # What is reached from the newest row is all there: rows and places are written before it is named.
        before, places, place = self._before.view, [], last
        until = -1 if met is None else met.newest
        while place > until:
            places.append(place)
            place = int(before[place])
        rows = self._rows.view[places[::-1]]
        late = Late(rows if met is None else np.concatenate([met.rows, rows]), last)
        # Readers that race put in the same, or one of them a row less, which the next reader finds.
        self._met[customer] = late
        return late

    def among(self, customers: NDArray[np.int32]) -> list[tuple[int, Late]]:
        """Of whom something came, with the place of each."""
        newest = self._newest.view
        if len(customers) == 1:  # nearly every request
            late = self.get(int(customers[0]))
            return [] if late is None else [(0, late)]
        known = np.flatnonzero((customers >= 0) & (customers < len(newest)))
        found = ((place, self.get(int(customers[place]))) for place in known[newest[customers[known]] >= 0].tolist())
        return [(place, late) for place, late in found if late is not None]

    def add(self, customers: NDArray[np.int32], columns: LateColumns) -> None:
        """Take in rows behind the others, with the customer of each (−1: nobody's, left out)."""
        known = customers >= 0
        if not known.all():
            customers, columns = customers[known], LateColumns._make(column[known] for column in columns)
        if not len(customers):
            return
        rows = np.empty(len(customers), dtype=_LATE)
        for name, column in zip(LateColumns._fields, columns, strict=True):
            rows[name] = column
        alone = np.flatnonzero(rows["basket"] < 0)
        if len(alone):
            rows["basket"][alone] = baskets_of_day(customers[alone], rows["time"][alone])
        self._add(customers, rows)

    def customers_after(self, sequence: int) -> NDArray[np.int32]:
        """Whose rows came after a commit: codes, ascending. Commits only rise from row to row."""
        customers = self._customers.view
        first = np.searchsorted(self._rows.view["sequence"][: len(customers)], sequence, side="right")
        return np.unique(customers[first:])

    def after(self, sequence: int) -> Lates:
        """Only what came after a commit."""
        later = Lates()
        keep = self._rows.view["sequence"] > sequence
        if keep.any():
            later._add(self._customers.view[keep], self._rows.view[keep])
        return later

    def _add(self, customers: NDArray[np.int32], rows: NDArray[np.void]) -> None:
        start, most = self.count, int(customers.max()) + 1
        if most > len(self._newest):
            self._newest.extend(np.full(most - len(self._newest), -1, dtype=np.int32))
        places = np.arange(start, start + len(rows), dtype=np.int32)
        order = np.argsort(customers, kind="stable")
        ordered = customers[order]
        before = np.empty(len(rows), dtype=np.int32)
        before[order[1:]] = places[order[:-1]]
        first = np.ones(len(rows), dtype=np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        before[order[first]] = self._newest.view[ordered[first]]
        last = np.append(first[1:], True)
        self._rows.extend(rows)
        self._before.extend(before)
        self._customers.extend(customers)
        # Last, and one step of the interpreter: a reader meets all rows of a batch or none.
        self._newest.view[ordered[last]] = places[order[last]]


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


__all__ = ["Late", "LateColumns", "Lates"]
