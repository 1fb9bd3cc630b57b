"""Recording interactions: checked whole, written together with others, known again when sent again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.config import Settings
from visavis.identify.checks import (
    Violations,
    check_customer,
    check_id,
    check_money,
    check_number,
    check_request_id,
    check_time,
    check_values,
    check_word,
)
from visavis.live import Live
from visavis.live.base import basket_of_day
from visavis.live.histories import LateRow
from visavis.live.state import now_us
from visavis.model import CustomerRef, Interaction, RecordResult
from visavis.plugin import InteractionsRecorded, Registry
from visavis.store import Operation, Transaction
from visavis.store.interactions import InteractionColumns, insert_interactions, text_hash

MOST_INTERACTIONS = 10_000
"""In one call; more go in several calls, or through the stream."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """Interactions by column, as the caller gave them, checked."""

    ids: list[str]
    hashes: NDArray[np.uint64]
    customers: list[CustomerRef | None]
    items: list[str]
    kinds: list[str]
    times: NDArray[np.int64]
    quantities: NDArray[np.float64]
    amounts: NDArray[np.float64]
    currencies: list[str]
    ratings: NDArray[np.float64]
    orders: list[str]
    touchpoints: list[str]
    decisions: list[str]
    reverses: list[str]


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What a transaction wrote, for memory."""

    answer: dict[str, Any]
    rows: InteractionColumns | None
    sequence: int


def check_interactions(interactions: Sequence[Interaction], settings: Settings) -> _Checked:
    """Check a batch whole. Raises `InvalidInput` naming every field that is wrong (at most 100)."""
    bad = Violations()
    now = datetime.now(UTC)
    tolerance = timedelta(minutes=settings["future_tolerance_minutes"])
    check_values(bad, "interactions", interactions, Interaction, most=MOST_INTERACTIONS)
    bad.check()
    count = len(interactions)
    times = np.zeros(count, dtype=np.int64)
    quantities, amounts, ratings = np.ones(count), np.full(count, np.nan), np.full(count, np.nan)
    ids: list[str] = []
    customers: list[CustomerRef | None] = []
    items: list[str] = []
    kinds: list[str] = []
    currencies: list[str] = []
    texts: list[tuple[str, str, str, str]] = []
    for place, one in enumerate(interactions):
        at = f"interactions[{place}]"
        ids.append(check_id(bad, f"{at}.interaction_id", one.interaction_id, required=False) or uuid.uuid4().hex)
        customers.append(None if one.customer is None else check_customer(bad, f"{at}.customer", one.customer))
        items.append("" if one.item_id is None else check_id(bad, f"{at}.item_id", one.item_id))
        kinds.append(check_word(bad, f"{at}.kind", one.kind))
        times[place] = check_time(bad, f"{at}.occurred_at", one.occurred_at, now=now, tolerance=tolerance)
        quantities[place] = check_number(bad, f"{at}.quantity", one.quantity, minimum=0, maximum=1e9, above=True)
        money = check_money(bad, f"{at}.amount", one.amount)
        currencies.append("" if money is None else money.currency)
        if money is not None:
            amounts[place] = money.minor_units
        if one.rating is not None:
            ratings[place] = check_number(bad, f"{at}.rating", one.rating, minimum=-1e6, maximum=1e6)
        if (one.rating is not None) != (one.kind == "rating"):
            bad.add(f"{at}.rating", "belongs to the kind `rating`, and that kind needs it")
        if one.kind in {"purchase", "return", "rating", "like", "skip"} and not one.item_id:
            bad.add(f"{at}.item_id", f"is empty; the kind `{one.kind}` is about an item")
        texts.append(
            (
                check_id(bad, f"{at}.order_id", one.order_id, required=False),
                check_id(bad, f"{at}.touchpoint", one.touchpoint, required=False),
                check_id(bad, f"{at}.decision_id", one.decision_id, required=False),
                check_id(bad, f"{at}.reverses_id", one.reverses_id, required=False),
            )
        )
        if len(bad) >= 100:
            break
    bad.check()
    orders, touchpoints, decisions, reverses = ([row[column] for row in texts] for column in range(4))
    hashes = np.array([text_hash(interaction_id) for interaction_id in ids], dtype=np.uint64)
    return _Checked(
        ids,
        hashes,
        customers,
        items,
        kinds,
        times,
        quantities,
        amounts,
        currencies,
        ratings,
        orders,
        touchpoints,
        decisions,
        reverses,
    )


