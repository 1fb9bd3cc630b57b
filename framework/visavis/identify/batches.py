"""Batches of interactions by column, checked and made ready to be written without a value for each row.

Only batches in which nothing is wrong go this way. Any other is taken row by row (`visavis.identify.recording`), which
finds the words for what is wrong; so both ways refuse the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.config import Settings
from visavis.identify.checks import (
    CARD_KINDS,
    LARGEST_MINOR_UNITS,
    LARGEST_QUANTITY,
    LARGEST_RATING,
    LONGEST_ID,
    NEEDS_ITEM,
    RATING,
    Violations,
    check_identifier,
    is_word,
)
from visavis.live import Live
from visavis.live.identities import CUSTOMER
from visavis.live.state import now_us
from visavis.model import CustomerRef, Identifier
from visavis.money import is_currency
from visavis.store import Transaction
from visavis.store.interactions import InteractionColumns

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InteractionBatch:
    """Interactions by column [n]; a text column holds places in `strings`, whose first entry is the empty text: none.

    `occurred_at` in microseconds, 0: now. `amount` in minor units of `currency`. `rating` NaN: none.
    """

    strings: list[str]
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


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A batch that is good. `hashes` uint64: of those strings that are ids of interactions or orders."""

    given: InteractionBatch
    batch: InteractionBatch
    """As given, but that each row has an id and a time."""
    amounts: NDArray[np.float64]
    hashes: NDArray[np.uint64]

    @property
    def count(self) -> int:
        return len(self.batch.kind)

    def content(self) -> object:
        """What was asked, as `visavis.identify.recording` says it of the same rows."""
        given = self.given
        texts = np.array(given.strings, dtype=object)
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
            self.amounts.tolist(),
            texts[given.currency].tolist(),
            given.rating.tolist(),
            *(
                texts[places].tolist()
                for places in (given.order_id, given.touchpoint, given.decision_id, given.reverses_id)
            ),
        )

    def encode(self, tx: Transaction, live: Live) -> InteractionColumns:
        """Within a transaction: the rows that are new, with codes for what they name."""
        batch, strings = self.batch, np.array(self.batch.strings, dtype=object)
        hashes = self.hashes[batch.interaction_id]
        ids = strings[batch.interaction_id].tolist()
        new = live.known_ids.is_new(tx, ids, hashes)
        rows = np.flatnonzero(new)
        amounts = self.amounts
        if len(rows) < len(new):
            batch, hashes, amounts = _take(batch, rows), hashes[rows], amounts[rows]
            ids = [ids[row] for row in rows.tolist()]
        # Kinds first: the one step that may refuse comes before anything is made.
        kind = _encode_kinds(tx, live, batch, rows)
        now = now_us()

        def texts(places: Places) -> list[str]:
            return strings[places].tolist() if places.any() else [""] * len(places)

        return InteractionColumns(
            interaction_id=ids,
            id_hash=hashes,
            identity=_encode_customers(tx, live, batch, now),
            item=_encode_items(tx, live, batch, now),
            kind=kind,
            occurred_at=batch.occurred_at,
            quantity=batch.quantity,
            amount=amounts,
            currency=texts(batch.currency),
            rating=batch.rating,
            order_id=texts(batch.order_id),
            touchpoint=texts(batch.touchpoint),
            decision_id=texts(batch.decision_id),
            reverses_id=texts(batch.reverses_id),
            basket=np.where(
                batch.order_id > 0, (self.hashes[batch.order_id] >> np.uint64(1)).astype(np.int64), np.int64(-1)
            ),
            reverses=self.hashes[batch.reverses_id],
        )


def check_batch(batch: InteractionBatch, settings: Settings) -> CheckedBatch | None:
    """The batch, if nothing is wrong with it."""
    now = now_us()
    tolerance = round(settings["future_tolerance_minutes"] * 60_000_000)
    if not (
        _texts_are_good(batch)
        and _kinds_are_good(batch)
        and _identifiers_are_good(batch)
        and _numbers_are_good(batch, now + tolerance)
    ):
        return None
    strings, ids = batch.strings, batch.interaction_id
    without = np.flatnonzero(ids == 0)
    if len(without):
        digits = os.urandom(16 * len(without)).hex()
        strings = [*strings, *(digits[start : start + 32] for start in range(0, len(digits), 32))]
        ids = ids.copy()
        ids[without] = np.arange(len(batch.strings), len(strings))
    times = np.where(batch.occurred_at == 0, now, np.minimum(batch.occurred_at, now))
    return CheckedBatch(
        given=batch,
        batch=replace(batch, strings=strings, interaction_id=ids, occurred_at=times),
        amounts=np.where(batch.currency > 0, batch.amount, np.nan),
        hashes=_hashes(strings, ids, batch.order_id, batch.reverses_id),
    )


def _texts_are_good(batch: InteractionBatch) -> bool:
    """Whether the columns lead to strings, and each of these is good as an id."""
    strings = batch.strings
    if not strings or strings[0]:
        return False
    lengths = list(map(len, strings))
    if max(lengths) > LONGEST_ID or 0 in lengths[1:]:
        return False
    try:
        content = np.frombuffer("".join(strings).encode(), dtype=np.uint8)
    except UnicodeEncodeError:
        return False
    if ((content < 0x20) | (content == 0x7F)).any():
        return False
    columns = (
        batch.kind,
        batch.customer_id,
        batch.identifier_kind,
        batch.identifier_value,
        batch.item_id,
        batch.interaction_id,
        batch.currency,
        batch.order_id,
        batch.touchpoint,
        batch.decision_id,
        batch.reverses_id,
    )
    return all(column.max(initial=0) < len(strings) for column in columns)


