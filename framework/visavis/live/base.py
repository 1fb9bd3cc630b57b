"""All interactions up to one commit, sorted by customer: built from the store, or mapped from what was built before.

Building reads the store once, piece by piece, and puts each row straight to its place, in a file beside the store.
The file is mapped, not read: a store of any size opens at once, and its rows take memory only while somebody reads
them. What the file holds is known by a fingerprint of the rows that it was made of; if the store has others (it was
restored, say), it is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import DAY, KIND_TABLE, History, Items, KindTable
from visavis.live.netting import net_quantities
from visavis.live.vocabulary import read_only
from visavis.store.interactions import Recorded, StoredRows

COLUMNS: Mapping[str, Any] = {
    "item": np.int32,
    "kind": np.uint16,
    "time": np.int64,
    "quantity": np.float64,
    "rating": np.float64,
    "basket": np.int64,
    "recorded": np.float64,
    "amount": np.float64,
    "id_hash": np.uint64,
    "reverses": np.uint64,
    "foreign": np.bool_,
}
"""The columns of a base: 71 bytes a row."""

BLOCK_ROWS = 500_000
"""Rows that are sorted and netted at once."""

FEW_ROWS = 100_000
"""Up to here rows are placed without the compiled kernel, which takes longer to load than to run."""

Arrays = Mapping[str, NDArray[Any]]
"""By name: each of `COLUMNS`, one value a row, and `indptr`, int64 [n_customers + 1]."""


@dataclass(frozen=True, slots=True)
class Base:
    """Rows sorted by customer and time, as of commit `sequence`; customer c has `indptr[c]:indptr[c+1]`, nobody's rows
    stand before `indptr[0]`. Rows of one moment stand in order of recording.

    `quantity` is what is left after returns, `recorded` what was recorded; purchases wholly returned are there, with
    0. `id_hash`, `reverses` and `amount` (64 bits each) are what a later return needs to find its purchase. `foreign`:
    the amount is in another currency than `currency`.
    """

    sequence: int
    currency: str
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
    foreign: NDArray[np.bool_]

    def rows_of(self, customer: int) -> slice:
        """The rows of a customer; none for one that came later."""
        if not 0 <= customer < len(self.indptr) - 1:
            return slice(0, 0)
        return slice(int(self.indptr[customer]), int(self.indptr[customer + 1]))


def new_arrays(rows: int, n_customers: int) -> Arrays:
    """Arrays in memory for `build` to fill."""
    arrays = {name: np.empty(rows, dtype=dtype) for name, dtype in COLUMNS.items()}
    return arrays | {"indptr": np.empty(n_customers + 1, dtype=np.int64)}


def build(
    recorded: Recorded,
    owners: NDArray[np.int32],
    kinds: list[str],
    arrays: Arrays,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> Base:
    """Fill `arrays`: map identities to customers (`owners`, by identity code), sort, take returns off purchases.

    `progress` hears how many rows are in their places, of how many.
    """
    columns = {name: arrays[name] for name in COLUMNS}
    sizes = np.zeros(len(arrays["indptr"]), dtype=np.int64)
    np.add.at(sizes, owners[: len(recorded.per_identity)] + 1, recorded.per_identity)
    sizes[0] += recorded.nobodys
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    arrays["indptr"][:] = starts[1:]
    free = starts[:-1].copy()
    rows, done = int(starts[-1]), 0
    for piece in recorded.pieces:
        _place(piece, owners, free, columns, few=rows <= FEW_ROWS)
        done += len(piece.identity)
        progress(done, rows)
    purchase = kinds.index("purchase") if "purchase" in kinds else -1
    returned = kinds.index("return") if "return" in kinds else -1
    for first, last in _blocks(starts):
        customer = np.repeat(np.arange(first - 1, last - 1, dtype=np.int32), sizes[first:last])
        block = slice(int(starts[first]), int(starts[last]))
        _finish({name: column[block] for name, column in columns.items()}, customer, purchase, returned)
    return as_base(recorded.sequence, recorded.currency, arrays)


def as_base(sequence: int, currency: str, arrays: Arrays) -> Base:
    """Arrays that are filled, as a base."""
    return Base(sequence, currency, **{name: read_only(arrays[name]) for name in ("indptr", *COLUMNS)})


def history_of(base: Base, kinds: list[str], items: Items, now: int, kind_table: KindTable = KIND_TABLE) -> History:
    """What plugins learn from. Its arrays are the base's own where nothing was wholly returned."""
    n_customers = len(base.indptr) - 1
    sizes = np.diff(base.indptr, prepend=0)
    customer = np.repeat(np.arange(-1, n_customers, dtype=np.int32), sizes)
    # What a plugin adds up is of one currency. The base keeps all: a return has the price of its purchase.
    amount = base.quantity / base.recorded
    amount *= base.amount
    if base.foreign.any():
        amount[base.foreign] = np.nan
    purchase = kinds.index("purchase") if "purchase" in kinds else -1
    gone = (base.kind == purchase) & (base.quantity <= 0)
    keep: Any = ~gone if gone.any() else slice(None)
    return History(
        n_customers=n_customers,
        items=items,
        kinds=tuple(kinds),
        now=now,
        currency=base.currency,
        customer=read_only(customer[keep]),
        item=read_only(base.item[keep]),
        kind=read_only(base.kind[keep]),
        time=read_only(base.time[keep]),
        quantity=read_only(base.quantity[keep]),
        amount=read_only(amount[keep]),
        rating=read_only(base.rating[keep]),
        basket=read_only(base.basket[keep]),
        kind_table=kind_table,
    )


