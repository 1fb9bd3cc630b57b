"""An engine of a few lines, for what a real one cannot be made to show: faults, slowness, blocked work.

Tests of what calls mean use the real engine (`test_end_to_end.py`). A test of signatures holds the two together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.config import load_settings
from visavis.errors import Conflict, FieldViolation, InvalidInput, NotFound
from visavis.evaluation import Compared, Evaluation, Judged, Measure
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
    Reason,
    Recommendation,
    RecommendedItem,
    RecordResult,
    RejectedRow,
    Segment,
    SimilarItem,
    SimilarItems,
    Status,
    UpsertResult,
)
from visavis.upkeep import Backup, Compaction, Snapshot

T = TypeVar("T")
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


class Standin:
    """Everything in dictionaries. `fail` is raised by the next call of any room; `hold` blocks long work."""

    def __init__(self, folder: Path) -> None:
        self.settings = load_settings({"data": str(folder / "shop.duckdb")}, environ={})
        self.fail: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.began = threading.Event()
        self.announced: tuple[str, str] | None = None
        self.warm = threading.Event()
        self.warm.set()
        self.seen: list[object] = []
        self.ended: list[str] = []
        self.writer = SimpleNamespace(failure=None)
        self.store = SimpleNamespace(scratch=lambda name: scratch(folder / name), writer=self.writer)
        self.identify = IdentifyRoom(self)
        self.differentiate = DifferentiateRoom(self)
        self.customize = CustomizeRoom(self)
        self.interact = InteractRoom(self)
        self.admin = AdminRoom(self)

    def keep_fresh(self) -> None:
        """Nothing is learned here."""

    def warm_up(self) -> None:
        self.warm.wait(10)

    def announce(self, address: str, token: str) -> None:
        self.announced = (address, token)

    def enter(self, *arguments: object) -> None:
        self.seen.append(arguments[0] if len(arguments) == 1 else arguments)
        if self.fail is not None:
            raise self.fail

    def commit(self, result: T) -> Future[T]:
        """A write that is acknowledged when nobody holds it."""
        future: Future[T] = Future()

        def work() -> None:
            self.hold.wait(10)
            future.set_result(result)

        threading.Thread(target=work).start()
        return future

    def long(self, name: str, progress: Callable[[Progress], None] | None) -> None:
        """Long work: a step of progress every few milliseconds until nobody holds it."""
        self.began.set()
        tell = progress or (lambda _: None)
        try:
            tell(Progress(name, 0, 2))
            while not self.hold.wait(0.005):
                tell(Progress(f"{name} held", 1, 0))
            tell(Progress(name, 2, 2))
            self.ended.append(name)
        except BaseException:
            self.ended.append(f"{name} given up")
            raise


class IdentifyRoom:
    def __init__(self, shop: Standin) -> None:
        self._shop = shop
        self._known: set[str] = set()
        self.items: dict[str, Item] = {}
        self.customers: dict[str, Customer] = {}
        self.interactions: list[Interaction] = []

    def record(self, interactions: Sequence[Interaction], *, request_id: str = "") -> RecordResult:
        return self.record_soon(interactions, request_id=request_id).result()

    def record_soon(self, interactions: Sequence[Interaction], *, request_id: str = "") -> Future[RecordResult]:
        self._shop.enter("record", tuple(interactions), request_id)
        violations = [
            FieldViolation(f"interactions[{row}].kind", f"is {one.kind!r}; give lower-case letters, digits and _")
            for row, one in enumerate(interactions)
            if not (one.kind.isidentifier() and one.kind.islower())
        ]
        violations += [
            FieldViolation(f"interactions[{row}].quantity", f"is {one.quantity}; give a finite number above 0")
            for row, one in enumerate(interactions)
            if not 0 < one.quantity < float("inf")
        ]
        if violations:
            raise InvalidInput(violations)
        known = sum(one.interaction_id in self._known for one in interactions if one.interaction_id)
        self._known.update(one.interaction_id for one in interactions)
        self.interactions.extend(interactions)
        return self._shop.commit(RecordResult(len(interactions) - known, known))

    def record_batch_soon(self, batch: object, *, request_id: str = "") -> None:
        """Every batch is taken row by row here, as one is in which something is wrong."""

    def gathering(self, together: object, alone: Callable[[bytes], Sequence[Interaction]]) -> Any:
        """Calls do not wait for each other here: each is recorded as `record_soon` does it."""

        def add(call: bytes, rows: int) -> tuple[Future[list[RecordResult]], int]:
            recorded, answer = self.record_soon(alone(call)), Future[list[RecordResult]]()
            recorded.add_done_callback(lambda done: answer.set_result([done.result()]))
            return answer, 0

        return SimpleNamespace(add=add)

    def upsert_items(
        self, items: Sequence[Item], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        self._shop.enter("upsert_items", tuple(items), tuple(update_mask), request_id)
        _check_ids("items", "item_id", [item.item_id for item in items])
        created = sum(item.item_id not in self.items for item in items)
        self.items.update({item.item_id: item for item in items})
        return UpsertResult(created, len(items) - created)

    def upsert_items_soon(
        self, items: Sequence[Item], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> Future[UpsertResult]:
        return self._shop.commit(self.upsert_items(items, update_mask=update_mask, request_id=request_id))

    def get_item(self, item_id: str) -> Item:
        self._shop.enter("get_item", item_id)
        if item_id not in self.items:
            raise NotFound(f"item_id: there is no item {item_id!r}", metadata={"item_id": item_id})
        return self.items[item_id]

    def list_items(self, *, page_size: int = 0, page_token: str = "") -> Page[Item]:
        self._shop.enter("list_items", page_size, page_token)
        start = int(page_token or 0)
        end = start + (page_size or 100)
        items = tuple(self.items.values())
        return Page(items[start:end], str(end) if end < len(items) else "")

    def upsert_customers(
        self, customers: Sequence[Customer], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> UpsertResult:
        self._shop.enter("upsert_customers", tuple(customers), tuple(update_mask), request_id)
        _check_ids("customers", "customer_id", [one.customer_id for one in customers])
        created = sum(one.customer_id not in self.customers for one in customers)
        self.customers.update({one.customer_id: one for one in customers})
        return UpsertResult(created, len(customers) - created)

    def upsert_customers_soon(
        self, customers: Sequence[Customer], *, update_mask: Sequence[str] = (), request_id: str = ""
    ) -> Future[UpsertResult]:
        return self._shop.commit(self.upsert_customers(customers, update_mask=update_mask, request_id=request_id))

    def set_consent(self, customer: CustomerRef, consent: Consent, *, request_id: str = "") -> None:
        self._shop.enter("set_consent", customer, consent, request_id)
        if consent.purpose not in {"marketing", "personalization"}:
            raise InvalidInput([FieldViolation("consent.purpose", f"is {consent.purpose!r}; give marketing")])

    def set_consent_soon(self, customer: CustomerRef, consent: Consent, *, request_id: str = "") -> Future[None]:
        self.set_consent(customer, consent, request_id=request_id)
        return self._shop.commit(None)

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
        data = Path(path).read_bytes()
        options = (Path(path).name, data, columns, source, kind, currency, time_zone, format, delimiter)
        self._shop.enter("import_file", *options)
        self._shop.long("import", progress)
        lines = data.splitlines()
        return ImportReport(
            source=source,
            rows=len(lines),
            interactions=len(lines) - 1,
            returns=0,
            without_customer=0,
            already_known=0,
            rejected=1,
            rejected_by_reason={"no item": 1},
            returns_linked=0,
            new_customers=2,
            new_items=3,
            columns=dict(columns or {"item": "sku"}),
            guessed=("item",),
            notes=("read as CSV",),
            rejects_path="shop.rejects.csv",
            samples=(RejectedRow(3, "no item", "sku", "?"),),
            seconds=0.25,
        )


class DifferentiateRoom:
    def __init__(self, shop: Standin) -> None:
        self._shop = shop

    def profile(self, customer: CustomerRef) -> Profile:
        self._shop.enter("profile", customer)
        name = customer if isinstance(customer, str) else customer.value
        known = self._shop.identify.customers.get(name)
        if known is None:
            raise NotFound(f"customer: nothing is known of {name!r}", metadata={"customer": name})
        consents = (Consent("marketing", True, "email", "till", NOON),)
        return Profile(known, consents, True, False, 3, NOON, None, {"rfm": "555"})

    def segments(self) -> tuple[Segment, ...]:
        self._shop.enter("segments")
        return tuple(Segment("rfm", f"{cell:04d}", cell) for cell in range(2500))

    def members(self, segmentation: str, segment: str, *, page_size: int = 0, page_token: str = "") -> Page[str]:
        self._shop.enter("members", segmentation, segment, page_size, page_token)
        if segmentation != "rfm":
            raise NotFound(f"segmentation: there is no {segmentation!r}", metadata={"segmentation": segmentation})
        return Page(("ann", "bob"), "next")


@dataclass(frozen=True)
class Answered:
    """Stands in for `Answers`."""

    values: tuple[Recommendation, ...]

    def rows(self) -> tuple[Recommendation, ...]:
        return self.values

    def wire(self) -> bytes:
        return recommendation_pb.BatchRecommendResponse(
            recommendations=[recommendation_to_proto(one) for one in self.values]
        ).SerializeToString()

    def wires(self) -> list[bytes]:
        return [Answered((one,)).wire() for one in self.values]


def recommendation_to_proto(answer: Recommendation) -> recommendation_pb.Recommendation:
    message = recommendation_pb.Recommendation(
        customer_id=answer.customer_id,
        decision_id=answer.decision_id,
        scorer=answer.scorer,
        fallback=answer.fallback,
        fallback_reason=answer.fallback_reason,
        generation=answer.generation,
    )
    for item in answer.items:
        place = message.items.add(
            item_id=item.item_id, name=item.name, rank=item.rank, score=item.score, scorer=item.scorer
        )
        for reason in item.reasons:
            place.reasons.add(
                kind=reason.kind,
                text=reason.text,
                contribution=reason.contribution,
                item_id=reason.item_id,
                item_name=reason.item_name,
            )
    return message


class CustomizeRoom:
    def __init__(self, shop: Standin) -> None:
        self._shop = shop

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
        options = (
            n, scorer, tuple(filters), tuple(exclude), exclude_bought, available_only, one_per_group, most_reasons,
        )  # fmt: skip
        self._shop.enter("recommend", customer, *options)
        if not 1 <= n <= 1000:
            raise InvalidInput([FieldViolation("n", f"is {n}; give 1 to 1000")])
        if scorer == "nosuch":
            message = "scorer: there is no scorer 'nosuch'; known are popularity"
            raise NotFound(message, reason="UNKNOWN_PLUGIN", metadata={"kind": "scorer", "name": scorer})
        name = customer if isinstance(customer, str) else customer.value
        reasons = (Reason("popular", "bought by 3 customers", 1.0), Reason("because_you_bought", "…", 0.5, "b", "B"))
        items = tuple(RecommendedItem(f"i{k}", f"Item {k} ☕", k + 1, 1.5, "popularity", reasons) for k in range(n))
        return Recommendation(name, f"d-{name}", "popularity", True, "no_history", 7, items)

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
        return tuple(
            self.recommend(
                customer,
                n,
                scorer=scorer,
                filters=filters,
                exclude=exclude,
                exclude_bought=exclude_bought,
                available_only=available_only,
                one_per_group=one_per_group,
                most_reasons=most_reasons,
            )
            for customer in customers
        )

    def answer(self, customers: Sequence[CustomerRef], n: int = 10, **options: Any) -> Answered:
        if threading.current_thread().name.startswith("visavis-call"):
            self._shop.hold.wait(10)  # a batch; a single answer comes on the event loop
        return Answered(self.recommend_many(customers, n, **options))

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
        options = (n, scorer, tuple(filters), tuple(exclude), available_only, one_per_group)
        self._shop.enter("similar", item_id, *options)
        return SimilarItems(item_id, "Tea", "item_similarity", (SimilarItem("cup", "Cup", 1, 0.5),))

    def evaluate(
        self,
        scorers: Sequence[str] = (),
        *,
        days: float = 28,
        end: datetime | None = None,
        min_buyers: int = 1,
        most_customers: int = 2_000,
        seed: int = 1,
        progress: Callable[[Progress], None] | None = None,
    ) -> Evaluation:
        self._shop.enter("evaluate", tuple(scorers), days, end, min_buyers, most_customers, seed)
        self._shop.long("evaluate", progress)
        measures = (Measure("ndcg", 10, 0.25, 0.01), Measure("coverage", 10, 0.5, None), Measure("mrr", 10, 0.0, 0.0))
        judged = (
            Judged("popular_ever", True, "cold", 12, measures, 0.25),
            Judged("popularity", False, "new_only", 7, (), 0.0),
        )
        compared = (Compared("cold", "popularity", "popular_ever", "ndcg", 10, -0.5, -0.75, -0.25, "worse"),)
        begin = None if end is None else end - timedelta(days=days)
        return Evaluation(begin, end, 5, 6, 7, seed, judged, compared, {"broken": "no score"}, 1.5)


class InteractRoom:
    def __init__(self, shop: Standin) -> None:
        self._shop = shop
        self.sent = 0

    def send_test(self, channel: str, customer: CustomerRef, to: str, *, n: int = 5) -> Delivery:
        self._shop.enter("send_test", channel, customer, to, n)
        self.sent += 1
        return Delivery(f"m{self.sent}", channel == "console", "printed")


class AdminRoom:
    def __init__(self, shop: Standin) -> None:
        self._shop = shop
        self.fits = 0

    def fit(self, *, progress: Callable[[Progress], None] | None = None) -> FitReport:
        self._shop.enter("fit")
        self._shop.long("fit", progress)
        self.fits += 1
        return FitReport(self.fits, ("popularity",), ("rfm",), {"broken": "no score"}, 5, 6, 7, 0.125)

    def snapshot(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Snapshot:
        self._shop.enter("snapshot", str(path))
        if Path(path).exists():
            raise Conflict(f"{path} exists already", metadata={"path": str(path)})
        self._shop.long("snapshot", progress)
        data = b"duckdb" * 500_000
        Path(path).write_bytes(data)
        return Snapshot(str(path), len(data), 42, 0.5)

    def backup(self, path: str | Path, *, progress: Callable[[Progress], None] | None = None) -> Backup:
        self._shop.enter("backup", str(path))
        self._shop.long("backup", progress)
        data = b"backup" * 500_000
        Path(path).write_bytes(data)
        return Backup(str(path), len(data), 43, 44, 0.25)

    def compact(self, *, progress: Callable[[Progress], None] | None = None) -> Compaction:
        self._shop.enter("compact")
        self._shop.long("compact", progress)
        return Compaction(5_000_000_000, 4_000_000_000, 6_000_000_000, 2.5, 0.125)

    def status(self) -> Status:
        self._shop.enter("status")
        return Status("0.1.0", "id", "shop.duckdb", 3, 42, 7, NOON, 1, 2, 3, 4, 5, 6, True, ("muted",))

    def plugins(self) -> tuple[PluginInfo, ...]:
        self._shop.enter("plugins")
        schema = {"properties": {"window_days": {"default": 28, "type": "integer"}}, "type": "object"}
        healthy = PluginInfo("popularity", "scorer", "0.1.0", "visavis", True, schema, "Popular items")
        return healthy, PluginInfo("bad", "scorer", "", "bad.py", True, {}, error="does not import")


def scratch(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _check_ids(field: str, name: str, ids: Sequence[str]) -> None:
    violations = [
        FieldViolation(f"{field}[{row}].{name}", f"is {one[:20]!r}; give 1 to 512 bytes without control characters")
        for row, one in enumerate(ids)
        if not 0 < len(one.encode()) <= 512 or not one.isprintable()
    ]
    if violations:
        raise InvalidInput(violations)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what another thread does; a test that waits in vain fails."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it never happened")
        time.sleep(0.005)


__all__ = ["NOON", "Standin", "until"]
