from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import types_pb2 as pb
from visavis.errors import InvalidInput
from visavis.model import AttributeFilter, Consent, Customer, Identifier, Interaction, Item, Money
from visavis.rpc import convert
from visavis.rpc.convert_interactions import (
    interaction_to_proto,
    interactions_from_columns,
    interactions_from_proto,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SOME_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
MONEY = st.builds(Money, st.integers(-(2**63), 2**63 - 1), TEXT)
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=30))]))
IDENTIFIERS = st.builds(Identifier, TEXT, TEXT)
ATTRIBUTES = st.dictionaries(
    TEXT, st.one_of(TEXT, st.floats(allow_nan=False), st.booleans(), st.tuples(TEXT, TEXT)), max_size=4
)
INTERACTIONS = st.builds(
    Interaction,
    kind=TEXT,
    customer=st.one_of(st.none(), TEXT, IDENTIFIERS),
    item_id=st.one_of(st.none(), SOME_TEXT),
    interaction_id=TEXT,
    occurred_at=st.one_of(st.none(), TIMES),
    quantity=st.floats(allow_nan=False),
    amount=st.one_of(st.none(), MONEY),
    rating=st.one_of(st.none(), st.floats(allow_nan=False)),
    order_id=TEXT,
    touchpoint=TEXT,
    decision_id=TEXT,
    reverses_id=TEXT,
)
SETTINGS = settings(derandomize=True, max_examples=60, deadline=None)


@SETTINGS
@given(st.lists(INTERACTIONS, max_size=3))
def test_interactions_survive_the_wire(interactions: list[Interaction]) -> None:
    sent = [interaction_to_proto(one, f"interactions[{row}]") for row, one in enumerate(interactions)]
    got = [interaction_pb.Interaction.FromString(one.SerializeToString()) for one in sent]
    assert interactions_from_proto(got) == interactions


@SETTINGS
@given(
    st.builds(Item, TEXT, TEXT, TEXT, TEXT, TEXT, st.one_of(st.none(), MONEY), st.booleans(), ATTRIBUTES),
    st.builds(Customer, TEXT, st.lists(IDENTIFIERS, max_size=2).map(tuple), ATTRIBUTES, TEXT),
    st.builds(Consent, TEXT, st.booleans(), TEXT, TEXT, st.one_of(st.none(), TIMES)),
)
def test_items_customers_and_consents_survive_the_wire(item: Item, customer: Customer, consent: Consent) -> None:
    assert convert.item_from_proto(convert.item_to_proto(item, "item"), "item") == item
    assert convert.customer_from_proto(convert.customer_to_proto(customer, "customer"), "customer") == customer
    assert convert.consent_from_proto(convert.consent_to_proto(consent, "consent"), "consent") == consent


@pytest.mark.parametrize(
    "keep",
    [
        AttributeFilter("brand", any_of=("a", "b")),
        AttributeFilter("brand", none_of=("a",)),
        AttributeFilter("price", at_least=0.0),
        AttributeFilter("price", at_most=0.0),
    ],
)
def test_filters_survive_the_wire(keep: AttributeFilter) -> None:
    assert convert.filter_from_proto(convert.filter_to_proto(keep, "filters[0]")) == keep


def test_columns_are_rows() -> None:
    batch = interaction_pb.StreamInteractionsRequest(
        strings=["", "view", "purchase", "ann", "email", "b@x", "tea", "EUR", "e1", "web"],
        kind=[1, 2, 2],
        customer_id=[3, 0, 0],
        identifier_kind=[0, 4, 0],
        identifier_value=[0, 5, 0],
        item_id=[6, 6, 0],
        interaction_id=[8, 0, 0],
        occurred_micros=[1_500_000, 0, -1],
        quantity=[1.0, 2.5, 3.0],
        amount_minor_units=[0, 250, 0],
        amount_currency=[0, 7, 0],
        rating=[float("nan"), 4.0, float("nan")],
        touchpoint=[9, 0, 0],
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert interactions_from_columns(batch) == [
        Interaction("view", "ann", "tea", "e1", epoch + timedelta(seconds=1.5), touchpoint="web"),
        Interaction("purchase", Identifier("email", "b@x"), "tea", quantity=2.5, amount=Money(250, "EUR"), rating=4.0),
        Interaction("purchase", occurred_at=epoch - timedelta(microseconds=1), quantity=3.0),
    ]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"strings": []}, "strings[0]"),
        ({"strings": ["view"]}, "strings[0]"),
        ({"item_id": [1]}, "item_id"),
        ({"quantity": [1.0, 1.0, 1.0]}, "quantity"),
        ({"kind": [1, 2]}, "kind[1]"),
        ({"order_id": [0, 4_000_000_000]}, "order_id[1]"),
        ({"occurred_micros": [0, 2**63 - 1]}, "occurred_micros[1]"),
        ({"occurred_micros": [-(2**63), 0]}, "occurred_micros[0]"),
        ({"amount_minor_units": [0, 7]}, "amount_currency[1]"),
        ({"amount_minor_units": [5, 7], "amount_currency": [1, 0]}, "amount_currency[1]"),
    ],
)
def test_bad_columns_are_named(columns: dict[str, Any], field: str) -> None:
    batch = interaction_pb.StreamInteractionsRequest(**{"strings": ["", "view"], "kind": [1, 1], **columns})
    with pytest.raises(InvalidInput) as caught:
        interactions_from_columns(batch)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_every_bad_row_is_named() -> None:
    rows = [interaction_pb.Interaction(kind="view") for _ in range(3)]
    rows[0].customer.SetInParent()
    rows[2].occurred_at.seconds = 2**60
    with pytest.raises(InvalidInput) as caught:
        interactions_from_proto(rows)
    assert [violation.field for violation in caught.value.violations] == [
        "interactions[0].customer",
        "interactions[2].occurred_at",
    ]


def test_an_attribute_without_a_value_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"items\[0\]\.attributes\['colour'\]: has no value"):
        convert.attributes_from_proto({"colour": pb.AttributeValue()}, "items[0].attributes")


@pytest.mark.parametrize(
    ("interaction", "field"),
    [
        (Interaction("view", customer=17850), "customer"),  # type: ignore[arg-type]
        (Interaction("view", customer=Identifier("email", 5)), "customer.value"),  # type: ignore[arg-type]
        (Interaction("view", occurred_at=datetime(2026, 1, 1)), "occurred_at"),  # noqa: DTZ001
        (Interaction("view", occurred_at="2026-01-01"), "occurred_at"),  # type: ignore[arg-type]
        (Interaction("view", item_id=85123), "item_id"),  # type: ignore[arg-type]
        (Interaction("view", quantity="two"), "quantity"),  # type: ignore[arg-type]
        (Interaction("view", amount=12.5), "amount"),  # type: ignore[arg-type]
        (Interaction("view", amount=Money(2**63, "EUR")), "amount.minor_units"),
        (Interaction("view", amount=Money(1.5, "EUR")), "amount.minor_units"),  # type: ignore[arg-type]
        (Interaction("view", touchpoint="\ud800"), "touchpoint"),
    ],
)
def test_what_cannot_be_sent_is_named(interaction: Interaction, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        interaction_to_proto(interaction, "interactions[0]")
    assert [violation.field for violation in caught.value.violations] == [f"interactions[0].{field}"]
