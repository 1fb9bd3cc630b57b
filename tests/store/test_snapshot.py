"""A snapshot beside a running writer: whole commits, a store of its own, nothing left behind on failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from visavis.config import load_settings
from visavis.errors import Conflict, InvalidInput, StoreError, StoreUnwritable
from visavis.model import Progress
from visavis.store import Operation, Store, Transaction
from visavis.store.snapshot import write_snapshot

SETTINGS = load_settings({}, environ={})
ROWS = 7


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "it's a shop"
    folder.mkdir()
    with Store.open(folder / "my 'ünïcode\" shop.duckdb", SETTINGS) as opened:
        yield opened


def add_customers(transaction: Transaction) -> None:
    transaction.cursor.execute(
        "INSERT INTO customers SELECT range + ? * 7, 'c' || (range + ? * 7), NULL, NULL, now(), now() FROM range(7)",
        [transaction.sequence, transaction.sequence],
    )


def commit(store: Store, times: int = 1) -> None:
    for _ in range(times):
        store.writer.run(Operation(add_customers, exclusive=True))


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_is_a_muted_store_of_its_own(store: Store, tmp_path: Path) -> None:
    commit(store, 3)
    path = tmp_path / "a 'copy\" ü.duckdb"
    snapshot = write_snapshot(store, path)
    assert (snapshot.path, snapshot.bytes, snapshot.sequence) == (str(path), path.stat().st_size, 3)
    assert names(tmp_path) == sorted(["it's a shop", path.name])
    ((store_id, of, muted, sequence),) = read(path, "SELECT store_id, snapshot_of, muted, sequence FROM store_state")
    assert (of, muted, sequence) == (store.mark.store_id, True, 3)
    assert store_id != store.mark.store_id
    with store.cursor() as cursor:
        assert cursor.execute("SELECT path, sequence FROM snapshots").fetchall() == [(str(path), 3)]
        assert cursor.execute("SELECT snapshot_of FROM store_state").fetchall() == [(None,)]
        assert [row[1] for row in cursor.execute("PRAGMA database_list").fetchall()] == [store.path.stem]
    with Store.open(path, SETTINGS, create=False) as copy:
        assert copy.mark.store_id == store_id
        commit(copy)
    commit(store)


def test_a_snapshot_is_for_its_owner_only(store: Store, tmp_path: Path) -> None:
    """From its first byte on: who opened it while it was open to all would read what comes later."""
    seen: set[int] = set()
    partial = tmp_path / "copy.duckdb.partial"
    write_snapshot(store, tmp_path / "copy.duckdb", lambda _: seen.add(partial.stat().st_mode & 0o777))
    assert seen == {0o600}
    assert (tmp_path / "copy.duckdb").stat().st_mode & 0o777 == 0o600
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_plain_duckdb_reads_every_table_and_view(store: Store, tmp_path: Path) -> None:
    commit(store, 2)
    path = tmp_path / "copy.duckdb"
    write_snapshot(store, path)
    kinds = "SELECT table_type, table_name FROM information_schema.tables ORDER BY ALL"
    with store.cursor() as cursor:
        expected = cursor.execute(kinds).fetchall()
        counts = {
            name: cursor.execute(f'SELECT count(*) FROM "{name}"').fetchall()
            for _, name in expected
            if name != "snapshots"
        }
    assert read(path, kinds) == expected
    assert len([kind for kind, _ in expected if kind == "VIEW"]) >= 5
    assert counts["customers"] == counts["customer_profiles"] == [(2 * ROWS,)]
    for name, count in counts.items():
        assert read(path, f'SELECT count(*) FROM "{name}"') == count


def test_a_snapshot_beside_a_busy_writer_holds_whole_commits(store: Store, tmp_path: Path) -> None:
    commit(store)
    done = threading.Event()

    def keep_writing() -> None:
        while not done.is_set():
            commit(store)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        snapshots = [write_snapshot(store, tmp_path / f"{number}.duckdb") for number in range(4)]
    finally:
        done.set()
        writer.join()
    for snapshot in snapshots:
        path = Path(snapshot.path)
        ((sequence,),) = read(path, "SELECT sequence FROM store_state")
        assert sequence == snapshot.sequence
        # Commits are the customers' and one more for each snapshot recorded before.
        ((recorded,),) = read(path, "SELECT count(*) FROM snapshots")
        assert read(path, "SELECT count(*), count(DISTINCT customer_code) FROM customers") == [
            (ROWS * (sequence - recorded),) * 2
        ]
    assert [snapshot.sequence for snapshot in snapshots] == sorted({snapshot.sequence for snapshot in snapshots})
    assert store.mark.sequence > snapshots[-1].sequence


def test_a_name_that_duckdb_would_take_for_another_kind_of_database(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_snapshot(store, Path("sqlite:copy.duckdb"))
    assert read(tmp_path / "sqlite:copy.duckdb", "SELECT sequence FROM store_state") == [(0,)]


def test_progress_counts_rows_to_the_end(store: Store, tmp_path: Path) -> None:
    commit(store, 3)
    heard: list[Progress] = []
    write_snapshot(store, tmp_path / "copy.duckdb", heard.append)
    done = [progress.done for progress in heard]
    assert done == sorted(done)
    assert heard[-1].done == heard[-1].total >= 3 * ROWS
    assert {progress.step for progress in heard} == {"copy"}


def test_taken_and_missing_places_are_refused(store: Store, tmp_path: Path) -> None:
    taken = tmp_path / "taken.duckdb"
    taken.write_text("mine")
    with pytest.raises(Conflict, match=r"taken\.duckdb exists"):
        write_snapshot(store, taken)
    assert taken.read_text() == "mine"
    with pytest.raises(Conflict, match="is the store itself"):
        write_snapshot(store, store.path.parent / ".." / store.path.parent.name / store.path.name)
    with pytest.raises(StoreUnwritable, match="missing does not exist"):
        write_snapshot(store, tmp_path / "missing" / "copy.duckdb")
    (tmp_path / "free.duckdb.wal").write_text("old log")
    with pytest.raises(Conflict, match=r"free\.duckdb\.wal is the log of another file"):
        write_snapshot(store, tmp_path / "free.duckdb")
    (tmp_path / "broken.duckdb.partial").write_text("half")
    with pytest.raises(Conflict, match=r"broken\.duckdb\.partial is left over"):
        write_snapshot(store, tmp_path / "broken.duckdb")
    (tmp_path / "dangling.duckdb").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict, match=r"dangling\.duckdb exists"):
        write_snapshot(store, tmp_path / "dangling.duckdb")
    with store.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM snapshots").fetchall() == [(0,)]


class StopError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 3])
def test_a_copy_that_is_broken_off_leaves_nothing(store: Store, tmp_path: Path, after: int) -> None:
    commit(store)
    path = tmp_path / "copy.duckdb"
    calls = 0

    def stop(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise StopError

    with pytest.raises(StopError):
        write_snapshot(store, path, stop)
    assert names(tmp_path) == ["it's a shop"]
    commit(store)
    assert write_snapshot(store, path).sequence == 2


def test_a_path_that_appears_meanwhile_is_kept(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy.duckdb"

    def take_the_name(_: Progress) -> None:
        path.write_text("theirs")

    with pytest.raises(Conflict, match="made by somebody else meanwhile"):
        write_snapshot(store, path, take_the_name)
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["copy.duckdb", "it's a shop"]


@pytest.mark.parametrize("name", ["", ".", "a\0b"])
def test_what_is_no_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"path: is .*; name a new file"):
        write_snapshot(store, Path(name))


def test_a_name_that_the_file_system_refuses(store: Store, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    with pytest.raises(StoreError, match="xxx") as caught:
        write_snapshot(store, path)
    assert "\n" not in caught.value.message
    assert names(tmp_path) == ["it's a shop"]
