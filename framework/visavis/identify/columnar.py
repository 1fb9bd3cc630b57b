"""Interactions by column: as they were given, found to be good, and made ready to be written.

What needs no transaction is done before one, in the thread that checks: also looking up what the rows name. Within the
transaction only that which was not known then is looked up again, and made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.live import Live
from visavis.live.state import now_us
from visavis.model import CustomerRef, Identifier
from visavis.store import Transaction
from visavis.store.interactions import InteractionColumns
from visavis.store.texts import Texts

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InteractionBatch:
    """Interactions by column [n]; a text column holds places in `strings`, whose first entry is the empty text: none.

    `occurred_at` in microseconds, 0: now. `amount` in minor units of `currency`. `rating` NaN: none.
    """

    strings: Texts
    kind: Places
    customer_id: Places
    identifier_kind: Places
    identifier_value: Places
    item_id: Places
    interaction_id: Places
    occurred_at: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.int64]
    currency: Places
    rating: NDArray[np.float64]
    order_id: Places
    touchpoint: Places
    decision_id: Places
    reverses_id: Places


class Codes(NamedTuple):
    """What each string names, int32 [n_strings]: codes of kinds, of identities and of items; −1: nothing known."""

    kind: NDArray[np.int32]
    customer: NDArray[np.int32]
    item: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A batch that is good.

    `batch` is as `given`, but that each row has an id and a time. `columns` are those of all rows, but for the codes
    that only a transaction can know.
    """

    given: InteractionBatch
    batch: InteractionBatch
    columns: InteractionColumns
    codes: Codes

    @property
    def count(self) -> int:
        return len(self.batch.kind)

    def content(self) -> object:
        """What was asked, as `visavis.identify.recording` says it of the same rows."""
        given = self.given
        texts = np.array(list(given.strings), dtype=object)
        by_pair: dict[tuple[int, int], Identifier] = {}
        customers: list[CustomerRef | None] = []
        for customer, kind, value in zip(
            texts[given.customer_id].tolist(),
            given.identifier_kind.tolist(),
            given.identifier_value.tolist(),
            strict=True,
        ):
            if customer or not (kind or value):
                customers.append(customer or None)
            else:
                customers.append(
                    by_pair.setdefault((kind, value), Identifier(given.strings[kind], given.strings[value]))
                )
        return (
            texts[given.interaction_id].tolist(),
            customers,
            texts[given.item_id].tolist(),
            texts[given.kind].tolist(),
            [time or None for time in given.occurred_at.tolist()],
            given.quantity.tolist(),
            self.columns.amount.tolist(),
            texts[given.currency].tolist(),
            given.rating.tolist(),
            *(
                texts[places].tolist()
                for places in (given.order_id, given.touchpoint, given.decision_id, given.reverses_id)
            ),
        )

    def encode(self, tx: Transaction, live: Live) -> InteractionColumns:
        """Within a transaction: the rows that are new, with codes for what they name."""
        return self.encode_rows(tx, live, self.new_rows(tx, live))

    def new_rows(self, tx: Transaction, live: Live) -> Places:
        """Within a transaction: the rows that are new."""
        return np.flatnonzero(live.known_ids.is_new(tx, self.columns.interaction_id, self.columns.id_hash))

    def encode_rows(self, tx: Transaction, live: Live, rows: Places) -> InteractionColumns:
        """Within a transaction: these rows, which are new, with codes for what they name."""
        for vocabulary in (live.kinds, live.identities, live.catalog):
            # Even if nothing is made: the next batch of this commit may, and its rows come into memory with these.
            tx.enlist(vocabulary)
        batch, columns = self.batch, self.columns
        if len(rows) < self.count:
            batch, columns = _take(batch, rows), _take_columns(columns, rows)
        now = now_us()
        return replace(
            columns,
            # Kinds first: the one step that may refuse comes before anything is made.
            kind=_encode_kinds(tx, live, batch, rows, self.codes.kind),
            identity=_encode_customers(tx, live, batch, now, self.codes.customer),
            item=_encode_items(tx, live, batch, now, self.codes.item),
        )