def _kinds_are_good(batch: InteractionBatch) -> bool:
    """Whether all kinds are words, and items and ratings stand where the kinds want them."""
    needs_item = np.zeros(len(batch.strings), dtype=np.bool_)
    is_rating = np.zeros(len(batch.strings), dtype=np.bool_)
    for code in _distinct(batch.kind, len(batch.strings)).tolist():
        kind = batch.strings[code]
        if not is_word(kind):
            return False
        needs_item[code] = kind in NEEDS_ITEM
        is_rating[code] = kind == RATING
    if not batch.kind.all() or (needs_item[batch.kind] & (batch.item_id == 0)).any():
        return False
    return bool((is_rating[batch.kind] != np.isnan(batch.rating)).all())


def _identifiers_are_good(batch: InteractionBatch) -> bool:
    """Whether those who are not named by a customer id are named by good identifiers, or not at all."""
    rows = _by_identifier(batch)
    kinds, values = batch.identifier_kind[rows], batch.identifier_value[rows]
    if not (kinds.all() and values.all()):
        return False
    names = {batch.strings[code] for code in _distinct(kinds, len(batch.strings)).tolist()}
    if CUSTOMER in names or not all(map(is_word, names)):
        return False
    if names & CARD_KINDS:
        bad = Violations()
        for kind, value in zip(kinds.tolist(), values.tolist(), strict=True):
            check_identifier(bad, "", Identifier(batch.strings[kind], batch.strings[value]))
        return not bad
    return True


def _numbers_are_good(batch: InteractionBatch, latest: int) -> bool:
    """Whether times, quantities, amounts and ratings lie where they may."""
    times, quantity, amount, rating = batch.occurred_at, batch.quantity, batch.amount, batch.rating
    if not (times.min() >= 0 and times.max() <= latest and ((quantity > 0) & (quantity <= LARGEST_QUANTITY)).all()):
        return False
    if not (amount.min() >= 0 and amount.max() <= LARGEST_MINOR_UNITS and not amount[batch.currency == 0].any()):
        return False
    currencies = _distinct(batch.currency, len(batch.strings)).tolist()
    return all(is_currency(batch.strings[code]) for code in currencies) and not (np.abs(rating) > LARGEST_RATING).any()


def _hashes(strings: list[str], *columns: Places) -> NDArray[np.uint64]:
    """uint64 [n_strings]: `text_hash` of those that the columns name; 0 for the others, and for the empty text."""
    named = np.zeros(len(strings), dtype=np.bool_)
    for column in columns:
        named[column] = True
    named[0] = False
    content = "".join(strings)
    encoded = content.encode()
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    if len(encoded) != len(content):
        lengths = np.array([len(text.encode()) for text in strings], dtype=np.int64)
    ends = np.cumsum(lengths)
    hashes = np.zeros(len(strings), dtype=np.uint64)
    hashes[named] = kernels.text_hashes(np.frombuffer(encoded, dtype=np.uint8), (ends - lengths)[named], ends[named])
    return hashes


def _distinct(places: Places, count: int) -> Places:
    """Those that occur, but for the empty text, ascending."""
    occurs = np.zeros(count, dtype=np.bool_)
    occurs[places] = True
    occurs[0] = False
    return np.flatnonzero(occurs)


def _by_identifier(batch: InteractionBatch) -> Places:
    """Rows whose customer is named by an identifier."""
    return np.flatnonzero((batch.customer_id == 0) & ((batch.identifier_kind > 0) | (batch.identifier_value > 0)))


def _take(batch: InteractionBatch, rows: Places) -> InteractionBatch:
    columns = {one.name: getattr(batch, one.name)[rows] for one in fields(batch) if one.name != "strings"}
    return InteractionBatch(batch.strings, **columns)


def _encode_kinds(tx: Transaction, live: Live, batch: InteractionBatch, rows: Places) -> NDArray[np.uint16]:
    """`rows` are the places of the batch's rows in what the caller sent."""
    used, first = np.unique(batch.kind, return_index=True)
    order = np.argsort(first)
    codes = np.zeros(len(batch.strings), dtype=np.uint16)
    codes[used[order]] = live.kinds.encode(
        tx, [batch.strings[code] for code in used[order].tolist()], rows[first[order]].tolist()
    )
    return codes[batch.kind]


def _encode_customers(tx: Transaction, live: Live, batch: InteractionBatch, at: int) -> NDArray[np.int32]:
    used = _distinct(batch.customer_id, len(batch.strings))
    codes = np.full(len(batch.strings), -1, dtype=np.int32)
    codes[used] = live.identities.encode_customers(tx, [batch.strings[code] for code in used.tolist()], at)
    identity = codes[batch.customer_id]
    rows = _by_identifier(batch)
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


def _encode_items(tx: Transaction, live: Live, batch: InteractionBatch, at: int) -> NDArray[np.int32]:
    used = _distinct(batch.item_id, len(batch.strings))
    codes = np.full(len(batch.strings), -1, dtype=np.int32)
    codes[used] = live.catalog.encode(tx, [batch.strings[code] for code in used.tolist()], at)
    return codes[batch.item_id]


__all__ = ["CheckedBatch", "InteractionBatch", "check_batch"]
