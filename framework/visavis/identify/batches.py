"""Batches of interactions by column, checked without a value for each row.

Only batches in which nothing is wrong go this way. Any other is taken row by row (`visavis.identify.recording`), which
finds the words for what is wrong; so both ways refuse the same.
"""

from __future__ import annotations

import os
from dataclasses import replace

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
from visavis.identify.columnar import CheckedBatch, InteractionBatch, Places, by_identifier, distinct, ready
from visavis.live import Live
from visavis.live.identities import CUSTOMER
from visavis.live.state import now_us
from visavis.model import Identifier
from visavis.money import is_currency
from visavis.store.texts import Texts


def check_batch(batch: InteractionBatch, settings: Settings, live: Live) -> CheckedBatch | None:
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
        strings = Texts.joined([strings, [digits[start : start + 32] for start in range(0, len(digits), 32)]])
        ids = ids.copy()
        ids[without] = np.arange(len(batch.strings), len(strings))
    times = np.where(batch.occurred_at == 0, now, np.minimum(batch.occurred_at, now))
    whole = replace(batch, strings=strings, interaction_id=ids, occurred_at=times)
    return ready(batch, whole, _hashes(strings, ids, batch.order_id, batch.reverses_id), live)


def _texts_are_good(batch: InteractionBatch) -> bool:
    """Whether the columns lead to strings, and each of these is good as an id."""
    strings = batch.strings
    if not strings or strings.ends[1] or not Texts(strings.data, strings.ends[1:]).fit(LONGEST_ID):
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
    for code in distinct(batch.kind, len(batch.strings)).tolist():
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
    rows = by_identifier(batch)
    kinds, values = batch.identifier_kind[rows], batch.identifier_value[rows]
    if not (kinds.all() and values.all()):
        return False
    names = {batch.strings[code] for code in distinct(kinds, len(batch.strings)).tolist()}
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
    currencies = distinct(batch.currency, len(batch.strings)).tolist()
    return all(is_currency(batch.strings[code]) for code in currencies) and not (np.abs(rating) > LARGEST_RATING).any()


def _hashes(strings: Texts, *columns: Places) -> NDArray[np.uint64]:
    """uint64 [n_strings]: `text_hash` of those that the columns name; 0 for the others, and for the empty text."""
    named = np.zeros(len(strings), dtype=np.bool_)
    for column in columns:
        named[column] = True
    named[0] = False
    hashes = np.zeros(len(strings), dtype=np.uint64)
    hashes[named] = kernels.text_hashes(strings.data, strings.ends[:-1][named], strings.ends[1:][named])
    return hashes


__all__ = ["check_batch"]
