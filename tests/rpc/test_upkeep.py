"""Backups and compactions through a real port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.standin import Standin, until

import visavis
from visavis import Interaction
from visavis.api.v1 import admin_service_pb2 as pb
from visavis.api.v1.admin_service_pb2_grpc import AdminServiceStub
from visavis.client import Client, connect
from visavis.engine import Engine
from visavis.errors import Conflict, StoreDamaged, StoreInUse, StoreUnwritable
from visavis.model import Progress
from visavis.rpc.errors import from_call
from visavis.rpc.server import Server
from visavis.store.backup import verify_backup
from visavis.store.restore import restore_backup
from visavis.testing.server import serve
from visavis.upkeep import Compaction


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with visavis.open(tmp_path / "shop.duckdb") as engine:
        yield engine


@pytest.fixture
def served(engine: Engine) -> Iterator[Client]:
    with serve(engine) as server, connect(server.address) as client:
        yield client


def record(shop: Any, name: str, count: int = 50) -> None:
    rows = [Interaction("purchase", f"c{k % 7}", f"i{k % 9}", interaction_id=f"{name}-{k}") for k in range(count)]
    assert shop.identify.record(rows).recorded == count


@pytest.mark.parametrize("copy", ["backup", "snapshot"])
def test_a_copy_does_not_follow_what_was_planted(client: Client, copy: str, tmp_path: Path) -> None:
    take = getattr(client.admin, copy)
    target, path, partial = tmp_path / "target", tmp_path / "b.duckdb", tmp_path / "b.duckdb.partial"
    for plant in (partial.symlink_to, partial.hardlink_to):
        target.write_text("theirs")
        plant(target)
        take(path)
        assert target.read_text() == "theirs"
        assert not path.is_symlink()
        assert (path.stat().st_nlink, path.stat().st_mode & 0o777) == (1, 0o600)
        path.unlink()
    partial.write_text("old")
    partial.chmod(0o666)  # whoever made it could keep it open and read what comes
    take(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "nothing")
    with pytest.raises(Conflict):
        take(path)
    partial.mkdir()
    path.unlink()
    with pytest.raises(StoreUnwritable):
        take(path)


def test_a_backup_arrives_whole(client: Client, shop: Standin, tmp_path: Path) -> None:
    path = tmp_path / "b.duckdb"
    told: list[Progress] = []
    backup = client.admin.backup(path, progress=told.append)
    assert path.read_bytes() == b"backup" * 500_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert (backup.path, backup.bytes, backup.sequence, backup.rows, backup.seconds) == (
        str(path), 3_000_000, 43, 44, 0.25
    )  # fmt: skip
    assert told[-1] == Progress("backup", 2, 2)
    client.admin.snapshot(tmp_path / "s.duckdb")
    assert (tmp_path / "s.duckdb").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict):
        client.admin.backup(path)
    with pytest.raises(StoreUnwritable):
        client.admin.backup(tmp_path / "nosuch" / "b.duckdb")


def test_a_backup_that_fails_leaves_nothing(client: Client, shop: Standin, tmp_path: Path) -> None:
    shop.fail = StoreDamaged("block 7 cannot be read")
    with pytest.raises(StoreDamaged, match="block 7"):
        client.admin.backup(tmp_path / "b.duckdb")
    assert list(tmp_path.glob("b.duckdb*")) == []


def test_a_compaction_is_told_to_its_end(client: Client) -> None:
    told: list[Progress] = []
    report = client.admin.compact(progress=told.append)
    assert report == Compaction(5_000_000_000, 4_000_000_000, 6_000_000_000, 2.5, 0.125)
    assert told[-1] == Progress("compact", 2, 2)


def test_a_compaction_goes_on_without_its_caller(channel: grpc.Channel, server: Server, shop: Standin) -> None:
    shop.hold.clear()
    stub = AdminServiceStub(channel)
    call = stub.CompactStore(pb.CompactStoreRequest(request_id="tonight"))
    assert next(call).HasField("progress")
    call.cancel()
    until(lambda: server.running == 0)
    shop.hold.set()
    answers = list(stub.CompactStore(pb.CompactStoreRequest(request_id="tonight")))
    assert answers[-1].report.row_count == 6_000_000_000
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.CompactStore(pb.CompactStoreRequest(request_id="a\nb")))
    assert "request_id" in from_call(caught.value, "here").message


def test_a_backup_of_a_server_is_the_store(served: Client, engine: Engine, tmp_path: Path) -> None:
    record(served, "first")
    served.fit()
    path = tmp_path / "b.duckdb"
    backup = served.admin.backup(path)
    manifest = verify_backup(path)
    assert (backup.bytes, backup.sequence, backup.rows) == (
        path.stat().st_size, engine.store.mark.sequence, sum(manifest.rows.values())
    )  # fmt: skip
    assert manifest.mark == engine.store.mark
    with engine.store.cursor() as cursor:
        assert cursor.execute("SELECT path FROM snapshots").fetchall() == [("sent to a client",)]
    with pytest.raises(StoreInUse):
        restore_backup(path, engine.store.path, replace=True)
    restore_backup(path, tmp_path / "new.duckdb")
    with visavis.open(tmp_path / "new.duckdb", create=False) as again:
        record(again, "second")
        assert [item.item_id for item in again.recommend("c1").items] == [
            item.item_id for item in served.recommend("c1").items
        ]


def test_a_server_compacts_while_it_serves(served: Client, engine: Engine) -> None:
    record(served, "first")
    served.fit()
    done = threading.Event()
    failed: list[BaseException] = []
    counts = [0, 0]

    def work(place: int) -> None:
        try:
            while not done.is_set():
                if place:
                    assert served.recommend("c1", 3).items
                    served.admin.status()
                else:
                    record(served, f"w{counts[0]}", 3)
                counts[place] += 1
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        reports = [served.admin.compact() for _ in range(3)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert min(counts) > 0
    assert [report.bytes_after for report in reports][-1] <= engine.store.path.stat().st_size
    assert served.admin.status().interactions == 50 + 3 * counts[0]
    # What was recorded before, and during, is still known.
    rows = [Interaction("purchase", "c0", "i0", interaction_id=name) for name in ("first-0", "w0-1")]
    assert served.identify.record(rows).already_known == 2


def test_one_compaction_at_a_time(served: Client, engine: Engine) -> None:
    with engine.store.compacting, pytest.raises(Conflict, match="wait until it ends") as caught:
        served.admin.compact()
    assert caught.value.reason == "COMPACTION_RUNNING"
