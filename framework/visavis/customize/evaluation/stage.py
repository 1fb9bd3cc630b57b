"""The stage of an evaluation: what scorers see, which is the past, and what came to pass, which they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import Customers, History, Items, KindTable
from visavis.live import Live
from visavis.live.base import Base, history_of
from visavis.live.histories import Histories
from visavis.live.past import before
from visavis.live.vocabulary import read_only

REPEAT, NEW, COLD = "repeat_allowed", "new_only", "cold"
TASKS = (REPEAT, NEW, COLD)
"""All that customers with a past buy; what they buy for the first time; all that customers without a past buy."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What customers of one task really bought: customer code `customers[r]` (ascending) bought the items
    `items[indptr[r]:indptr[r + 1]]` (ascending)."""

    customers: NDArray[np.int32]
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.customers)

    def take(self, rows: NDArray[np.int64]) -> Truth:
        """Some of the customers, in the order of `rows`, which ascend."""
        sizes = np.diff(self.indptr)
        kept = np.zeros(len(self), dtype=np.bool_)
        kept[rows] = True
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes[rows])])
        return Truth(self.customers[rows], indptr, self.items[np.repeat(kept, sizes)])


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment of the past.

    Items are those that at least `min_buyers` known customers had bought by then, and their codes are their places
    by buyers, most first, then by id: where scores are equal, the smaller code comes first. So ties go to what sold
    more, whatever scorer made them.
    """

    begin: int
    items: Items
    buyers: NDArray[np.int64]
    """Of each item, ascending codes: descending."""
    history: History
    histories: Histories
    kinds: Sequence[str]
    kind_table: KindTable
    ids: Sequence[str]
    seen: NDArray[np.int64]
    """Who had bought what by then: customer · `width` + item, ascending."""
    width: int
    truths: dict[str, Truth]

    def bought_by(self, codes: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """What these customers had bought by then, whether or not they brought it back, as a CSR."""
        begins = np.searchsorted(self.seen, codes.astype(np.int64) * self.width)
        ends = np.searchsorted(self.seen, (codes.astype(np.int64) + 1) * self.width)
        sizes = ends - begins
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        place = np.arange(indptr[-1]) + np.repeat(begins - indptr[:-1], sizes)
        return indptr, (self.seen[place] % self.width).astype(np.int32)

    @property
    def n_buyers(self) -> int:
        """How many customers had bought anything by then."""
        return len(np.unique(self.seen // self.width))

    def buyers_by_item(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Who had bought each item by then, as a CSR: `indptr` int64 [n_items + 1] and customers, ascending."""
        customer, item = self.seen // self.width, self.seen % self.width
        order = np.argsort(item, kind="stable")
        indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.buyers)])
        return indptr, customer[order].astype(np.int32)

    def mean_buyers(self) -> NDArray[np.float64]:
        """float64 [n_customers]: how many customers bought what each customer bought, on average; NaN for none."""
        customer, item = self.seen // self.width, self.seen % self.width
        n = len(self.ids)
        counts = np.bincount(customer, minlength=n)
        sums = np.bincount(customer, weights=self.buyers[item], minlength=n)
        mean: NDArray[np.float64] = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
        return mean

    def customers(self, codes: NDArray[np.int32]) -> Customers:
        """Customers with what each had done by then."""
        return self.histories.of(codes, [self.ids[code] for code in codes.tolist()], self.kinds, self.begin)


def stage_at(
    base: Base,
    catalogue: Items,
    kinds: Sequence[str],
    customer_ids: Sequence[str],
    begin: int,
    end: int,
    min_buyers: int,
    objectors: NDArray[np.int32],
    kind_table: KindTable,
) -> Stage:
    """What was known at `begin` (µs), and what was bought from then until `end` (left out).

    Nothing is foretold of `objectors` (codes): no conclusions are drawn from what a single one of them did.
    """
    customer, bought = _owners(base), _bought(base, kinds)
    later = kernels.last_of_pairs(
        customer, base.item, bought & (base.time >= begin) & (base.time < end), len(catalogue)
    )
    later = later[~np.isin(customer[later], objectors)]
    return _stage(
        base, catalogue, kinds, customer_ids, begin, min_buyers, (customer[later], base.item[later]), kind_table
    )


def stage_of_split(train: Live, test: Live, min_buyers: int = 1) -> Stage:
    """All of one store as the past, all purchases of another as what came then; ids tie them."""
    base, later = train.newest(), test.newest()
    customer, item = _owners(later), later.item
    rows = kernels.last_of_pairs(customer, item, _bought(later, test.kinds.names), len(test.catalog))
    known = train.identities.customers
    ids = [*known.texts]
    own = []
    for text in test.identities.customers.texts:
        code = known.find(text)
        own.append(code if code >= 0 else len(ids))
        if code < 0:
            ids.append(text)
    items = np.array([train.catalog.ids.find(text) for text in test.catalog.ids.texts], dtype=np.int32)
    pairs = np.array(own, dtype=np.int32)[customer[rows]], items[item[rows]]
    # A moment after the last one: nothing is hidden of what is known, and its end is when scorers are asked.
    now = int(base.time.max(initial=0)) + 1
    return _stage(base, train.catalog.whole(), tuple(train.kinds.names), ids, now, min_buyers, pairs, train.kind_table)


def _stage(
    base: Base,
    catalogue: Items,
    kinds: Sequence[str],
    customer_ids: Sequence[str],
    begin: int,
    min_buyers: int,
    later: tuple[NDArray[np.int32], NDArray[np.int32]],
    kind_table: KindTable,
) -> Stage:
    """`later`: customer and item of what was bought then, each pair once."""
    customer = _owners(base)
    known = kernels.last_of_pairs(customer, base.item, _bought(base, kinds) & (base.time < begin), len(catalogue))
    buyers = np.bincount(base.item[known], minlength=len(catalogue))
    chosen = sorted(np.flatnonzero(buyers >= max(min_buyers, 1)).tolist(), key=lambda c: (-buyers[c], catalogue.ids[c]))
    order = np.array(chosen, dtype=np.int32)
    codes = np.full(len(catalogue), -1, dtype=np.int32)
    codes[order] = np.arange(len(order), dtype=np.int32)
    past = before(base, begin, kinds, codes)
    items = _renamed(catalogue, order, past)
    width = max(len(order), 1)
    seen = _pairs(customer[known], codes[base.item[known]], width)
    pairs = _pairs(later[0], np.where(later[1] >= 0, codes[later[1]], np.int32(-1)), width)
    warm = np.zeros(len(customer_ids), dtype=np.bool_)
    warm[: len(past.indptr) - 1] = np.diff(past.indptr) > 0
    is_warm = warm[pairs // width]
    return Stage(
        begin,
        items,
        buyers[order],
        _history(past, kinds, items, begin, kind_table),
        Histories(past, kind_table=kind_table),
        tuple(kinds),
        kind_table,
        customer_ids,
        seen,
        width,
        {
            REPEAT: _truth(pairs[is_warm], width),
            NEW: _truth(pairs[is_warm & ~np.isin(pairs, seen, assume_unique=True)], width),
            COLD: _truth(pairs[~is_warm], width),
        },
    )


def _history(past: Base, kinds: Sequence[str], items: Items, begin: int, kind_table: KindTable) -> History:
    """What scorers learn from. Customers are numbered as they came, so those who came later are left out of the count:
    how many there would once be was not known."""
    history = history_of(past, list(kinds), items, begin, kind_table).training()
    known = np.flatnonzero(np.diff(past.indptr))
    return replace(history, n_customers=int(known[-1]) + 1 if len(known) else 0)


def _owners(base: Base) -> NDArray[np.int32]:
    """Whose each row is."""
    return np.repeat(np.arange(-1, len(base.indptr) - 1, dtype=np.int32), np.diff(base.indptr, prepend=0))


def _bought(base: Base, kinds: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows are purchases, as recorded: what is brought back was bought."""
    purchase = list(kinds).index("purchase") if "purchase" in kinds else -1
    bought: NDArray[np.bool_] = (base.kind == purchase) & (base.recorded > 0) & (base.item >= 0)
    return bought


def _pairs(customer: NDArray[np.int32], item: NDArray[np.int32], width: int) -> NDArray[np.int64]:
    """One number for each pair of a customer and an item of the stage, ascending."""
    there = item >= 0
    pairs: NDArray[np.int64] = np.sort(customer[there].astype(np.int64) * width + item[there])
    return pairs


def _truth(pairs: NDArray[np.int64], width: int) -> Truth:
    customers, counts = np.unique(pairs // width, return_counts=True)
    indptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    return Truth(customers.astype(np.int32), indptr, (pairs % width).astype(np.int32))


def _renamed(catalogue: Items, order: NDArray[np.int32], past: Base) -> Items:
    """Items of the catalogue under other codes: their places in `order`. Whether they can be had is of today, and so
    left open; they came into being when somebody first did something with them."""
    first_seen = np.full(len(order), np.iinfo(np.int64).max)
    there = past.item >= 0
    np.minimum.at(first_seen, past.item[there], past.time[there])

    def read(name: str, codes: NDArray[np.int32]) -> NDArray[np.object_]:
        return catalogue.read_column(name, np.where(codes >= 0, order[np.maximum(codes, 0)], np.int32(-1)))

    return Items(
        codes=read_only(np.arange(len(order), dtype=np.int32)),
        ids=[catalogue.ids[code] for code in order.tolist()],
        price=read_only(catalogue.price[order]),
        available=read_only(np.ones(len(order), dtype=np.bool_)),
        group=read_only(catalogue.group[order]),
        first_seen=read_only(first_seen),
        read_column=read,
    )


__all__ = ["COLD", "NEW", "REPEAT", "TASKS", "Stage", "Truth", "stage_at", "stage_of_split"]
