"""`visavis.connect(address)`: the same rooms and verbs as the Engine's, over gRPC, with the same errors.

Calls that find no server are repeated after a pause if that is harmless: reads, and writes that carry ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf.field_mask_pb2 import FieldMask

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import catalog_service_pb2 as catalog_pb
from visavis.api.v1 import customer_service_pb2 as customer_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import message_service_pb2 as message_pb
from visavis.api.v1 import plugin_service_pb2 as plugin_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1 import segment_service_pb2 as segment_pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.api.v1.catalog_service_pb2_grpc import CatalogServiceStub
from visavis.api.v1.customer_service_pb2_grpc import CustomerServiceStub
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.api.v1.message_service_pb2_grpc import MessageServiceStub
from visavis.api.v1.plugin_service_pb2_grpc import PluginServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.api.v1.segment_service_pb2_grpc import SegmentServiceStub
from visavis.model import (
    AttributeFilter,
    Consent,
    Customer,
    CustomerRef,
    Delivery,
    FitReport,
    ImportReport,
    Interaction,
    Item,
    Page,
    PluginInfo,
    Profile,
    Progress,
    Recommendation,
    RecordResult,
    Segment,
    SimilarItems,
    Status,
    UpsertResult,
)
from visavis.rpc import convert, convert_answers, convert_interactions
from visavis.rpc.caller import Caller
from visavis.rpc.convert import make
from visavis.rpc.files import receive_file, send_file
from visavis.upkeep import Backup, Compaction, Snapshot


class Identify:
    """The room `identify`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        catalog, customers, interactions = _stubs(
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
            update_mask=_mask(update_mask),
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
            update_mask=_mask(update_mask),
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
        return convert_answers.import_report_from_proto(_last(answers, progress).report)


class Differentiate:
    """The room `differentiate`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._customers, self._segments = _stubs(caller, CustomerServiceStub, SegmentServiceStub)

    def profile(self, customer: CustomerRef) -> Profile:
        """What is known of one customer."""
        request = customer_pb.GetProfileRequest(customer=convert.ref_to_proto(customer, "customer"))
        return convert.profile_from_proto(self._caller.call(self._customers.GetProfile, request, again=True))

    def segments(self) -> tuple[Segment, ...]:
        """All segments with their sizes."""
        pages = self._caller.pages(self._segments.ListSegments, segment_pb.ListSegmentsRequest)
        return tuple(Segment(s.segmentation, s.name, s.customer_count) for page in pages for s in page.segments)

    def members(self, segmentation: str, segment: str, *, page_size: int = 0, page_token: str = "") -> Page[str]:
        """A page of the customers of one segment."""
        request = make(
            segment_pb.ListSegmentMembersRequest,
            segmentation=segmentation,
            segment=segment,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._caller.call(self._segments.ListSegmentMembers, request, again=True)
        return Page(tuple(answer.customer_ids), answer.next_page_token)


class Customize:
    """The room `customize`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        (self._stub,) = _stubs(caller, RecommendationServiceStub)

    def recommend(
        self,
        customer: CustomerRef,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> Recommendation:
        """A ranked list for one customer."""
        request = make(
            recommendation_pb.RecommendRequest,
            customer=convert.ref_to_proto(customer, "customer"),
            **_options(n, scorer, filters, exclude, available_only, one_per_group),
            exclude_bought=exclude_bought,
            most_reasons=most_reasons,
        )
        answer = self._caller.call(self._stub.Recommend, request, again=True)
        return convert_answers.recommendation_from_proto(answer.recommendation)

    def recommend_many(
        self,
        customers: Sequence[CustomerRef],
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> tuple[Recommendation, ...]:
        """A ranked list for each customer; at most 1,000 of them."""
        request = make(
            recommendation_pb.BatchRecommendRequest,
            customers=[convert.ref_to_proto(one, f"customers[{row}]") for row, one in enumerate(customers)],
            **_options(n, scorer, filters, exclude, available_only, one_per_group),
            exclude_bought=exclude_bought,
            most_reasons=most_reasons,
        )
        answer = self._caller.call(self._stub.BatchRecommend, request, again=True)
        return tuple(convert_answers.recommendation_from_proto(one) for one in answer.recommendations)

    def similar(
        self,
        item_id: str,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        available_only: bool = True,
        one_per_group: bool = True,
    ) -> SimilarItems:
        """The neighbours of one item."""
        request = make(
            recommendation_pb.ListSimilarItemsRequest,
            item_id=item_id,
            **_options(n, scorer, filters, exclude, available_only, one_per_group),
        )
        answer = self._caller.call(self._stub.ListSimilarItems, request, again=True)
        return convert_answers.similar_from_proto(answer)


class Interact:
    """The room `interact`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        (self._stub,) = _stubs(caller, MessageServiceStub)

    def send_test(self, channel: str, customer: CustomerRef, to: str, *, n: int = 5) -> Delivery:
        """Send one message with a customer's recommendations to a test address."""
        ref = convert.ref_to_proto(customer, "customer")
        request = make(message_pb.SendTestMessageRequest, channel=channel, customer=ref, to=to, n=n)
        answer = self._caller.call(self._stub.SendTestMessage, request, again=False)
        return Delivery(answer.message_id, answer.accepted, answer.detail)


class Admin:
    """The room `admin`, over gRPC."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._stub, self._plugins = _stubs(caller, AdminServiceStub, PluginServiceStub)

    def fit(self, *, progress: Callable[[Progress], None] | None = None) -> FitReport:
        """Build a new generation. If this client goes away, the work goes on."""
        answers = self._caller.stream(self._stub.Fit, admin_pb.FitRequest())
        return convert_answers.fit_report_from_proto(_last(answers, progress).report)

    def snapshot(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Snapshot:
        """Copy the store, consistently, to a new file of this machine, which only its owner may read."""
        answers = self._caller.stream(self._stub.CreateSnapshot, admin_pb.CreateSnapshotRequest())
        return convert_answers.snapshot_from_proto(receive_file(answers, Path(path), "snapshot", progress), str(path))

    def backup(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Backup:
        """Copy the whole store, as of one commit, to a new file of this machine, which only its owner may read."""
        answers = self._caller.stream(self._stub.CreateBackup, admin_pb.CreateBackupRequest())
        return convert_answers.backup_from_proto(receive_file(answers, Path(path), "backup", progress), str(path))

    def compact(self, *, progress: Callable[[Progress], None] | None = None) -> Compaction:
        """Write the store's file anew, on the server. If this client goes away, the work goes on."""
        answers = self._caller.stream(self._stub.CompactStore, admin_pb.CompactStoreRequest())
        return convert_answers.compaction_from_proto(_last(answers, progress).report)

    def status(self) -> Status:
        """The state of the store and of its server."""
        answer = self._caller.call(self._stub.GetStatus, admin_pb.GetStatusRequest(), again=True)
        return convert_answers.status_from_proto(answer)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins, healthy, broken and disabled."""
        pages = self._caller.pages(self._plugins.ListPlugins, plugin_pb.ListPluginsRequest)
        return tuple(convert_answers.plugin_from_proto(one) for page in pages for one in page.plugins)


class Client:
    """The rooms of a server far away. Made by `connect`; `with`-able; safe to use from several threads."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.address = caller.address
        self.identify = Identify(caller)
        self.differentiate = Differentiate(caller)
        self.customize = Customize(caller)
        self.interact = Interact(caller)
        self.admin = Admin(caller)
        self.recommend = self.customize.recommend
        self.similar = self.customize.similar
        self.profile = self.differentiate.profile
        self.fit = self.admin.fit

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    address: str,
    *,
    key: str = "",
    tls_ca: str = "",
    tls_cert: str = "",
    tls_key: str = "",
    plaintext: bool = False,
    timeout: float = 30.0,
) -> Client:
    """A client of the server at `address` (`host:port`). It connects with the first call.

    `key` is `id.secret`. `tls_ca` is a PEM file of certificates to trust, or `system` for those of this machine; empty
    means plaintext, and then a `key` goes to this machine only, unless `plaintext` lets everybody on the way read it.
    `tls_cert` and `tls_key` are PEM files of the client's own certificate, for a server that asks for one.
    `timeout`: seconds that a call may take, repeats included; fits, imports and snapshots have none.
    Raises `InvalidInput` for an argument that cannot be used; calls raise `Unavailable` where no server answers.
    """
    tls = {"tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key}
    return Client(Caller(address, key=key, **tls, plaintext=plaintext, timeout=timeout))


def _stubs(caller: Caller, *stubs: Any) -> tuple[Any, ...]:
    return tuple(stub(caller.channel) for stub in stubs)


def _mask(paths: Sequence[str]) -> FieldMask:
    return make(FieldMask, "update_mask", paths=paths)


def _options(
    n: int,
    scorer: str,
    filters: Sequence[AttributeFilter],
    exclude: Sequence[str],
    available_only: bool,
    one_per_group: bool,
) -> dict[str, Any]:
    return {
        "n": n,
        "scorer": scorer,
        "filters": [convert.filter_to_proto(keep, f"filters[{at}]") for at, keep in enumerate(filters)],
        "exclude": exclude,
        "available_only": available_only,
        "one_per_group": one_per_group,
    }


def _last(answers: Iterator[Any], progress: Callable[[Progress], None] | None) -> Any:
    """Tell the progress; the last answer, which is the report."""
    answer = None
    for answer in answers:
        if progress is not None and answer.WhichOneof("event") == "progress":
            progress(convert.progress_from_proto(answer.progress))
    return answer


__all__ = ["Admin", "Client", "Customize", "Differentiate", "Identify", "Interact", "connect"]
