"""Who is who: identities, and the customer that each belongs to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.errors import Conflict
from visavis.live.vocabulary import GrowingArray, Vocabulary
from visavis.model import CustomerRef, Identifier
from visavis.store import Transaction
from visavis.store.identities import (
    NewCustomer,
    NewIdentity,
    insert_customers,
    insert_identities,
    read_customers,
    read_identities,
)

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
        kinds, values, owners = read_identities(cursor)
        rows = read_customers(cursor)
        self.customers = Vocabulary(customer_id for customer_id, _, _ in rows)
        self.time_zones: dict[int, str] = {code: row[1] for code, row in enumerate(rows) if row[1]}
        self.attributes: dict[int, str] = {code: row[2] for code, row in enumerate(rows) if row[2]}
        self._identities = Vocabulary(kind + _BETWEEN + value for kind, value in zip(kinds, values, strict=True))
        self._owner = GrowingArray(owners)
        self._pending_owners: list[int] = []
        self._of_customer: dict[int, list[int]] = {}
        for identity in range(len(kinds)):
            if kinds[identity] != CUSTOMER:
                self._of_customer.setdefault(int(owners[identity]), []).append(identity)

    @property
    def owners(self) -> NDArray[np.int32]:
        """int32 [n_identities]: the customer code of each identity."""
        return self._owner.view

    def find(self, ref: CustomerRef) -> Found:
        """Whom a reference means, among those committed."""
        identity = self._identities.find(identity_key(ref))
        return NOBODY if identity < 0 else Found(identity, int(self._owner[identity]))

    def identifiers(self, customer: int) -> tuple[Identifier, ...]:
        """The identifiers of a customer, in order of appearance."""
        found = []
        for identity in self._of_customer.get(customer, ()):
            kind, _, value = self._identities.texts[identity].partition(_BETWEEN)
            found.append(Identifier(kind, value))
        return tuple(found)

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

    def attach(self, tx: Transaction, customer_id: str, identifiers: Sequence[Identifier], at: int) -> tuple[int, bool]:
        """Make sure that a customer exists and owns these identifiers: (customer code, whether new).

        Raises `Conflict` if one belongs to another customer.
        """
        tx.enlist(self)
        identities: list[NewIdentity] = []
        customers: list[NewCustomer] = []
        owner = self._owner_of(self._encode(customer_id, identities, customers))
        for identifier in identifiers:
            code, new = self._identities.encode(identity_key(identifier))
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
        start = len(self._owner)
        self._owner.extend(np.array(self._pending_owners, dtype=np.int32))
        self.customers.commit()
        self._identities.commit()
        for place, owner in enumerate(self._pending_owners):
            if not self._identities.texts[start + place].startswith(CUSTOMER + _BETWEEN):
                self._of_customer.setdefault(owner, []).append(start + place)
        self._pending_owners = []

    def rollback(self) -> None:
        self._pending_owners = []
        self.customers.rollback()
        self._identities.rollback()

    def _owner_of(self, identity: int) -> int:
        committed = len(self._owner)
        return int(self._owner[identity]) if identity < committed else self._pending_owners[identity - committed]

    def _encode(self, ref: CustomerRef, identities: list[NewIdentity], customers: list[NewCustomer]) -> int:
        code, new = self._identities.encode(identity_key(ref))
        if not new:
            return code
        if isinstance(ref, str):
            customer, _ = self.customers.encode(ref)
            customers.append(NewCustomer(customer, ref))
            identities.append(NewIdentity(code, CUSTOMER, ref, customer))
            self._pending_owners.append(customer)
            return code
        # The made-up id says nothing about the identifier, which may be an address.
        customer_id = f"c-{uuid.uuid4().hex}"
        customer, _ = self.customers.encode(customer_id)
        customers.append(NewCustomer(customer, customer_id))
        identities.append(NewIdentity(code, ref.kind, ref.value, customer))
        self._pending_owners.append(customer)
        own, _ = self._identities.encode(identity_key(customer_id))
        identities.append(NewIdentity(own, CUSTOMER, customer_id, customer))
        self._pending_owners.append(customer)
        return code


def identity_key(ref: CustomerRef) -> str:
    """An identity as one text; kinds and values hold no control characters."""
    if isinstance(ref, str):
        return CUSTOMER + _BETWEEN + ref
    return ref.kind + _BETWEEN + ref.value


__all__ = ["CUSTOMER", "NOBODY", "Found", "Identities", "identity_key"]
