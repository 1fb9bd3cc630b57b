"""Streams of interactions, imports, fits and snapshots."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.standin import NOON, Standin, until

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.client import Client, connect
from visavis.errors import Conflict, InvalidInput, NotFound, StoreUnwritable
from visavis.model import Progress
from visavis.rpc.errors import from_call, from_status
from visavis.rpc.server import Server
from visavis.testing.server import serve


def batch(name: str, kind: str = "view", rows: int = 1, **columns: Any) -> pb.StreamInteractionsRequest:
    return pb.StreamInteractionsRequest(batch_id=name, strings=["", kind, "tea"], kind=[1] * rows, **columns)


def stream(channel: grpc.Channel, batches: Iterator[pb.StreamInteractionsRequest]) -> Any:
    return InteractionServiceStub(channel).StreamInteractions(batches)


def scratch(shop: Standin, name: str) -> list[Path]:
    return list(shop.store.scratch(name).iterdir())


def test_each_batch_is_acknowledged_in_order(channel: grpc.Channel, shop: Standin) -> None:
    batches = [batch(f"b{k}", rows=1 + 70 * (k % 2), request_id=f"r{k}") for k in range(40)]
    answers = list(stream(channel, iter(batches)))
    assert [(a.batch_id, a.recorded_count, a.HasField("error")) for a in answers] == [
        (f"b{k}", 1 + 70 * (k % 2), False) for k in range(40)
    ]
    assert [seen[2] for seen in shop.seen] == [f"r{k}" for k in range(40)]  # type: ignore[index]


def test_a_bad_batch_does_not_end_the_stream(channel: grpc.Channel, shop: Standin) -> None:
    batches = [
        batch("good"),
        batch("kind", "BAD", rows=2),
        batch("column", item_id=[9]),
        pb.StreamInteractionsRequest(batch_id="empty", strings=[""]),
        batch("many", rows=10_001),
        batch("x" * 200),
        batch("end"),
    ]
    answers = list(stream(channel, iter(batches)))
    assert [answer.batch_id for answer in answers] == [one.batch_id for one in batches]
    wrong = {}
    for answer in answers:
        if answer.HasField("error"):
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            error = from_status(answer.error)
            assert isinstance(error, InvalidInput)
            wrong[answer.batch_id] = [violation.field for violation in error.violations]
    assert wrong == {
        "kind": ["interactions[0].kind", "interactions[1].kind"],
        "column": ["item_id[0]"],
        "empty": ["kind"],
        "many": ["kind"],
        "x" * 200: ["batch_id"],
    }
    assert len(shop.identify.interactions) == 2


def test_a_fault_ends_the_stream(channel: grpc.Channel, shop: Standin) -> None:
    shop.fail = RuntimeError("broken")
    with pytest.raises(grpc.RpcError) as caught:
        list(stream(channel, iter([batch("b")])))
    assert caught.value.code() is grpc.StatusCode.INTERNAL


def test_an_empty_stream_is_answered_by_an_empty_one(channel: grpc.Channel) -> None:
    assert list(stream(channel, iter([]))) == []


def test_acknowledgements_come_while_the_caller_still_sends(channel: grpc.Channel) -> None:
    more = threading.Event()

    def batches() -> Iterator[pb.StreamInteractionsRequest]:
        yield batch("first")
        more.wait(10)
        yield batch("second")

    call = stream(channel, batches())
    assert next(call).batch_id == "first"
    more.set()
    assert [answer.batch_id for answer in call] == ["second"]


def test_a_caller_that_goes_away_ends_its_stream(channel: grpc.Channel, server: Server, shop: Standin) -> None:
    shop.hold.clear()
    call = stream(channel, (batch(f"b{k}") for k in range(100)))
    until(lambda: len(shop.seen) >= 16)
    call.cancel()
    until(lambda: server.running == 0)
    # Sixteen wait for their commit; no further one was read.
    assert len(shop.seen) == 16
    shop.hold.set()


def test_import_sends_the_file(client: Client, shop: Standin, tmp_path: Path) -> None:
    file = tmp_path / "my sales.csv.gz"
    data = gzip.compress(b"sku,when\n" * 300_000, 0)
    file.write_bytes(data)
    told: list[Progress] = []
    report = client.identify.import_file(
        str(file), columns={"item": "sku"}, kind="view", currency="GBP", time_zone="Europe/London",
        format="csv", delimiter=",", progress=told.append,
    )  # fmt: skip
    (seen,) = shop.seen
    options = ({"item": "sku"}, "my sales.csv.gz", "view", "GBP", "Europe/London", "csv", ",")
    assert seen == ("import_file", "my sales.csv.gz", data, *options)
    assert (report.source, report.rejected_by_reason, report.samples[0].row) == ("my sales.csv.gz", {"no item": 1}, 3)
    assert told[0].step == "upload"
    assert Progress("upload", len(data), len(data)) in told
    assert told[-1] == Progress("import", 2, 2)
    until(lambda: not scratch(shop, "uploads"))


def test_an_import_may_name_its_source(client: Client, shop: Standin, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"")
    client.identify.import_file(file, source="till 4")
    assert shop.seen[0][:5] == ("import_file", "a", b"", None, "till 4")  # type: ignore[index]


def test_files_that_cannot_be_read_are_named(client: Client, shop: Standin, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file .*nosuch\.csv"):
        client.identify.import_file(tmp_path / "nosuch.csv")
    with pytest.raises(InvalidInput, match=r"is a folder; name one file"):
        client.identify.import_file(tmp_path)
    assert not shop.seen


def test_a_progress_that_raises_breaks_the_upload_off(
    client: Client, server: Server, shop: Standin, tmp_path: Path
) -> None:
    file = tmp_path / "sales.csv"
    file.write_bytes(b"x" * 3_000_000)

    def raising(progress: Progress) -> None:
        raise KeyError(progress.step)

    with pytest.raises(KeyError, match="upload"):
        client.identify.import_file(file, progress=raising)
    until(lambda: server.running == 0)
    until(lambda: not scratch(shop, "uploads"))
    assert not shop.seen


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "options"),
        ([pb.ImportFileRequest()], "options"),
        ([pb.ImportFileRequest(chunk=b"a,b")], "options"),
        ([pb.ImportFileRequest(options={})], "options.file_name"),
        ([pb.ImportFileRequest(options={"file_name": "a/.."})], "options.file_name"),
        ([pb.ImportFileRequest(options={"file_name": "nul\x00.csv"})], "options.file_name"),
        ([pb.ImportFileRequest(options={"file_name": "x" * 300})], "options.file_name"),
        ([pb.ImportFileRequest(options={"file_name": "a.csv"})] * 2, "chunk"),
        ([pb.ImportFileRequest(options={"file_name": "a.csv"}), pb.ImportFileRequest()], "chunk"),
        ([pb.ImportFileRequest(options={"file_name": "a.csv", "request_id": "r" * 257})], "request_id"),
    ],
)
def test_bad_imports_are_named(
    channel: grpc.Channel, shop: Standin, messages: list[pb.ImportFileRequest], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(InteractionServiceStub(channel).ImportFile(iter(messages)))
    error = from_call(caught.value, "here")
    assert isinstance(error, InvalidInput)
    assert [violation.field for violation in error.violations] == [field]
    assert not shop.seen
    until(lambda: not scratch(shop, "uploads"))


def test_a_file_that_is_too_large_is_refused(shop: Standin, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    with serve(shop, max_upload_mb=1) as server, connect(server.address) as client:
        file.write_bytes(b"x" * (1 << 20))
        assert client.identify.import_file(file).rows == 1
        shop.seen.clear()
        file.write_bytes(b"x" * ((1 << 20) + 1))
        with pytest.raises(InvalidInput, match=r"chunk: goes beyond 1 MiB, the largest file taken \(max_upload_mb\)"):
            client.identify.import_file(file)
        assert not shop.seen
        until(lambda: not scratch(shop, "uploads"))


def test_a_file_that_would_fill_the_disk_is_refused(
    client: Client, shop: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sales.csv"
    file.write_bytes(b"a\n")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=256 << 20))
    with pytest.raises(
        StoreUnwritable, match="has 256 MiB left, and 256 MiB are kept for the store; free some space there"
    ):
        client.identify.import_file(file)
    assert not shop.seen
    until(lambda: not scratch(shop, "uploads"))


@pytest.mark.parametrize("name", ["/etc/passwd.csv", "..\\..\\passwd.csv", "../passwd.csv"])
def test_folders_in_a_file_name_are_ignored(channel: grpc.Channel, shop: Standin, name: str) -> None:
    messages = [pb.ImportFileRequest(options={"file_name": name}), pb.ImportFileRequest(chunk=b"a\n")]
    *_, last = InteractionServiceStub(channel).ImportFile(iter(messages))
    assert last.report.source == "passwd.csv"


def test_an_upload_that_breaks_off_is_thrown_away(channel: grpc.Channel, server: Server, shop: Standin) -> None:
    go_on = threading.Event()

    def messages() -> Iterator[pb.ImportFileRequest]:
        yield pb.ImportFileRequest(options={"file_name": "a.csv"})
        yield pb.ImportFileRequest(chunk=b"x" * 2_000_000)
        go_on.wait(10)

    call = InteractionServiceStub(channel).ImportFile(messages())
    until(lambda: bool(scratch(shop, "uploads")))
    call.cancel()
    go_on.set()
    until(lambda: server.running == 0)
    until(lambda: not scratch(shop, "uploads"))
    assert not shop.seen


def test_an_import_goes_on_without_its_caller_and_a_repeat_joins_it(channel: grpc.Channel, shop: Standin) -> None:
    shop.hold.clear()
    messages = [
        pb.ImportFileRequest(options={"file_name": "a.csv", "request_id": "r1"}),
        pb.ImportFileRequest(chunk=b"a\nb\n"),
    ]
    stub = InteractionServiceStub(channel)
    call = stub.ImportFile(iter(messages))
    assert next(call).progress.step == "import"
    call.cancel()
    again = stub.ImportFile(iter(messages))
    assert next(again).HasField("progress")
    shop.hold.set()
    *_, last = again
    assert last.report.row_count == 2
    *_, last = stub.ImportFile(iter(messages))
    assert last.report.row_count == 2
    assert len(shop.seen) == 1
    until(lambda: not scratch(shop, "uploads"))


def test_fit_tells_its_progress(client: Client, shop: Standin) -> None:
    told: list[Progress] = []
    shop.hold.clear()

    def tell(progress: Progress) -> None:
        told.append(progress)
        if progress.step == "fit held":
            shop.hold.set()

    report = client.fit(progress=tell)
    assert report.generation == 1
    assert (report.failed, report.seconds) == ({"broken": "no score"}, 0.125)
    assert [one.step for one in told][-1] == "fit"
    assert "fit held" in [one.step for one in told]


def test_an_evaluation_comes_whole(client: Client, shop: Standin) -> None:
    told: list[Progress] = []
    asked: dict[str, Any] = {"days": 7.5, "end": NOON, "min_buyers": 3, "most_customers": 50, "seed": 9}
    report = client.customize.evaluate(["popularity", "repeat"], **asked, progress=told.append)
    assert report == shop.customize.evaluate(["popularity", "repeat"], **asked)
    assert shop.seen[0] == ("evaluate", ("popularity", "repeat"), *asked.values())
    assert [one.step for one in told][-1] == "evaluate"
    shop.seen.clear()
    assert client.customize.evaluate().begin is None
    assert [seen[2:] for seen in shop.seen] == [(28.0, None, 1, 2_000, 1)]


def test_a_repeated_fit_joins_or_is_answered(channel: grpc.Channel, shop: Standin) -> None:
    stub = AdminServiceStub(channel)
    shop.hold.clear()
    first, second = stub.Fit(admin_pb.FitRequest(request_id="r")), stub.Fit(admin_pb.FitRequest(request_id="r"))
    assert next(first).HasField("progress")
    assert next(second).HasField("progress")
    shop.hold.set()
    third = stub.Fit(admin_pb.FitRequest(request_id="r"))
    assert {[*call][-1].report.generation for call in (first, second, third)} == {1}
    assert [*stub.Fit(admin_pb.FitRequest())][-1].report.generation == 2


def test_calls_are_answered_while_a_fit_runs(client: Client, channel: grpc.Channel, shop: Standin) -> None:
    shop.hold.clear()
    fits = [AdminServiceStub(channel).Fit(admin_pb.FitRequest()) for _ in range(4)]
    assert shop.began.wait(10)
    assert client.admin.status().sequence == 42
    assert client.recommend("ann").customer_id == "ann"
    shop.hold.set()
    assert {[*call][-1].report.generation for call in fits} == {1, 2, 3, 4}


def test_snapshot_arrives_whole(client: Client, shop: Standin, tmp_path: Path) -> None:
    path = tmp_path / "copy.duckdb"
    told: list[Progress] = []
    snapshot = client.admin.snapshot(path, progress=told.append)
    assert path.read_bytes() == b"duckdb" * 500_000
    assert (snapshot.path, snapshot.bytes, snapshot.sequence, snapshot.seconds) == (str(path), 3_000_000, 42, 0.5)
    assert told[-1] == Progress("snapshot", 2, 2)
    assert [file.name for file in tmp_path.glob("copy*")] == ["copy.duckdb"]
    until(lambda: not scratch(shop, "tmp"))
    with pytest.raises(Conflict, match="exists already; give the path of a new file"):
        client.admin.snapshot(path)
    with pytest.raises(StoreUnwritable, match="cannot be written"):
        client.admin.snapshot(tmp_path / "nosuch" / "copy.duckdb")


def test_a_snapshot_that_fails_leaves_nothing(client: Client, shop: Standin, tmp_path: Path) -> None:
    shop.fail = StoreUnwritable("the disk is full")
    with pytest.raises(StoreUnwritable, match="the disk is full"):
        client.admin.snapshot(tmp_path / "copy.duckdb")
    assert not list(tmp_path.glob("copy*"))
    until(lambda: not scratch(shop, "tmp"))


def test_a_snapshot_that_nobody_waits_for_is_thrown_away(channel: grpc.Channel, server: Server, shop: Standin) -> None:
    shop.hold.clear()
    call = AdminServiceStub(channel).CreateSnapshot(admin_pb.CreateSnapshotRequest())
    assert next(call).HasField("progress")
    call.cancel()
    until(lambda: server.running == 0)
    assert scratch(shop, "tmp")
    shop.hold.set()
    until(lambda: not scratch(shop, "tmp"))