def baskets_of_day(customer: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n]: basket number of each row without an order: one customer's day. Negative, so that no order has it."""
    return -((customer.astype(np.int64) << 24) | (time // DAY & 0xFFFFFF)) - 2


def _place(
    piece: StoredRows,
    owners: NDArray[np.int32],
    free: NDArray[np.int64],
    columns: Mapping[str, NDArray[Any]],
    *,
    few: bool,
) -> None:
    group = np.zeros(len(piece.identity), dtype=np.int32)
    known = piece.identity >= 0
    group[known] = owners[piece.identity[known]] + 1
    places = _places(group, free) if few else kernels.place_rows(group, free)
    for name in COLUMNS:
        columns[name][places] = getattr(piece, "quantity" if name == "recorded" else name)


def _places(group: NDArray[np.int32], free: NDArray[np.int64]) -> NDArray[np.int64]:
    """What `kernels.place_rows` answers."""
    order = np.argsort(group, kind="stable")
    ranked = group[order]
    first = np.searchsorted(ranked, ranked)
    places = np.empty(len(group), dtype=np.int64)
    places[order] = free[ranked] + np.arange(len(group)) - first
    np.add.at(free, group, 1)
    return places


def _blocks(starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Groups `first:last` of about `BLOCK_ROWS` rows together; nobody's are one of their own."""
    yield 0, 1
    first = 1
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + BLOCK_ROWS, side="right")) - 1
        last = min(max(last, first + 1), len(starts) - 1)
        yield first, last
        first = last


def _finish(columns: Mapping[str, NDArray[Any]], customer: NDArray[np.int32], purchase: int, returned: int) -> None:
    """Sort the rows of some customers by time, number their baskets, take returns off; in place."""
    time = columns["time"]
    if ((time[1:] < time[:-1]) & (customer[1:] == customer[:-1])).any():
        order = np.lexsort((time, customer))
        for column in columns.values():
            column[:] = column[order]
    basket = columns["basket"]
    alone = np.flatnonzero(basket < 0)
    basket[alone] = baskets_of_day(customer[alone], time[alone])
    # Nobody's rows of one day are not one basket: each stands for itself, below every number of a customer's day.
    nobodys = alone[customer[alone] < 0]
    basket[nobodys] = -(1 << 62) - nobodys
    columns["quantity"][:] = net_quantities(
        customer,
        columns["item"],
        columns["kind"],
        time,
        columns["recorded"],
        columns["amount"],
        columns["id_hash"],
        columns["reverses"],
        purchase,
        returned,
    )


__all__ = [
    "COLUMNS",
    "Arrays",
    "Base",
    "as_base",
    "baskets_of_day",
    "build",
    "history_of",
    "new_arrays",
]
