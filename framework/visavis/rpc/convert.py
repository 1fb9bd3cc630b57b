"""Protobuf <-> values of `visavis.model`: what several services share, items and customers.

`…_to_proto` is for the side that sends a value, `…_from_proto` for the side that gets one. What a value cannot say
on the other side is `InvalidInput` with the path of the field; all other rules belong to the rooms.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from visavis.api.v1 import catalog_service_pb2 as catalog_pb
from visavis.api.v1 import customer_service_pb2 as customer_pb
from visavis.api.v1 import types_pb2 as pb
from visavis.errors import FieldViolation, InvalidInput
from visavis.model import (
    AttributeFilter,
    AttributeValue,
    Consent,
    Customer,
    CustomerRef,
    Identifier,
    Item,
    Money,
    Profile,
    Progress,
)

M = TypeVar("M", bound=Message)


def invalid(field: str, description: str) -> InvalidInput:
    """An error about one field."""
    return InvalidInput([FieldViolation(field, description)])


def make(message: type[M], at: str = "", /, **fields: Any) -> M:
    """Build a message. A value that its field cannot hold is `InvalidInput` with the path of the field."""
    try:
        return message(**fields)
    except (TypeError, ValueError):
        for name, value in fields.items():
            try:
                message(**{name: value})
            except (TypeError, ValueError) as error:
                raise invalid(
                    f"{at}.{name}" if at else name, f"is {value!r:.80}, which cannot be sent: {error}"
                ) from None
        raise


def time_to_proto(time: datetime, field: str) -> Timestamp:
    """Refuses naive times: the reader could only guess the zone."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise invalid(field, f"is {time!r}; give a datetime with a time zone")
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def time_from_proto(stamp: Timestamp, field: str) -> datetime:
    """Microseconds, UTC; years 1 to 9999."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(
            field,
            f"is {stamp.seconds} s {stamp.nanos} ns since 1970; give a time from year 1 to 9999, nanos 0 to 999999999",
        ) from None


def optional_time(message: Message, name: str) -> datetime | None:
    """The time in a field that may be unset."""
    return time_from_proto(getattr(message, name), name) if message.HasField(name) else None


def money_to_proto(money: Money, field: str) -> pb.Money:
    if not isinstance(money, Money):
        raise invalid(field, f"is {money!r}; give Money(minor_units, currency)")
    return make(pb.Money, field, minor_units=money.minor_units, currency=money.currency)


def money_from_proto(money: pb.Money) -> Money:
    return Money(money.minor_units, money.currency)


def ref_to_proto(customer: CustomerRef, field: str) -> pb.CustomerRef:
    if isinstance(customer, str):
        return make(pb.CustomerRef, field, customer_id=customer)
    if isinstance(customer, Identifier):
        return pb.CustomerRef(identifier=identifier_to_proto(customer, field))
    raise invalid(field, f"is {customer!r}; give a customer id (a text) or an Identifier")


def ref_from_proto(ref: pb.CustomerRef, field: str) -> CustomerRef:
    which = ref.WhichOneof("ref")
    if which == "customer_id":
        return ref.customer_id
    if which == "identifier":
        return Identifier(ref.identifier.kind, ref.identifier.value)
    raise invalid(field, "names nobody; set customer_id or identifier")


def identifier_to_proto(identifier: Identifier, field: str) -> pb.Identifier:
    return make(pb.Identifier, field, kind=identifier.kind, value=identifier.value)


def attributes_to_proto(
    attributes: Mapping[str, AttributeValue], target: MutableMapping[str, pb.AttributeValue], field: str
) -> None:
    """Fill the map field `target`."""
    for name, value in attributes.items():
        entry = target[name]
        if isinstance(value, bool):
            entry.flag = value
        elif isinstance(value, str):
            entry.text = value
        elif isinstance(value, int | float):
            entry.number = float(value)
        elif isinstance(value, tuple | list) and all(isinstance(text, str) for text in value):
            entry.texts.CopyFrom(pb.TextList(values=value))
        else:
            raise invalid(
                f"{field}[{name!r}]", f"is {value!r}; give a text, a number, a truth value or a tuple of texts"
            )


def attributes_from_proto(attributes: Mapping[str, pb.AttributeValue], field: str) -> dict[str, AttributeValue]:
    return {name: _attribute(value, f"{field}[{name!r}]") for name, value in attributes.items()}


def _attribute(value: pb.AttributeValue, field: str) -> AttributeValue:
    match value.WhichOneof("value"):
        case "text":
            return value.text
        case "number":
            return value.number
        case "flag":
            return value.flag
        case "texts":
            return tuple(value.texts.values)
        case _:
            raise invalid(field, "has no value; set text, number, flag or texts")


def filter_to_proto(keep: AttributeFilter, field: str) -> pb.AttributeFilter:
    return make(
        pb.AttributeFilter,
        field,
        name=keep.name,
        any_of=keep.any_of,
        none_of=keep.none_of,
        at_least=keep.at_least,
        at_most=keep.at_most,
    )


def filter_from_proto(keep: pb.AttributeFilter) -> AttributeFilter:
    return AttributeFilter(
        keep.name,
        tuple(keep.any_of),
        tuple(keep.none_of),
        keep.at_least if keep.HasField("at_least") else None,
        keep.at_most if keep.HasField("at_most") else None,
    )


def item_to_proto(item: Item, field: str) -> catalog_pb.Item:
    message = make(
        catalog_pb.Item,
        field,
        item_id=item.item_id,
        name=item.name,
        group_id=item.group_id,
        category=item.category,
        brand=item.brand,
        price=None if item.price is None else money_to_proto(item.price, f"{field}.price"),
        available=item.available,
    )
    attributes_to_proto(item.attributes, message.attributes, f"{field}.attributes")
    return message


def item_from_proto(item: catalog_pb.Item, field: str) -> Item:
    return Item(
        item.item_id,
        item.name,
        item.group_id,
        item.category,
        item.brand,
        money_from_proto(item.price) if item.HasField("price") else None,
        item.available if item.HasField("available") else True,
        attributes_from_proto(item.attributes, f"{field}.attributes"),
    )


def customer_to_proto(customer: Customer, field: str) -> customer_pb.Customer:
    message = make(
        customer_pb.Customer,
        field,
        customer_id=customer.customer_id,
        identifiers=[identifier_to_proto(i, f"{field}.identifiers[{at}]") for at, i in enumerate(customer.identifiers)],
        time_zone=customer.time_zone,
    )
    attributes_to_proto(customer.attributes, message.attributes, f"{field}.attributes")
    return message


def customer_from_proto(customer: customer_pb.Customer, field: str) -> Customer:
    return Customer(
        customer.customer_id,
        tuple(Identifier(i.kind, i.value) for i in customer.identifiers),
        attributes_from_proto(customer.attributes, f"{field}.attributes"),
        customer.time_zone,
    )


def consent_to_proto(consent: Consent, field: str) -> pb.Consent:
    return make(
        pb.Consent,
        field,
        purpose=consent.purpose,
        granted=consent.granted,
        channel=consent.channel,
        source=consent.source,
        at=None if consent.at is None else time_to_proto(consent.at, f"{field}.at"),
    )


def consent_from_proto(consent: pb.Consent, field: str) -> Consent:
    return Consent(
        consent.purpose,
        consent.granted,
        consent.channel,
        consent.source,
        time_from_proto(consent.at, f"{field}.at") if consent.HasField("at") else None,
    )


def profile_to_proto(profile: Profile) -> customer_pb.GetProfileResponse:
    return customer_pb.GetProfileResponse(
        customer=customer_to_proto(profile.customer, "customer"),
        consents=[consent_to_proto(consent, "consents") for consent in profile.consents],
        may_personalize=profile.may_personalize,
        may_market=profile.may_market,
        interaction_count=profile.interaction_count,
        first_seen_at=None if profile.first_seen is None else time_to_proto(profile.first_seen, "first_seen"),
        last_seen_at=None if profile.last_seen is None else time_to_proto(profile.last_seen, "last_seen"),
        segments=profile.segments,
    )


def profile_from_proto(profile: customer_pb.GetProfileResponse) -> Profile:
    return Profile(
        customer_from_proto(profile.customer, "customer"),
        tuple(consent_from_proto(consent, "consents") for consent in profile.consents),
        profile.may_personalize,
        profile.may_market,
        profile.interaction_count,
        optional_time(profile, "first_seen_at"),
        optional_time(profile, "last_seen_at"),
        dict(profile.segments),
    )


def progress_to_proto(progress: Progress) -> pb.Progress:
    return pb.Progress(step=progress.step, done_count=progress.done, total_count=progress.total)


def progress_from_proto(progress: pb.Progress) -> Progress:
    return Progress(progress.step, progress.done_count, progress.total_count)


__all__ = [
    "attributes_from_proto",
    "attributes_to_proto",
    "consent_from_proto",
    "consent_to_proto",
    "customer_from_proto",
    "customer_to_proto",
    "filter_from_proto",
    "filter_to_proto",
    "identifier_to_proto",
    "invalid",
    "item_from_proto",
    "item_to_proto",
    "make",
    "money_from_proto",
    "money_to_proto",
    "optional_time",
    "profile_from_proto",
    "profile_to_proto",
    "progress_from_proto",
    "progress_to_proto",
    "ref_from_proto",
    "ref_to_proto",
    "time_from_proto",
    "time_to_proto",
]
