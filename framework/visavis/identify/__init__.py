"""Know each customer at every touchpoint: recording, import, items, identifiers, consent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from visavis import kernels
from visavis.config import Settings
from visavis.errors import NotFound
from visavis.identify.batches import check_batch
from visavis.identify.checks import Violations, check_request_id, shorten
from visavis.identify.columnar import InteractionBatch
from visavis.identify.gathering import Alone, Gathering, Together
from visavis.identify.paging import page_of
from visavis.identify.recording import check_interactions, record_operation
from visavis.identify.upserting import (
    consent_operation,
    upsert_customers_operation,
    upsert_items_operation,
)
from visavis.live import Live
from visavis.live.catalog import to_item
from visavis.model import (
    Consent,
    Customer,
    CustomerRef,
    ImportReport,
    Interaction,
    Item,
    Page,
    Progress,
    RecordResult,
    UpsertResult,
)
from visavis.plugin import Registry
from visavis.store import Operation, Store
from visavis.store.texts import Texts

S = TypeVar("S")
T = TypeVar("T")


class Identify:
    """The room of recording. Every verb that changes something answers after its commit."""

    def __init__(self, store: Store, live: Live, settings: Settings, registry: Registry) -> None:
        self._store = store
        self._live = live
        self._settings = settings
        self._registry = registry

    def record(self, interactions: Sequence[Interaction], *, request_id: str = "") -> RecordResult:
        """Record 1 to 10,000 interactions, all or none.

        An interaction whose id is already known is counted and not recorded again. Raises `InvalidInput` naming
        every wrong field; a time more than `future_tolerance_minutes` ahead is wrong, one that is late is not.
        """
        return self._store.writer.run(self._recording(interactions, request_id))

    def record_soon(self, interactions: Sequence[Interaction], *, request_id: str = "") -> Future[RecordResult]:
        """As `record`, without waiting: checked at once, the future answers after the commit."""
        return self._store.writer.submit(self._recording(interactions, request_id))

    def record_batch_soon(self, batch: InteractionBatch, *, request_id: str = "") -> Future[RecordResult] | None:
        """As `record_soon`, by columns, at a fraction of the cost. None: something is wrong, and nothing was done;
        `record_soon` of the same rows says what."""
        checked = check_batch(batch, self._settings, self._live)
        bad = Violations()
        check_request_id(bad, request_id)
        if checked is None or bad:
            return None
        return self._store.writer.submit(record_operation(self._live, checked, request_id, self._registry))

    def warm_up(self) -> None:
        """Run what is compiled once, on nothing, so that the first batch need not wait for compilers."""
        kernels.read_batch(np.empty(0, dtype=np.uint8))
        kernels.read_calls(np.empty(0, dtype=np.uint8), np.zeros(1, dtype=np.int64))
        row = np.zeros(1, dtype=np.int64)
        one = InteractionBatch(
            Texts.of(["", "view"]), row + 1, row, row, row, row, row, row, np.ones(1), row, row, np.full(1, np.nan),
            row, row, row, row,
        )  # fmt: skip
        check_batch(one, self._settings, self._live)

    def gathering(self, together: Together, alone: Alone) -> Gathering:
        """Takes small calls in as bytes, and those that wait for the writer at once as one batch.

        `together` reads several calls, `alone` one.
        """
        return Gathering(self._store, self._live, self._settings, self._registry, together, alone)

    def import_file(
        self,
        path: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        source: str = "",
        kind: str = "",
        currency: str = "",
        time_zone: str = "",
        format: str = "",
        delimiter: str = "",
        progress: Callable[[Progress], None] | None = None,
    ) -> ImportReport:
        """Import purchases or other interactions from CSV, Parquet or JSON Lines.

        `columns` names the file's column for a role (customer, item, time, order, quantity, price …); roles left out
        are guessed and reported. Importing the same file again adds nothing. Raises `InvalidInput` when the file
        cannot be read or a needed column is not found.
        """
        from visavis.identify.importing import import_file

        return import_file(
            self._store,
            self._live,
            self._settings,
            path,
            columns=columns,
            source=source,
            kind=kind,
            currency=currency,
            time_zone=time_zone,
            format=format,
            delimiter=delimiter,
            progress=progress,
        )

    def upsert_items(
        self, items: Sequence[Item], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        """Make or change 1 to 1,000 items, all or none. `update_mask` names the fields to change; empty means all."""
        operation = upsert_items_operation(self._live, items, tuple(update_mask), request_id)
        return _to_upsert_result(self._store.writer.run(operation))

    def upsert_items_soon(
        self, items: Sequence[Item], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> Future[UpsertResult]:
        """As `upsert_items`, without waiting: checked at once, the future answers after the commit."""
        operation = upsert_items_operation(self._live, items, tuple(update_mask), request_id)
        return self._submit(operation, _to_upsert_result)

    def get_item(self, item_id: str) -> Item:
        """One item. Raises `NotFound`."""
        code = self._live.catalog.ids.find(item_id)
        if code < 0:
            raise NotFound(
                f"item {shorten(item_id)} is not known; upsert it, or record an interaction with it",
                reason="UNKNOWN_ITEM",
                metadata={"item_id": item_id},
            )
        return to_item(self._live.catalog.row(code))

    def list_items(self, *, page_size: int = 0, page_token: str = "") -> Page[Item]:
        """All items in order of appearance, a page at a time."""
        catalog = self._live.catalog
        return page_of(len(catalog), lambda code: to_item(catalog.row(code)), page_size, page_token)

    def upsert_customers(
        self, customers: Sequence[Customer], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        """Make or change 1 to 1,000 customers, all or none. Identifiers are added to those known.

        Raises `Conflict` (IDENTIFIER_TAKEN) if an identifier belongs to another customer.
        """
        operation = upsert_customers_operation(self._live, customers, tuple(update_mask), request_id)
        return _to_upsert_result(self._store.writer.run(operation))

    def upsert_customers_soon(
        self, customers: Sequence[Customer], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> Future[UpsertResult]:
        """As `upsert_customers`, without waiting: checked at once, the future answers after the commit."""
        operation = upsert_customers_operation(self._live, customers, tuple(update_mask), request_id)
        return self._submit(operation, _to_upsert_result)

    def set_consent(self, customer: CustomerRef, consent: Consent, *, request_id: str = "") -> None:
        """Take down a customer's word on a purpose; it holds from the next answer on."""
        self._store.writer.run(consent_operation(self._live, customer, consent, request_id))

    def set_consent_soon(self, customer: CustomerRef, consent: Consent, *, request_id: str = "") -> Future[None]:
        """As `set_consent`, without waiting: checked at once, the future answers after the commit."""
        return self._submit(consent_operation(self._live, customer, consent, request_id), lambda _: None)

    def _recording(self, interactions: Sequence[Interaction], request_id: str) -> Operation[RecordResult]:
        bad = Violations()
        check_request_id(bad, request_id)
        bad.check()
        checked = check_interactions(interactions, self._settings)
        return record_operation(self._live, checked, request_id, self._registry)

    def _submit(self, operation: Operation[S], translate: Callable[[S], T]) -> Future[T]:
        """Queue an operation; what it answers after its commit, translated."""
        answer: Future[T] = Future()
        answer.set_running_or_notify_cancel()

        def done(future: Future[S]) -> None:
            try:
                answer.set_result(translate(future.result()))
            except BaseException as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
                answer.set_exception(error)

        self._store.writer.submit(operation).add_done_callback(done)
        return answer


def _to_upsert_result(answer: dict[str, Any]) -> UpsertResult:
    return UpsertResult(**answer)


__all__ = ["Identify"]