def ready(given: InteractionBatch, batch: InteractionBatch, hashes: NDArray[np.uint64], live: Live) -> CheckedBatch:
    """All that can be made of a good batch before its transaction. In any thread.

    `hashes` uint64 [n_strings]: `text_hash` of those strings that are ids of interactions or orders, 0 for the others.
    """
    strings, take, none = batch.strings, batch.strings.take, np.empty(0, dtype=np.int32)
    baskets = (hashes[batch.order_id] >> np.uint64(1)).astype(np.int64)
    columns = InteractionColumns(
        interaction_id=take(batch.interaction_id),
        id_hash=hashes[batch.interaction_id],
        identity=none,
        item=none,
        kind=none.astype(np.uint16),
        occurred_at=batch.occurred_at,
        quantity=batch.quantity,
        amount=np.where(batch.currency > 0, batch.amount, np.nan),
        currency=take(batch.currency),
        rating=batch.rating,
        order_id=take(batch.order_id),
        touchpoint=take(batch.touchpoint),
        decision_id=take(batch.decision_id),
        reverses_id=take(batch.reverses_id),
        basket=np.where(batch.order_id > 0, baskets, np.int64(-1)),
        reverses=hashes[batch.reverses_id],
    )
    codes = Codes(*(np.full(len(strings), -1, dtype=np.int32) for _ in Codes._fields))
    for kind in distinct(batch.kind, len(strings)).tolist():
        codes.kind[kind] = live.kinds.find(strings[kind])
    customers, items = distinct(batch.customer_id, len(strings)), distinct(batch.item_id, len(strings))
    codes.customer[customers] = live.identities.find_customers(take(customers))
    codes.item[items] = live.catalog.ids.find_texts(take(items))
    return CheckedBatch(given, batch, columns, codes)


def distinct(places: Places, count: int) -> Places:
    """Those that occur, but for the empty text, ascending."""
    occurs = np.zeros(count, dtype=np.bool_)
    occurs[places] = True
    occurs[0] = False
    return np.flatnonzero(occurs)


def by_identifier(batch: InteractionBatch) -> Places:
    """Rows whose customer is named by an identifier."""
    return np.flatnonzero((batch.customer_id == 0) & ((batch.identifier_kind > 0) | (batch.identifier_value > 0)))


def _take(batch: InteractionBatch, rows: Places) -> InteractionBatch:
    columns = {one.name: getattr(batch, one.name)[rows] for one in fields(batch) if one.name != "strings"}
    return InteractionBatch(batch.strings, **columns)


def _take_columns(columns: InteractionColumns, rows: Places) -> InteractionColumns:
    """But for the codes, which are not there yet."""
    taken: dict[str, Any] = {}
    for one in fields(columns):
        column = getattr(columns, one.name)
        if one.name not in ("identity", "item", "kind"):
            taken[one.name] = column.take(rows) if isinstance(column, Texts) else column[rows]
    return replace(columns, **taken)


def _encode_kinds(
    tx: Transaction, live: Live, batch: InteractionBatch, rows: Places, known: NDArray[np.int32]
) -> NDArray[np.uint16]:
    """`rows` are the places of the batch's rows in what the caller sent."""
    kind = known[batch.kind]
    if kind.min(initial=0) >= 0:
        return kind.astype(np.uint16)
    used, first = np.unique(batch.kind, return_index=True)
    order = np.argsort(first)
    codes = np.zeros(len(batch.strings), dtype=np.uint16)
    codes[used[order]] = live.kinds.encode(
        tx, [batch.strings[code] for code in used[order].tolist()], rows[first[order]].tolist()
    )
    return codes[batch.kind]


def _encode_customers(
    tx: Transaction, live: Live, batch: InteractionBatch, at: int, known: NDArray[np.int32]
) -> NDArray[np.int32]:
    identity = known[batch.customer_id]
    unknown = np.flatnonzero((identity < 0) & (batch.customer_id > 0))
    if len(unknown):
        places, place = np.unique(batch.customer_id[unknown], return_inverse=True)
        names = [batch.strings[code] for code in places.tolist()]
        identity[unknown] = live.identities.encode_customers(tx, names, at)[place]
    rows = by_identifier(batch)
    if len(rows):
        # One number for each pair; there are at most as many strings as fit in a message.
        pairs = batch.identifier_kind[rows] * len(batch.strings) + batch.identifier_value[rows]
        pairs, pair = np.unique(pairs, return_inverse=True)
        kinds, values = np.divmod(pairs, len(batch.strings))
        refs = [
            Identifier(batch.strings[kind], batch.strings[value])
            for kind, value in zip(kinds.tolist(), values.tolist(), strict=True)
        ]
        identity[rows] = live.identities.encode(tx, refs, at)[pair]
    return identity


def _encode_items(
    tx: Transaction, live: Live, batch: InteractionBatch, at: int, known: NDArray[np.int32]
) -> NDArray[np.int32]:
    item = known[batch.item_id]
    unknown = np.flatnonzero((item < 0) & (batch.item_id > 0))
    if len(unknown):
        places, place = np.unique(batch.item_id[unknown], return_inverse=True)
        item[unknown] = live.catalog.encode(tx, [batch.strings[code] for code in places.tolist()], at)[place]
    return item


__all__ = ["CheckedBatch", "Codes", "InteractionBatch", "Places", "by_identifier", "distinct", "ready"]
