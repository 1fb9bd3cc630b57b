"""Who is who: identities, and the customer that each belongs to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.errors import Conflict, StoreDamaged
from visavis.live.vocabulary import GrowingArray, Vocabulary
from visavis.model import CustomerRef, Identifier
from visavis.store import Transaction
from visavis.store.identities import (
    NewCustomer,
    NewIdentity,
    insert_customers,
    insert_identities,
    read_customer_details,
    read_customer_ids,
    read_identities,
)
from visavis.store.texts import Texts

if TYPE_CHECKING:
    import duckdb

CUSTOMER = "customer"
"""Kind of the identity that a customer id is."""

_BETWEEN = "\x1f"


class Found(NamedTuple):
    """Codes of an identity and its customer; −1 and −1 if the identity was never seen."""

    identity: int
    customer: int


NOBODY = Found(-1, -1)


class Identities:
    """The map from what a touchpoint presents to a customer. Takes part in transactions."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        stored = read_identities(cursor, CUSTOMER)
        self.customers = Vocabulary(read_customer_ids(cursor))
        details = read_customer_details(cursor)
        self.time_zones: dict[int, str] = {code: time_zone for code, time_zone, _ in details if time_zone}
        self.attributes: dict[int, str] = {code: attributes for code, _, attributes in details if attributes}
        self._owner = GrowingArray(stored.owner)
        self._pending_owners: list[int] = []
        # A customer's own id is one text for both: which identity it is, by customer.
        if max(stored.first_owner.max(initial=-1), stored.owner.max(initial=-1)) >= len(self.customers):
            raise StoreDamaged("identities name customers that are not there; `visavis doctor` says more")
        own = np.full(len(self.customers), -1, dtype=np.int32)
        own[stored.first_owner[stored.is_own]] = np.flatnonzero(stored.is_own)
        self._own = GrowingArray(own)
        self._pending_own: list[int] = []
        # The other identifiers, and by place there which identity each is.
        self._others = Vocabulary(
            kind + _BETWEEN + value for kind, value in zip(stored.kinds, stored.values, strict=True)
        )
        self._other_codes = GrowingArray(stored.others)
        self._pending_others: list[int] = []
        by_owner = np.argsort(stored.owner[stored.others], kind="stable")
        self._by_owner = (stored.owner[stored.others][by_owner], by_owner)
        """Of those that were there at opening: owners, ascending, and the place of each among the others."""
        self._came: dict[int, list[int]] = {}
        """Places of those that came since, by owner."""

    @property
    def owners(self) -> NDArray[np.int32]:
        """int32 [n_identities]: the customer code of each identity."""
        return self._owner.view

    def customers_of(self, identities: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32 [n]: the customer code of each identity code, −1 for −1."""
        customers = np.full(len(identities), -1, dtype=np.int32)
        known = identities >= 0
        customers[known] = self._owner.view[identities[known]]
        return customers

    def find(self, ref: CustomerRef) -> Found:
        """Whom a reference means, among those committed."""
        if isinstance(ref, str):
            customer = self.customers.find(ref)
            identity = int(self._own[customer]) if customer >= 0 else -1
        else:
            place = self._others.find(_key(ref))
            identity = int(self._other_codes[place]) if place >= 0 else -1
        return NOBODY if identity < 0 else Found(identity, int(self._owner[identity]))

    def find_many(self, refs: Sequence[CustomerRef]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """`find` for each: identities and customers, int32 [n]."""
        if len(refs) == 1:  # nearly every request
            alone = self.find(refs[0])
            return np.array([alone.identity], dtype=np.int32), np.array([alone.customer], dtype=np.int32)
        known = self.customers.find
        customers = np.array([known(ref) if isinstance(ref, str) else -1 for ref in refs], dtype=np.int32)
        # Read after the codes were found: what a code stands for is there before the code.
        own = self._own.view
        identities = np.full(len(refs), -1, dtype=np.int32)
        identities[customers >= 0] = own[customers[customers >= 0]]
        for place, ref in enumerate(refs):
            if not isinstance(ref, str):
                identities[place], customers[place] = self.find(ref)
        return identities, np.where(identities >= 0, customers, np.int32(-1))

    def find_ids(self, refs: object) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
        """`find_many` where all of them are ids of customers that are known, as in nearly every request; else None."""
        if not isinstance(refs, list | tuple):
            return None
        try:
            customers = self.customers.find_all(refs)
        except TypeError:
            return None  # one that is no text, and nothing that could be looked up
        if len(customers) and customers.min() < 0:
            return None
        return self._own.view[customers], customers

    def identifiers(self, customer: int) -> tuple[Identifier, ...]:
        """The identifiers of a customer, in order of appearance."""
        owners, places = self._by_owner
        first, last = np.searchsorted(owners, [customer, customer + 1])
        found = []
        for place in [*places[first:last].tolist(), *self._came.get(customer, ())]:
            kind, _, value = self._others.texts[place].partition(_BETWEEN)
            found.append(Identifier(kind, value))
        return tuple(found)

    def find_customers(self, customer_ids: Texts) -> NDArray[np.int32]:
        """Identity codes of customer ids, in any thread; −1 also for some that were committed just now."""
        found = self.customers.find_texts(customer_ids)
        codes = np.full(len(found), -1, dtype=np.int32)
        known = found >= 0
        codes[known] = self._own.view[found[known]]
        return codes

    def encode(self, tx: Transaction, refs: Sequence[CustomerRef | None], at: int) -> NDArray[np.int32]:
        """Identity codes of references (None: −1); an unknown one makes an identity and a customer."""
        tx.enlist(self)
        codes = np.full(len(refs), -1, dtype=np.int32)
        identities: list[NewIdentity] = []
        customers: list[NewCustomer] = []
        for place, ref in enumerate(refs):
            if ref is not None:
                codes[place] = self._encode(ref, identities, customers)
        insert_identities(tx, identities, at)
        insert_customers(tx, customers, at)
        return codes

    def encode_customers(self, tx: Transaction, customer_ids: Sequence[str], at: int) -> NDArray[np.int32]:
        """`encode` of customer ids alone; most of them are known, and cost little."""
        tx.enlist(self)
        found = self.customers.find_all(customer_ids)
        codes = np.full(len(found), -1, dtype=np.int32)
        known = found >= 0
        codes[known] = self._own.view[found[known]]
        identities: list[NewIdentity] = []
        customers: list[NewCustomer] = []
        for place in np.flatnonzero(~known).tolist():
            codes[place] = self._encode_customer(customer_ids[place], identities, customers)
        insert_identities(tx, identities, at)
        insert_customers(tx, customers, at)
        return codes

    def attach(self, tx: Transaction, customer_id: str, identifiers: Sequence[Identifier], at: int) -> tuple[int, bool]:
        """Make sure that a customer exists and owns these identifiers: (customer code, whether new).

        Raises `Conflict` if one belongs to another customer.
        """
        tx.enlist(self)
        identities: list[NewIdentity] = []
        customers: list[NewCustomer] = []
        owner = self._owner_of(self._encode(customer_id, identities, customers))
        for identifier in identifiers:
            code, new = self._encode_other(identifier)
            if new:
                self._pending_owners.append(owner)
                identities.append(NewIdentity(code, identifier.kind, identifier.value, owner))
            elif self._owner_of(code) != owner:
                raise Conflict(
                    f"identifier of kind {identifier.kind} of customer {customer_id} already belongs to another "
                    "customer; send it with that customer, or leave it out",
                    reason="IDENTIFIER_TAKEN",
                    metadata={"kind": identifier.kind, "customer_id": customer_id},
                )
        insert_identities(tx, identities, at)
        insert_customers(tx, customers, at)
        return owner, bool(customers)

    def commit(self) -> None:
        # Owners first, texts last: whoever finds a text finds what it stands for.
        self._owner.extend(np.array(self._pending_owners, dtype=np.int32))
        self._own.extend(np.array(self._pending_own, dtype=np.int32))
        self._other_codes.extend(np.array(self._pending_others, dtype=np.int32))
        self.customers.commit()
        start = len(self._others)
        self._others.commit()
        for place, identity in enumerate(self._pending_others, start):
            self._came.setdefault(int(self._owner[identity]), []).append(place)
        self._forget_pending()

    def rollback(self) -> None:
        self.customers.rollback()
        self._others.rollback()
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending_owners, self._pending_own, self._pending_others = [], [], []

    def _owner_of(self, identity: int) -> int:
        committed = len(self._owner)
        return int(self._owner[identity]) if identity < committed else self._pending_owners[identity - committed]

    def _next_code(self) -> int:
        return len(self._owner) + len(self._pending_owners)

    def _encode(self, ref: CustomerRef, identities: list[NewIdentity], customers: list[NewCustomer]) -> int:
        if isinstance(ref, str):
            return self._encode_customer(ref, identities, customers)
        code, new = self._encode_other(ref)
        if not new:
            return code
        # The made-up id says nothing about the identifier, which may be an address.
        customer_id = f"c-{uuid.uuid4().hex}"
        customer = len(self.customers) + len(self._pending_own)
        self._pending_owners.append(customer)
        identities.append(NewIdentity(code, ref.kind, ref.value, customer))
        self._encode_customer(customer_id, identities, customers)
        return code

    def _encode_customer(self, customer_id: str, identities: list[NewIdentity], customers: list[NewCustomer]) -> int:
        """The identity of a customer's own id, made together with the customer if there is none."""
        customer, new = self.customers.encode(customer_id)
        if not new:
            committed = len(self._own)
            return int(self._own[customer]) if customer < committed else self._pending_own[customer - committed]
        code = self._next_code()
        self._pending_own.append(code)
        self._pending_owners.append(customer)
        customers.append(NewCustomer(customer, customer_id))
        identities.append(NewIdentity(code, CUSTOMER, customer_id, customer))
        return code

    def _encode_other(self, identifier: Identifier) -> tuple[int, bool]:
        """The identity of another identifier, and whether it is new; the caller gives a new one its owner."""
        place, new = self._others.encode(_key(identifier))
        if new:
            code = self._next_code()
            self._pending_others.append(code)
            return code, True
        committed = len(self._other_codes)
        return int(self._other_codes[place]) if place < committed else self._pending_others[place - committed], False


def _key(identifier: Identifier) -> str:
    """An identifier as one text; kinds and values hold no control characters."""
    return identifier.kind + _BETWEEN + identifier.value


__all__ = ["CUSTOMER", "NOBODY", "Found", "Identities"]