def record_operation(
    live: Live,
    interactions: Sequence[Interaction],
    settings: Settings,
    request_id: str,
    registry: Registry,
) -> Operation[_Recorded]:
    """The writer's part of recording a batch: all of it or nothing."""
    bad = Violations()
    check_request_id(bad, request_id)
    bad.check()
    checked = check_interactions(interactions, settings)

    def apply(tx: Transaction) -> _Recorded:
        written: list[InteractionColumns] = []

        def work() -> dict[str, Any]:
            rows = _encode(tx, live, checked)
            insert_interactions(tx, rows, now_us())
            written.append(rows)
            recorded = len(rows.interaction_id)
            return {"recorded": recorded, "already_known": len(checked.ids) - recorded}

        answer, _ = live.known_requests.once(tx, request_id, "record", tuple(interactions), work)
        return _Recorded(answer, written[0] if written else None, tx.sequence)

    def committed(result: _Recorded) -> None:
        if result.rows is not None and len(result.rows.interaction_id):
            _apply(live, result.rows, result.sequence, registry)

    return Operation(apply, rows=len(checked.ids), committed=committed)


def to_result(recorded: _Recorded) -> RecordResult:
    """The answer to the caller."""
    return RecordResult(**recorded.answer)


def _encode(tx: Transaction, live: Live, checked: _Checked) -> InteractionColumns:
    new = live.known_ids.is_new(tx, checked.ids, checked.hashes)
    keep = np.flatnonzero(new)
    places = keep.tolist()
    # Kinds first: the one step that may refuse comes before anything is made.
    kinds = live.kinds.encode(tx, [checked.kinds[place] for place in places], places)
    now = now_us()

    def pick(texts: Sequence[str]) -> list[str]:
        return [texts[place] for place in places]

    return InteractionColumns(
        interaction_id=pick(checked.ids),
        id_hash=checked.hashes[keep],
        identity=live.identities.encode(tx, [checked.customers[place] for place in places], now),
        item=live.catalog.encode(tx, pick(checked.items), now),
        kind=kinds,
        occurred_at=checked.times[keep],
        quantity=checked.quantities[keep],
        amount=checked.amounts[keep],
        currency=pick(checked.currencies),
        rating=checked.ratings[keep],
        order_id=pick(checked.orders),
        touchpoint=pick(checked.touchpoints),
        decision_id=pick(checked.decisions),
        reverses_id=pick(checked.reverses),
    )


def _apply(live: Live, rows: InteractionColumns, sequence: int, registry: Registry) -> None:
    live.known_ids.add(rows.id_hash)
    owners = live.identities.owners
    customers = np.where(rows.identity >= 0, owners[rows.identity] if len(owners) else -1, -1).astype(np.int32)
    late = [
        LateRow(
            sequence,
            item,
            kind,
            time,
            quantity,
            amount,
            rating,
            text_hash(order) >> 1 if order else basket_of_day(customer, time),
            id_hash,
            text_hash(reverses) if reverses else 0,
        )
        for customer, item, kind, time, quantity, amount, rating, order, id_hash, reverses in zip(
            customers.tolist(),
            rows.item.tolist(),
            rows.kind.tolist(),
            rows.occurred_at.tolist(),
            rows.quantity.tolist(),
            rows.amount.tolist(),
            rows.rating.tolist(),
            rows.order_id,
            rows.id_hash.tolist(),
            rows.reverses_id,
            strict=True,
        )
    ]
    kinds = live.kinds
    live.histories.append(customers, late)
    if not registry.observes_interactions:
        return
    customer_ids, item_ids = live.identities.customers.texts, live.catalog.ids.texts
    registry.interactions_recorded(
        InteractionsRecorded(
            kinds=[kinds.names[code] for code in rows.kind.tolist()],
            customer_ids=[customer_ids[code] if code >= 0 else "" for code in customers.tolist()],
            item_ids=[item_ids[code] if code >= 0 else "" for code in rows.item.tolist()],
        )
    )


__all__ = ["MOST_INTERACTIONS", "check_interactions", "record_operation", "to_result"]
