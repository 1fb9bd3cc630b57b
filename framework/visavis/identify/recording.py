"""Recording interactions: checked whole, written together with others, known again when sent again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visavis.config import Settings
from visavis.identify.checks import (
    EPOCH,
    LARGEST_QUANTITY,
    LARGEST_RATING,
    NEEDS_ITEM,
    RATING,
    Violations,
    check_customer,
    check_id,
    check_money,
    check_number,
    check_time,
    check_values,
    check_word,
)
from visavis.live import Live
from visavis.live.state import now_us
from visavis.model import CustomerRef, Interaction, RecordResult
from visavis.plugin import InteractionsRecorded, Registry
from visavis.store import Operation, Transaction
from visavis.store.interactions import InteractionColumns, insert_interactions, text_hash

MOST_INTERACTIONS = 10_000
"""In one call; more go in several calls, or through the stream."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Interactions that are good, by column; each has an id and a time. `given` as the caller sent them."""

    given: Sequence[Interaction]
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

    @property
    def count(self) -> int:
        return len(self.ids)

    def content(self) -> object:
        """What was asked: equal for equal requests, be they by rows or by columns."""
        return (
            [one.interaction_id for one in self.given],
            self.customers,
            self.items,
            self.kinds,
            [None if at is None else (at - EPOCH) // _MICROSECOND for at in (one.occurred_at for one in self.given)],
            self.quantities.tolist(),
            self.amounts.tolist(),
            self.currencies,
            self.ratings.tolist(),
            self.orders,
            self.touchpoints,
            self.decisions,
            self.reverses,
        )

    def encode(self, tx: Transaction, live: Live) -> InteractionColumns:
        """Within a transaction: the rows that are new, with codes for what they name."""
        new = live.known_ids.is_new(tx, self.ids, self.hashes)
        if new.all():
            return self._encode(tx, live, range(self.count))
        rows = np.flatnonzero(new).tolist()
        return self._only(rows)._encode(tx, live, rows)

    def _only(self, rows: list[int]) -> CheckedRows:
        columns: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, column in columns.items():
            columns[name] = column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
        return CheckedRows(**columns)

    def _encode(self, tx: Transaction, live: Live, places: Sequence[int]) -> InteractionColumns:
        """All rows are new; `places` are theirs in what the caller sent."""
        # Kinds first: the one step that may refuse comes before anything is made.
        kinds = live.kinds.encode(tx, self.kinds, places)
        now = now_us()
        return InteractionColumns(
            interaction_id=self.ids,
            id_hash=self.hashes,
            identity=live.identities.encode(tx, self.customers, now),
            item=live.catalog.encode(tx, self.items, now),
            kind=kinds,
            occurred_at=self.times,
            quantity=self.quantities,
            amount=self.amounts,
            currency=self.currencies,
            rating=self.ratings,
            order_id=self.orders,
            touchpoint=self.touchpoints,
            decision_id=self.decisions,
            reverses_id=self.reverses,
            basket=np.array([text_hash(one) >> 1 if one else -1 for one in self.orders], dtype=np.int64),
            reverses=np.array([text_hash(one) if one else 0 for one in self.reverses], dtype=np.uint64),
        )


def check_interactions(interactions: Sequence[Interaction], settings: Settings) -> CheckedRows:
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
        quantities[place] = check_number(
            bad, f"{at}.quantity", one.quantity, minimum=0, maximum=LARGEST_QUANTITY, above=True
        )
        money = check_money(bad, f"{at}.amount", one.amount)
        currencies.append("" if money is None else money.currency)
        if money is not None:
            amounts[place] = money.minor_units
        if one.rating is not None:
            ratings[place] = check_number(
                bad, f"{at}.rating", one.rating, minimum=-LARGEST_RATING, maximum=LARGEST_RATING
            )
        if (one.rating is not None) != (one.kind == RATING):
            bad.add(f"{at}.rating", "belongs to the kind `rating`, and that kind needs it")
        if one.kind in NEEDS_ITEM and not one.item_id:
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
    return CheckedRows(
        tuple(interactions),
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


class Checked(Protocol):
    """A batch in which nothing is wrong, by rows or by columns."""

    @property
    def count(self) -> int: ...

    def content(self) -> object:
        """What was asked: equal for equal requests, be they by rows or by columns."""

    def encode(self, tx: Transaction, live: Live) -> InteractionColumns:
        """Within a transaction: the rows that are new, with codes for what they name."""


def record_operation(live: Live, checked: Checked, request_id: str, registry: Registry) -> Operation[RecordResult]:
    """The writer's part of recording a batch: all of it or nothing."""
    content = checked.content() if request_id else None
    written: list[InteractionColumns] = []

    def apply(tx: Transaction) -> RecordResult:
        written.clear()

        def work() -> dict[str, Any]:
            rows = checked.encode(tx, live)
            recorded = len(rows.interaction_id)
            if recorded:
                insert_interactions(tx, rows, now_us())
                live.intake.add(tx, rows)
                written.append(rows)
            return {"recorded": recorded, "already_known": checked.count - recorded}

        answer, _ = live.known_requests.once(tx, request_id, "record", content, work)
        return RecordResult(**answer)

    def committed(_: RecordResult) -> None:
        if written and registry.observes_interactions:
            tell_recorded(live, written[0], registry)

    return Operation(apply, rows=checked.count, committed=committed)


def tell_recorded(live: Live, rows: InteractionColumns, registry: Registry) -> None:
    """Tell plugins of rows that were committed."""
    kinds, customer_ids, item_ids = live.kinds.names, live.identities.customers.texts, live.catalog.ids.texts
    customers = live.identities.customers_of(rows.identity)
    registry.interactions_recorded(
        InteractionsRecorded(
            kinds=[kinds[code] for code in rows.kind.tolist()],
            customer_ids=[customer_ids[code] if code >= 0 else "" for code in customers.tolist()],
            item_ids=[item_ids[code] if code >= 0 else "" for code in rows.item.tolist()],
        )
    )


__all__ = [
    "MOST_INTERACTIONS",
    "Checked",
    "CheckedRows",
    "check_interactions",
    "record_operation",
    "tell_recorded",
]
