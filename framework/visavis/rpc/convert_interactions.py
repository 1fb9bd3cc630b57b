"""Protobuf <-> interactions, as rows and as columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.errors import FieldViolation, InvalidInput
from visavis.model import CustomerRef, Identifier, Interaction, Money
from visavis.rpc.convert import (
    invalid,
    make,
    money_from_proto,
    money_to_proto,
    ref_from_proto,
    ref_to_proto,
    time_from_proto,
    time_to_proto,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MICROS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST_MICROS = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def interaction_to_proto(interaction: Interaction, field: str) -> interaction_pb.Interaction:
    customer, at, amount = interaction.customer, interaction.occurred_at, interaction.amount
    return make(
        interaction_pb.Interaction,
        field,
        kind=interaction.kind,
        customer=None if customer is None else ref_to_proto(customer, f"{field}.customer"),
        item_id=interaction.item_id or "",
        interaction_id=interaction.interaction_id,
        occurred_at=None if at is None else time_to_proto(at, f"{field}.occurred_at"),
        quantity=interaction.quantity,
        amount=None if amount is None else money_to_proto(amount, f"{field}.amount"),
        rating=interaction.rating,
        order_id=interaction.order_id,
        touchpoint=interaction.touchpoint,
        decision_id=interaction.decision_id,
        reverses_id=interaction.reverses_id,
    )


def interactions_from_proto(messages: Iterable[interaction_pb.Interaction]) -> list[Interaction]:
    """All of a batch. Raises `InvalidInput` with every violation found, `interactions[3].customer` …"""
    result: list[Interaction] = []
    violations: list[FieldViolation] = []
    for row, message in enumerate(messages):
        try:
            result.append(_interaction(message, row))
        except InvalidInput as error:
            violations.extend(error.violations)
    if violations:
        raise InvalidInput(violations)
    return result


def _interaction(message: interaction_pb.Interaction, row: int) -> Interaction:
    return Interaction(
        message.kind,
        ref_from_proto(message.customer, f"interactions[{row}].customer") if message.HasField("customer") else None,
        message.item_id or None,
        message.interaction_id,
        time_from_proto(message.occurred_at, f"interactions[{row}].occurred_at")
        if message.HasField("occurred_at")
        else None,
        message.quantity if message.HasField("quantity") else 1.0,
        money_from_proto(message.amount) if message.HasField("amount") else None,
        message.rating if message.HasField("rating") else None,
        message.order_id,
        message.touchpoint,
        message.decision_id,
        message.reverses_id,
    )


def interactions_from_columns(batch: interaction_pb.StreamInteractionsRequest) -> list[Interaction]:
    """A columnar batch as rows. Raises `InvalidInput` that names the column."""
    strings = batch.strings
    if not strings or strings[0]:
        raise invalid("strings[0]", "is not the empty text; begin the string table with it")
    n = len(batch.kind)
    table = list(strings)

    def texts(name: str) -> Sequence[str]:
        column = _column(batch, name, n, 0)
        try:
            return [table[code] for code in column]
        except IndexError:
            row, code = next((r, c) for r, c in enumerate(column) if c >= len(table))
            raise invalid(f"{name}[{row}]", f"is {code}, and strings has {len(table)} entries") from None

    columns = zip(
        texts("kind"),
        map(_ref, texts("customer_id"), texts("identifier_kind"), texts("identifier_value")),
        texts("item_id"),
        texts("interaction_id"),
        _times(_column(batch, "occurred_micros", n, 0)),
        _column(batch, "quantity", n, 1.0),
        _amounts(_column(batch, "amount_minor_units", n, 0), texts("amount_currency")),
        _column(batch, "rating", n, math.nan),
        texts("order_id"),
        texts("touchpoint"),
        texts("decision_id"),
        texts("reverses_id"),
        strict=True,
    )
    return [
        Interaction(kind, ref, item or None, own, at, quantity, amount, None if rating != rating else rating, *rest)
        for kind, ref, item, own, at, quantity, amount, rating, *rest in columns
    ]


def _column(batch: interaction_pb.StreamInteractionsRequest, name: str, n: int, default: float) -> Sequence[int]:
    column: Sequence[int] = getattr(batch, name)
    if not column:
        return [default] * n  # type: ignore[list-item]
    if len(column) != n:
        raise invalid(name, f"has {len(column)} entries, and kind has {n}; give one for each row, or none")
    return column


def _ref(customer_id: str, identifier_kind: str, identifier_value: str) -> CustomerRef | None:
    if customer_id:
        return customer_id
    if identifier_kind or identifier_value:
        return Identifier(identifier_kind, identifier_value)
    return None


def _amounts(minor_units: Sequence[int], currencies: Sequence[str]) -> list[Money | None]:
    for row, (units, currency) in enumerate(zip(minor_units, currencies, strict=True)):
        if units and not currency:
            raise invalid(f"amount_currency[{row}]", f"is empty beside {units} minor units; give an ISO 4217 code")
    return [Money(u, c) if c else None for u, c in zip(minor_units, currencies, strict=True)]


def _times(column: Sequence[int]) -> list[datetime | None]:
    for row, micros in enumerate(column):
        if not _FIRST_MICROS <= micros <= _LAST_MICROS:
            raise invalid(f"occurred_micros[{row}]", f"is {micros}; give microseconds since 1970, year 1 to 9999")
    return [_EPOCH + timedelta(microseconds=micros) if micros else None for micros in column]


__all__ = ["interaction_to_proto", "interactions_from_columns", "interactions_from_proto"]
