"""The room `identify`, over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from visavis.api.v1 import catalog_service_pb2 as catalog_pb
from visavis.api.v1 import customer_service_pb2 as customer_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1.catalog_service_pb2_grpc import CatalogServiceStub
from visavis.api.v1.customer_service_pb2_grpc import CustomerServiceStub
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.client.requests import last, mask, stubs
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
from visavis.rpc import convert, convert_answers, convert_interactions
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make
from visavis.rpc.files import send_file


class Identify:
    """The room `identify`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        catalog, customers, interactions = stubs(
            caller, CatalogServiceStub, CustomerServiceStub, InteractionServiceStub
        )
        self._caller, self._catalog, self._customers, self._interactions = caller, catalog, customers, interactions

    def record(self, interactions: Sequence[Interaction], *, request_id: str = "") -> RecordResult:
        """Record a batch, whole or not at all; at most 10,000."""
        rows = [
            convert_interactions.interaction_to_proto(one, f"interactions[{row}]")
            for row, one in enumerate(interactions)
        ]
        request = make(interaction_pb.RecordInteractionsRequest, interactions=rows, request_id=request_id)
        again = bool(request_id) or all(one.interaction_id for one in interactions)
        answer = self._caller.call(self._interactions.RecordInteractions, request, again=again)
        return RecordResult(answer.recorded_count, answer.already_known_count)

    def upsert_items(
        self, items: Sequence[Item], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        """Create or change items, all or none; at most 1,000."""
        request = make(
            catalog_pb.UpsertItemsRequest,
            items=[convert.item_to_proto(item, f"items[{row}]") for row, item in enumerate(items)],
            update_mask=mask(update_mask),
            request_id=request_id,
        )
        answer = self._caller.call(self._catalog.UpsertItems, request, again=bool(request_id))
        return UpsertResult(answer.created_count, answer.updated_count)

    def get_item(self, item_id: str) -> Item:
        """One item."""
        request = make(catalog_pb.GetItemRequest, item_id=item_id)
        return convert.item_from_proto(self._caller.call(self._catalog.GetItem, request, again=True).item, "item")

    def list_items(self, *, page_size: int = 0, page_token: str = "") -> Page[Item]:
        """A page of items."""
        request = make(catalog_pb.ListItemsRequest, page_size=page_size, page_token=page_token)
        answer = self._caller.call(self._catalog.ListItems, request, again=True)
        return Page(tuple(convert.item_from_proto(item, "items") for item in answer.items), answer.next_page_token)

    def upsert_customers(
        self, customers: Sequence[Customer], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        """Create or change customers, all or none; at most 1,000."""
        request = make(
            customer_pb.UpsertCustomersRequest,
            customers=[convert.customer_to_proto(one, f"customers[{row}]") for row, one in enumerate(customers)],
            update_mask=mask(update_mask),
            request_id=request_id,
        )
        answer = self._caller.call(self._customers.UpsertCustomers, request, again=bool(request_id))
        return UpsertResult(answer.created_count, answer.updated_count)

    def set_consent(self, customer: CustomerRef, consent: Consent, *, request_id: str = "") -> None:
        """Store a customer's word on one purpose."""
        request = make(
            customer_pb.SetConsentRequest,
            customer=convert.ref_to_proto(customer, "customer"),
            consent=convert.consent_to_proto(consent, "consent"),
            request_id=request_id,
        )
        self._caller.call(self._customers.SetConsent, request, again=bool(request_id))

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
        """Send a file of this machine to the server, which imports it. `progress` may be called from another thread."""
        options = make(
            interaction_pb.ImportOptions,
            columns=columns or {},
            source=source,
            kind=kind,
            currency=currency,
            time_zone=time_zone,
            format=format,
            delimiter=delimiter,
        )
        answers = send_file(self._caller, self._interactions.ImportFile, Path(path), options, progress)
        return convert_answers.import_report_from_proto(last(answers, progress).report)


__all__ = ["Identify"]
