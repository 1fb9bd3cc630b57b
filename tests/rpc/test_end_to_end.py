"""The real engine behind a real port: what the client is told is what the engine says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import visavis
from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1 import message_service_pb2 as message_pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.api.v1.message_service_pb2_grpc import MessageServiceStub
from visavis.client import Client
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput, NotFound, NotReady, StoreError, StoreInUse
from visavis.model import (
    AttributeFilter,
    Consent,
    Customer,
    Identifier,
    Interaction,
    Item,
    Money,
    Progress,
    RecordResult,
    UpsertResult,
)
from visavis.rpc.errors import from_call
from visavis.rpc.server import PACKAGE
from visavis.store.owner import read_owner
from visavis.testing.server import serve

YESTERDAY = datetime.now(UTC).replace(microsecond=123456) - timedelta(days=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with visavis.open(tmp_path / "shop.duckdb") as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with serve(engine) as server, visavis.connect(server.address) as client:
        yield client


def purchases() -> list[Interaction]:
    """Even customers buy even items, odd ones odd items, each but one of them."""
    return [
        Interaction(
            "purchase", f"c{c}", f"i{i}", f"c{c}-i{i}", YESTERDAY + timedelta(minutes=i), 1.0, Money(100, "EUR")
        )
        for c in range(8)
        for i in range(8)
        if c % 2 == i % 2 and c != i
    ]


def fill(client: Client) -> None:
    items = [
        Item(f"i{i}", f"Item {i}", brand="even" if i % 2 == 0 else "odd", price=Money(100 * i, "EUR")) for i in range(8)
    ]
    assert client.identify.upsert_items(items) == UpsertResult(8, 0)
    assert client.identify.record(purchases()) == RecordResult(24, 0)


def test_from_interactions_to_answers(client: Client, engine: Engine) -> None:
    with pytest.raises(NotReady):
        client.recommend("c2")
    fill(client)
    told: list[Progress] = []
    report = client.fit(progress=told.append)
    assert (report.generation, report.customers, report.interactions) == (1, 8, 24)
    assert "item_similarity" in report.scorers
    assert not report.failed
    assert told
    answer = client.recommend("c2", 3)
    assert answer.items[0].item_id == "i2"
    assert answer.generation == 1
    assert not answer.fallback or answer.fallback_reason == "too_few"
    for item in answer.items:
        assert sum(reason.contribution for reason in item.reasons) == pytest.approx(item.score, abs=1e-9)
    here, there = engine.recommend("c2", 3), client.recommend("c2", 3)
    assert (there.items, there.scorer, there.fallback) == (here.items, here.scorer, here.fallback)
    many = client.customize.recommend_many(["c2", Identifier("email", "nobody"), "c3"], 3)
    assert many[0].items == there.items
    assert (many[1].fallback, many[1].fallback_reason) == (True, "unknown_customer")
    assert many[2].items[0].item_id == "i3"
    assert client.similar("i2") == engine.similar("i2")
    odd = client.recommend("c2", 5, filters=[AttributeFilter("brand", any_of=("odd",))], exclude=["i1"])
    assert {item.item_id for item in odd.items} == {"i3", "i5", "i7"}
    status = client.admin.status()
    assert (status.generation, status.customers, status.items, status.interactions) == (1, 8, 8, 24)


def test_what_was_acknowledged_shows_in_the_next_answer(client: Client) -> None:
    fill(client)
    client.fit()
    assert client.recommend("c2", 1).items[0].item_id == "i2"
    client.identify.record([Interaction("purchase", "c2", "i2", "now")])
    assert client.recommend("c2", 1).items[0].item_id != "i2"
    client.identify.set_consent("c2", Consent("personalization", False))
    answer = client.recommend("c2", 2)
    assert (answer.fallback, answer.fallback_reason) == (True, "objected")


def test_unknown_names_are_not_found(client: Client) -> None:
    fill(client)
    client.fit()
    for call, reason in (
        (lambda: client.recommend("c2", scorer="nosuch"), "UNKNOWN_PLUGIN"),
        (lambda: client.similar("nosuch"), "UNKNOWN_ITEM"),
        (lambda: client.identify.get_item("nosuch"), "UNKNOWN_ITEM"),
        (lambda: client.profile("nosuch"), "UNKNOWN_CUSTOMER"),
        (lambda: client.differentiate.members("nosuch", "555"), "UNKNOWN_SEGMENT"),
        (lambda: client.interact.send_test("nosuch", "c2", "me"), "UNKNOWN_PLUGIN"),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert caught.value.reason == reason


def test_profiles_segments_and_plugins(client: Client, engine: Engine) -> None:
    fill(client)
    client.fit()
    client.identify.upsert_customers([Customer("c2", (Identifier("email", "c2@x"),), {"vip": True}, "Europe/Berlin")])
    profile = client.profile(Identifier("email", "c2@x"))
    assert profile == engine.profile("c2")
    assert profile.interaction_count == 3
    assert client.differentiate.segments() == engine.differentiate.segments()
    first = client.differentiate.segments()[0]
    assert len(client.differentiate.members(first.segmentation, first.name).items) == first.customers
    assert client.admin.plugins() == engine.admin.plugins()
    with pytest.raises(Conflict) as caught:
        client.identify.upsert_customers([Customer("c3", (Identifier("email", "c2@x"),))])
    assert caught.value.reason == "IDENTIFIER_TAKEN"


@pytest.mark.parametrize(
    ("interaction", "field"),
    [
        (Interaction(""), "kind"),
        (Interaction("view\x00"), "kind"),
        (Interaction("view", "x" * 10_000), "customer"),
        (Interaction("view", "ann\x00"), "customer"),
        (Interaction("view", "ann", "x" * 10_000), "item_id"),
        (Interaction("purchase", "ann", "tea", quantity=float("nan")), "quantity"),
        (Interaction("purchase", "ann", "tea", quantity=-1), "quantity"),
        (Interaction("rating", "ann", "tea", rating=float("inf")), "rating"),
        (Interaction("view", "ann", occurred_at=datetime(2999, 1, 1, tzinfo=UTC)), "occurred_at"),
    ],
)
def test_bad_interactions_are_named(client: Client, interaction: Interaction, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.identify.record([Interaction("view", "ann"), interaction])
    assert [violation.field.partition("[1].")[2].partition(".")[0] for violation in caught.value.violations] == [field]
    assert client.admin.status().interactions == 0


def test_repeats_get_the_first_answer(client: Client) -> None:
    batch = [Interaction("view", "ann", "tea", "☕")]
    assert client.identify.record(batch, request_id="r") == RecordResult(1, 0)
    assert client.identify.record(batch, request_id="r") == RecordResult(1, 0)
    assert client.identify.record(batch) == RecordResult(0, 1)
    with pytest.raises(Conflict) as caught:
        client.identify.record([Interaction("view", "bob")], request_id="r")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_stream_of_columns(client: Client, engine: Engine) -> None:
    rows = 1000
    batches = [
        pb.StreamInteractionsRequest(
            batch_id=str(number),
            strings=["", "view", "ann", *(f"b{number}-{row}" for row in range(rows))],
            kind=[1] * rows,
            customer_id=[2] * rows,
            item_id=range(3, rows + 3),
            interaction_id=range(3, rows + 3),
        )
        for number in (0, 1, 1)
    ]
    batches.insert(1, pb.StreamInteractionsRequest(batch_id="bad", strings=["", "BAD"], kind=[1]))
    stub = InteractionServiceStub(client._caller.channel)
    answers = list(stub.StreamInteractions(iter(batches)))
    assert [(a.batch_id, a.recorded_count, a.already_known_count, a.HasField("error")) for a in answers] == [
        ("0", rows, 0, False),
        ("bad", 0, 0, True),
        ("1", rows, 0, False),
        ("1", 0, rows, False),
    ]
    assert client.profile("ann").interaction_count == 2 * rows


def test_importing_a_file_twice_adds_nothing(client: Client, tmp_path: Path) -> None:
    pytest.importorskip("visavis.identify.importing", reason="imports are not there yet")
    file = tmp_path / "sales.csv"
    lines = [f"{k},c{k % 5},tea-{k % 7},2026-01-{k % 28 + 1:02d} 10:00:00,1,2.50" for k in range(50)]
    file.write_text("\n".join(["order_id,customer_id,item_id,time,quantity,price", *lines]) + "\n")
    told: list[Progress] = []
    first = client.identify.import_file(file, progress=told.append)
    assert (first.rows, first.interactions, first.rejected, first.source) == (50, 50, 0, "sales.csv")
    assert told[0].step == "upload"
    again = client.identify.import_file(file)
    assert (again.rows, again.already_known) == (50, 50)
    assert client.admin.status().interactions == 50
    folder = tmp_path / "shop.duckdb.d" / "uploads"
    until = time.monotonic() + 30
    while list(folder.iterdir()):  # removed in the background, behind the answer
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("content", [b"PAR1" + bytes(100), b"PK\x03\x04" + bytes(50), b"item,time\n"])
def test_errors_of_an_import_name_the_file_that_was_sent(client: Client, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "my sales.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"my sales\.csv (is|has|cannot)") as caught:
        client.identify.import_file(file)
    told = f"{caught.value.message} {caught.value.metadata}"
    assert not [word for word in (str(tmp_path), "uploads", ".source") if word in told]


def test_a_snapshot_is_a_store(client: Client, tmp_path: Path) -> None:
    fill(client)
    client.fit()
    path = tmp_path / "copy.duckdb"
    snapshot = client.admin.snapshot(path)
    assert snapshot.bytes == path.stat().st_size
    with visavis.open(path) as copy:
        assert copy.admin.status().interactions == 24
        assert copy.recommend("c2", 1).items[0].item_id == "i2"
    with pytest.raises(Conflict):
        client.admin.snapshot(path)


def test_a_test_message_goes_out(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    fill(client)
    client.fit()
    delivery = client.interact.send_test("console", "c2", "me@example.com", n=2)
    assert delivery.accepted
    assert "me@example.com" in capsys.readouterr().out


def test_a_writer_that_failed_is_told_and_reads_go_on(client: Client, engine: Engine) -> None:
    fill(client)
    client.fit()
    stub: Any = health_pb2_grpc.HealthStub(client._caller.channel)

    def health(service: str = "") -> object:
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status

    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert health() == serving
    engine.store.writer._fail(StoreError("the disk is gone"))
    assert [health(name) for name in ("", f"{PACKAGE}.CatalogService")] == [not_serving] * 2
    assert health(f"{PACKAGE}.RecommendationService") == serving
    with pytest.raises(StoreError, match="the disk is gone"):
        client.identify.upsert_items([Item("tea")])
    assert client.identify.get_item("i2").name == "Item 2"
    assert client.similar("i2").item_id == "i2"
    assert client.recommend("c2", 1).items[0].item_id == "i2"


def test_names_and_scorers_are_as_documented(client: Client) -> None:
    client.identify.record(purchases())
    client.fit()
    full = client.recommend("c2", 8)
    assert [item.name for item in full.items] == [item.item_id for item in full.items]
    assert (full.scorer, full.fallback, full.fallback_reason) == (full.items[0].scorer, False, "too_few")
    assert full.items[-1].scorer != full.scorer
    alike = client.similar("i2")
    assert [alike.name, *(one.name for one in alike.items)] == ["i2", *(one.item_id for one in alike.items)]
    nobody = client.recommend("nobody", 2)
    assert (nobody.scorer, nobody.fallback, nobody.fallback_reason) == ("popularity", True, "unknown_customer")
    nothing = client.recommend("c2", 2, filters=[AttributeFilter("brand", any_of=("none",))])
    assert (nothing.scorer, nothing.fallback, nothing.items) == ("item_similarity", False, ())


def test_money_needs_its_currency_everywhere(client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"interactions\[0\]\.amount\.currency"):
        client.identify.record([Interaction("purchase", "ann", "tea", amount=Money(250, ""))])
    batch = pb.StreamInteractionsRequest(strings=["", "purchase"], kind=[1], amount_minor_units=[250])
    (answer,) = InteractionServiceStub(client._caller.channel).StreamInteractions(iter([batch]))
    assert answer.error.message.startswith("amount_currency[0]: is empty beside 250 minor units")
    assert client.admin.status().interactions == 0


def test_request_ids_keep_one_rule(client: Client) -> None:
    fill(client)
    client.fit()
    channel = client._caller.channel
    calls: list[Callable[[str], object]] = [
        lambda i: client.identify.record([Interaction("view", "ann")], request_id=i),
        lambda i: client.identify.upsert_items([Item("tea")], request_id=i),
        lambda i: client.identify.set_consent("c2", Consent("marketing", True, "email"), request_id=i),
        lambda i: list(AdminServiceStub(channel).Fit(admin_pb.FitRequest(request_id=i))),
        lambda i: MessageServiceStub(channel).SendTestMessage(
            message_pb.SendTestMessageRequest(channel="console", customer={"customer_id": "c2"}, to="me", request_id=i)
        ),
    ]
    for number, call in enumerate(calls):
        call(f"{number}" + "é" * 255)
        for bad in ("é" * 257, "a\x00"):
            with pytest.raises((InvalidInput, grpc.RpcError)) as caught:
                call(bad)
            said = caught.value
            error = from_call(said, "here") if isinstance(said, grpc.RpcError) else said
            assert isinstance(error, InvalidInput)
            assert [one.field for one in error.violations] == ["request_id"]


def test_the_owner_file_says_where(engine: Engine, tmp_path: Path) -> None:
    with serve(engine) as server:
        owner = read_owner(tmp_path / "shop.duckdb.d")
        assert owner is not None
        assert (owner.address, f"owner.{owner.token}") == (server.owner_address, server.owner_key)
        with pytest.raises(StoreInUse):
            visavis.open(tmp_path / "shop.duckdb")
