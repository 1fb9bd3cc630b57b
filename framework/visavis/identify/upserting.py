"""Making and changing items and customers, and taking down a customer's word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from visavis.errors import NotFound
from visavis.identify.checks import (
    EPOCH,
    Violations,
    check_attributes,
    check_customer,
    check_id,
    check_identifier,
    check_money,
    check_request_id,
    check_text,
    check_time,
    check_time_zone,
    check_values,
    check_word,
    shorten,
)
from visavis.live import Live
from visavis.live.catalog import decode_attributes, encode_attributes, to_item, to_row
from visavis.live.consents import PURPOSES
from visavis.live.state import now_us
from visavis.model import Consent, Customer, CustomerRef, Identifier, Item
from visavis.store import Operation, Transaction
from visavis.store.identities import CustomerDetails, insert_consent, update_customers

MOST_UPSERTS = 1_000
MOST_IDENTIFIERS = 100
FUTURE_TOLERANCE = timedelta(minutes=10)
ITEM_FIELDS = ("name", "group_id", "category", "brand", "price", "available", "attributes")
CUSTOMER_FIELDS = ("identifiers", "attributes", "time_zone")
_MOMENT = timedelta(microseconds=1)

Answer = dict[str, Any]


def upsert_items_operation(
    live: Live, items: Sequence[Item], update_mask: Sequence[str], request_id: str
) -> Operation[Answer]:
    """Make new items, change known ones. With `update_mask` only these fields change; without, all are replaced."""
    bad = Violations()
    check_request_id(bad, request_id)
    check_values(bad, "items", items, Item, most=MOST_UPSERTS)
    _check_mask(bad, update_mask, ITEM_FIELDS)
    bad.check()
    clean = [_check_item(bad, f"items[{place}]", item) for place, item in enumerate(items)]
    _check_unique(bad, "items", [item.item_id for item in clean])
    bad.check()
    content = ([to_row(-1, item) for item in clean], sorted(update_mask))

    def work(tx: Transaction) -> Answer:
        now = now_us()
        known = [live.catalog.ids.holds(item.item_id) for item in clean]
        codes = live.catalog.encode(tx, [item.item_id for item in clean], now).tolist()
        rows = []
        for code, item in zip(codes, clean, strict=True):
            merged = item
            if update_mask:
                old = to_item(live.catalog.pending_row(code))
                merged = Item(
                    item.item_id,
                    **{name: getattr(item if name in update_mask else old, name) for name in ITEM_FIELDS},
                )
            rows.append(to_row(code, merged))
        live.catalog.replace(tx, rows, now)
        return {"created": known.count(False), "updated": known.count(True)}

    return _once(live, request_id, "upsert_items", content, work, rows=len(clean))


def upsert_customers_operation(
    live: Live, customers: Sequence[Customer], update_mask: Sequence[str], request_id: str
) -> Operation[Answer]:
    """Make new customers, change known ones. Identifiers are added, never taken away, here."""
    bad = Violations()
    check_request_id(bad, request_id)
    check_values(bad, "customers", customers, Customer, most=MOST_UPSERTS)
    _check_mask(bad, update_mask, CUSTOMER_FIELDS)
    bad.check()
    clean = [_check_customer_value(bad, f"customers[{place}]", one) for place, one in enumerate(customers)]
    _check_unique(bad, "customers", [one.customer_id for one in clean])
    bad.check()
    content = (
        [(one.customer_id, one.identifiers, encode_attributes(one.attributes), one.time_zone) for one in clean],
        sorted(update_mask),
    )
    mask = set(update_mask or CUSTOMER_FIELDS)
    changed: dict[int, CustomerDetails] = {}

    def change(place: int, time_zone: str, attributes: str) -> CustomerDetails:
        one = clean[place]
        return CustomerDetails(
            one.time_zone if "time_zone" in mask else time_zone,
            encode_attributes(one.attributes) if "attributes" in mask else attributes,
        )

    def work(tx: Transaction) -> Answer:
        now = now_us()
        made = [
            live.identities.attach(tx, one.customer_id, one.identifiers if "identifiers" in mask else (), now)
            for one in clean
        ]
        codes = [code for code, _ in made]
        changed.clear()
        changed.update(zip(codes, update_customers(tx, codes, change, now), strict=True))
        created = sum(new for _, new in made)
        return {"created": created, "updated": len(clean) - created}

    def committed(_: Answer) -> None:
        for code, details in changed.items():
            live.identities.time_zones[code] = details.time_zone
            live.identities.attributes[code] = details.attributes

    return _once(live, request_id, "upsert_customers", content, work, committed, rows=len(clean))


def consent_operation(live: Live, customer: CustomerRef, consent: Consent, request_id: str) -> Operation[Answer]:
    """Take down a customer's word. Raises `NotFound` for a customer never seen."""
    bad = Violations()
    check_request_id(bad, request_id)
    check_customer(bad, "customer", customer)
    check_values(bad, "consent", [consent], Consent, most=1)
    bad.check()
    _check_truth(bad, "consent.granted", consent.granted)
    if consent.purpose not in PURPOSES:
        bad.add("consent.purpose", f"is {shorten(consent.purpose)}; give one of {', '.join(PURPOSES)}")
    if consent.channel:
        check_word(bad, "consent.channel", consent.channel)
        if consent.purpose == "personalization":
            bad.add("consent.channel", "is given for personalization, which is not tied to a channel; leave it out")
    check_id(bad, "consent.source", consent.source, required=False)
    given_at = check_time(bad, "consent.at", consent.at, now=datetime.now(UTC), tolerance=FUTURE_TOLERANCE)
    bad.check()
    code = known_customer(live, customer)
    words: list[Consent] = []

    def work(tx: Transaction) -> Answer:
        at = EPOCH + timedelta(microseconds=given_at)
        if consent.at is None:
            # What is said now is the last word, even by a clock that was set back since the one before.
            at = max([at, *(held.at + _MOMENT for held in live.consents.of(code) if held.at is not None)])
        word = Consent(consent.purpose, consent.granted, consent.channel, consent.source, at)
        insert_consent(tx, code, word.purpose, word.channel, word.granted, word.source, at.replace(tzinfo=None))
        words[:] = [word]
        return {}

    def committed(_: Answer) -> None:
        live.consents.set(code, words[0])

    return _once(live, request_id, "set_consent", (customer, consent), work, committed)


