"""The frozen values that rooms take and answer with; the same on both sides of the wire.

Ids are strings chosen by the caller. Times are timezone-aware `datetime`s (naive ones are refused at the
door, or take the shop's zone on import). Money is integer minor units with an ISO 4217 currency, net of tax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")

AttributeValue = str | float | bool | tuple[str, ...]
"""A free attribute of an item or a customer: text, number, truth value or a list of texts."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next_page_token` is empty on the last one."""

    items: tuple[T, ...]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in integer minor units (pence, cents) of an ISO 4217 currency, net of tax."""

    minor_units: int
    currency: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a touchpoint knows of a customer: a kind (`email`, `loyalty_card`, `device` …) and its value."""

    kind: str
    value: str


CustomerRef = str | Identifier
"""A customer, named by customer id (a plain string) or by one of the customer's identifiers."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Somebody did something, with or without an item.

    `interaction_id` is the client's own event id; empty means that one is made, and that a resend counts twice.
    `occurred_at` None means now. `quantity` is positive; a `return` brings its goods back with the same sign.
    `amount` is the whole line, net of tax. `rating` belongs to the kind `rating` only.
    `reverses_id` names the interaction that this one takes back (returns, cancellations).
    """

    kind: str
    customer: CustomerRef | None = None
    item_id: str | None = None
    interaction_id: str = ""
    occurred_at: datetime | None = None
    quantity: float = 1.0
    amount: Money | None = None
    rating: float | None = None
    order_id: str = ""
    touchpoint: str = ""
    decision_id: str = ""
    reverses_id: str = ""


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of a batch: `recorded` + `already_known` = the batch's length."""

    recorded: int
    already_known: int


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What an upsert did: `created` + `updated` = the batch's length."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class Item:
    """What can be bought or consumed. `group_id` joins variants of one thing (sizes, colours)."""

    item_id: str
    name: str = ""
    group_id: str = ""
    category: str = ""
    brand: str = ""
    price: Money | None = None
    available: bool = True
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom one or more identifiers point to. `time_zone` is an IANA name; empty means the shop's."""

    customer_id: str
    identifiers: tuple[Identifier, ...] = ()
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """A customer's word on one purpose: `personalization` or `marketing` (then per channel, or all if empty).

    `granted` False is an objection. `source` says where the word was given.
    """

    purpose: str
    granted: bool
    channel: str = ""
    source: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of one customer. `may_market`: on at least one channel. `interaction_count` counts all that is
    stored, returns too. `segments`: the segment by segmentation, as of the last fit; empty for objectors."""

    customer: Customer
    consents: tuple[Consent, ...]
    may_personalize: bool
    may_market: bool
    interaction_count: int
    first_seen: datetime | None
    last_seen: datetime | None
    segments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """Keep items whose attribute fits. Set exactly one of `any_of`, `none_of`, `at_least`/`at_most`.

    `name` is `category`, `brand`, `group_id`, `price` (minor units) or a free attribute. An item without the
    attribute passes `none_of` and fails the others.
    """

    name: str
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item stands where it stands. Contributions of an item's reasons add up to its score (1e-9).

    `kind`: `because_you_bought`, `you_buy_this`, `popular`, or a plugin's own word.
    `item_id` is the cause, where an item is one.
    """

    kind: str
    text: str
    contribution: float
    item_id: str = ""
    item_name: str = ""


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One place of a recommendation. `scorer` is the one that put it there; `name` is the id where it has none."""

    item_id: str
    name: str
    rank: int
    score: float
    scorer: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A ranked list for one customer.

    `scorer` is the one whose items lead the list (of an empty list: the one asked for). `fallback` True: nothing in the
    list is from the scorer asked for. `fallback_reason` says why not all is: `unknown_customer`, `no_history` or
    `objected` (nothing is personal), or `too_few`: others filled up, each item names its own. Empty if all is.
    `decision_id` is brought back by later interactions, so that what was earned can be counted.
    """

    customer_id: str
    decision_id: str
    scorer: str
    fallback: bool
    fallback_reason: str
    generation: int
    items: tuple[RecommendedItem, ...]

    def __str__(self) -> str:
        head = f"for {self.customer_id} by {self.scorer}"
        if self.fallback:
            head += f" (fall-back, not personal: {self.fallback_reason.replace('_', ' ')})"
        rows = [f"{i.rank:>3}  {i.item_id:<12} {i.score:>9.4f}  {i.name}" for i in self.items]
        return "\n".join([head, *rows])


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """A neighbour of an item, with its similarity. `name` is the id where it has none."""

    item_id: str
    name: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """The neighbours of one item, best first."""

    item_id: str
    name: str
    scorer: str
    items: tuple[SimilarItem, ...]

    def __str__(self) -> str:
        rows = [f"{i.rank:>3}  {i.item_id:<12} {i.score:>9.4f}  {i.name}" for i in self.items]
        return "\n".join([f"like {self.item_id} {self.name} by {self.scorer}", *rows])


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin as the registry sees it. `error` is empty for a healthy one."""

    name: str
    kind: str
    version: str
    source: str
    enabled: bool
    options_schema: Mapping[str, object]
    summary: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far long work has come. `total` 0 means that the end is not known yet."""

    step: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FitReport:
    """A new generation. `failed` names the plugins left out, with the reason."""

    generation: int
    scorers: tuple[str, ...]
    segmenters: tuple[str, ...]
    failed: Mapping[str, str]
    customers: int
    items: int
    interactions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that an import refused. `row` counts records from 1, the header not counted."""

    row: int
    reason: str
    field: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of each row of a file.

    rows = interactions + returns + without_customer + already_known + rejected. `interactions` are rows of a customer
    other than returns. `without_customer` rows, returns among them, are stored too (baskets, popularity), for no
    person. `columns` maps each role to the file's column; `guessed` lists the roles that nobody named.
    `returns_linked` counts returns tied to the purchase that they take back.
    """

    source: str
    rows: int
    interactions: int
    returns: int
    without_customer: int
    already_known: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    returns_linked: int
    new_customers: int
    new_items: int
    columns: Mapping[str, str]
    guessed: tuple[str, ...]
    notes: tuple[str, ...]
    rejects_path: str
    samples: tuple[RejectedRow, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Message:
    """A contact as a channel gets it. The same `message_id` may come twice and must have one effect."""

    message_id: str
    channel: str
    customer_id: str
    address: str
    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel did with a message. `accepted` False comes with the reason in `detail`."""

    message_id: str
    accepted: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a segmentation, with its size."""

    segmentation: str
    name: str
    customers: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a store and of whoever serves it."""

    version: str
    store_id: str
    path: str
    schema_version: int
    sequence: int
    generation: int
    fitted_at: datetime | None
    customers: int
    items: int
    interactions: int
    unfitted_interactions: int
    wal_bytes: int
    file_bytes: int
    muted: bool
    warnings: tuple[str, ...]
    refreshed_sequence: int = 0


__all__ = [
    "AttributeFilter",
    "AttributeValue",
    "Consent",
    "Customer",
    "CustomerRef",
    "Delivery",
    "FitReport",
    "Identifier",
    "ImportReport",
    "Interaction",
    "Item",
    "Message",
    "Money",
    "Page",
    "PluginInfo",
    "Profile",
    "Progress",
    "Reason",
    "Recommendation",
    "RecommendedItem",
    "RecordResult",
    "RejectedRow",
    "Segment",
    "SimilarItem",
    "SimilarItems",
    "Status",
    "UpsertResult",
]