def known_customer(live: Live, ref: CustomerRef) -> int:
    """The code of a customer, or `NotFound`."""
    code = live.identities.find(ref).customer
    if code < 0:
        what = f"customer {shorten(ref)}" if isinstance(ref, str) else f"the customer of that {ref.kind}"
        raise NotFound(
            f"{what} is not known; record an interaction or upsert the customer first", reason="UNKNOWN_CUSTOMER"
        )
    return code


def stored_customer(live: Live, code: int) -> Customer:
    """What is stored of a customer."""
    return Customer(
        customer_id=live.identities.customers.texts[code],
        identifiers=live.identities.identifiers(code),
        attributes=decode_attributes(live.identities.attributes.get(code)),
        time_zone=live.identities.time_zones.get(code, ""),
    )


def _once(
    live: Live,
    request_id: str,
    method: str,
    content: object,
    work: Callable[[Transaction], Answer],
    committed: Callable[[Answer], None] | None = None,
    *,
    rows: int = 1,
) -> Operation[Answer]:
    ran: list[bool] = []

    def apply(tx: Transaction) -> Answer:
        answer, fresh = live.known_requests.once(tx, request_id, method, content, lambda: work(tx))
        ran[:] = [fresh]
        return answer

    def after(answer: Answer) -> None:
        if committed is not None and ran[0]:
            committed(answer)

    return Operation(apply, rows, committed=after)


def _check_unique(bad: Violations, field: str, ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for place, one in enumerate(ids):
        if one and one in seen:
            bad.add(f"{field}[{place}]", f"repeats the id {shorten(one)}; give each once")
        seen.add(one)


def _check_mask(bad: Violations, update_mask: Sequence[str], fields: Sequence[str]) -> None:
    for name in update_mask:
        if name not in fields:
            bad.add("update_mask", f"names {shorten(name)}; give some of {', '.join(fields)}")


def _check_item(bad: Violations, field: str, item: Item) -> Item:
    return Item(
        item_id=check_id(bad, f"{field}.item_id", item.item_id),
        name=check_text(bad, f"{field}.name", item.name),
        group_id=check_id(bad, f"{field}.group_id", item.group_id, required=False),
        category=check_id(bad, f"{field}.category", item.category, required=False),
        brand=check_id(bad, f"{field}.brand", item.brand, required=False),
        price=check_money(bad, f"{field}.price", item.price),
        available=_check_truth(bad, f"{field}.available", item.available),
        attributes=check_attributes(bad, f"{field}.attributes", item.attributes),
    )


def _check_truth(bad: Violations, field: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    bad.add(field, f"is {shorten(value)}; give True or False")
    return False


def _check_customer_value(bad: Violations, field: str, customer: Customer) -> Customer:
    identifiers: list[Identifier] = []
    if customer.identifiers:
        check_values(bad, f"{field}.identifiers", customer.identifiers, Identifier, most=MOST_IDENTIFIERS)
        bad.check()
    for place, identifier in enumerate(customer.identifiers):
        checked = check_identifier(bad, f"{field}.identifiers[{place}]", identifier)
        if checked is not None:
            identifiers.append(checked)
    return Customer(
        customer_id=check_id(bad, f"{field}.customer_id", customer.customer_id),
        identifiers=tuple(identifiers),
        attributes=check_attributes(bad, f"{field}.attributes", customer.attributes),
        time_zone=check_time_zone(bad, f"{field}.time_zone", customer.time_zone),
    )


__all__ = [
    "MOST_UPSERTS",
    "consent_operation",
    "known_customer",
    "stored_customer",
    "upsert_customers_operation",
    "upsert_items_operation",
]
