"""Backups: the same store by count and checksum, as of one commit; damage is found; nothing is left behind."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from visavis.config import load_settings
from visavis.errors import Conflict, NotAStore, NotFound, StoreDamaged, StoreError, StoreTooNew, StoreUnwritable
from visavis.model import Progress
from visavis.store import Operation, Store, Transaction, copying
from visavis.store.backup import verify_backup, write_backup
from visavis.store.doctor import examine
from visavis.store.snapshot import write_snapshot

SETTINGS = load_settings({"linger_ms": 0}, environ={})
ROWS = 7


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "it's a shop"
    folder.mkdir()
    with Store.open(folder / "my 'ünïcode\" shop.duckdb", SETTINGS) as opened:
        yield opened


def add(transaction: Transaction) -> None:
    transaction.cursor.execute(
        "INSERT INTO customers SELECT range + $1 * 7, 'c' || (range + $1 * 7), NULL, '{\"ü\": 1}', now(), now() "
        "FROM range(7)",
        [transaction.sequence],
    )
    transaction.cursor.execute("INSERT INTO requests VALUES (?, 'm', 'f', '{}', now())", [f"r{transaction.sequence}"])
    transaction.cursor.execute(
        "INSERT INTO identities SELECT range, 'email', md5(($1 + range)::VARCHAR), now() FROM range(3000)",
        [transaction.sequence],
    )
    transaction.cursor.execute(
        "INSERT INTO generation_arrays VALUES (1, 'scorer', 's', 'a', '<i4', '[2]', 0, '\\x00\\xFF'::BLOB)"
    )


def commit(store: Store, times: int = 1) -> None:
    for _ in range(times):
        store.writer.run(Operation(add, exclusive=True))


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Every row of every table of the store."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND database_name = current_database()"
    ).fetchall()
    return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_the_store(store: Store, tmp_path: Path) -> None:
    commit(store, 3)
    store.writer.run(Operation(lambda tx: tx.cursor.execute("UPDATE store_state SET muted = false")))
    path = tmp_path / "a 'backup\" ü.duckdb"
    made = write_backup(store, path)
    assert (made.path, made.bytes, made.sequence) == (str(path), path.stat().st_size, 5)
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == sorted(["it's a shop", path.name])
    with store.cursor() as cursor, duckdb.connect(str(path), read_only=True) as connection:
        here = tables(cursor)
        assert tables(connection) == here
        assert here["store_state"][0][:3] == (store.mark.store_id, 1, 5)
        assert here["store_state"][0][5] is False
        assert [row[1:] for row in here["snapshots"]] == [(str(path), 5)]
        views = "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        assert connection.execute(views).fetchall() == cursor.execute(views).fetchall()
    manifest = verify_backup(path)
    assert manifest.mark == store.mark
    assert manifest.by_checksum
    assert manifest.rows == {name: len(rows) for name, rows in here.items()}
    assert made.rows == sum(manifest.rows.values())


def test_beside_a_busy_writer_it_holds_whole_commits(store: Store, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            commit(store)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [write_backup(store, tmp_path / f"{number}.duckdb") for number in range(4)]
    finally:
        done.set()
        writer.join()
    for one in made:
        manifest = verify_backup(Path(one.path))
        assert manifest.mark.sequence == one.sequence
        # Commits are the customers' and one for each backup.
        assert manifest.rows["customers"] == ROWS * (one.sequence - manifest.rows["snapshots"])
        assert manifest.rows["requests"] == one.sequence - manifest.rows["snapshots"]


def test_a_backup_is_not_opened_as_a_store(store: Store, tmp_path: Path) -> None:
    """It would be written to, and no longer be what its manifest says."""
    commit(store)
    path = tmp_path / "backup.duckdb"
    write_backup(store, path)
    before = path.read_bytes()
    with pytest.raises(NotAStore, match=f"visavis restore {path} --data NEW_FILE"):
        Store.open(path, SETTINGS)
    assert path.read_bytes() == before
    assert verify_backup(path).rows["customers"] == ROWS
    (finding,) = [one for one in examine(load_settings({"data": str(path)}, environ={})) if one.level == "error"]
    assert (finding.what, finding.detail) == ("file", "is a backup, not a store")


def test_a_store_is_no_backup_and_keeps_its_log(store: Store) -> None:
    commit(store)
    with pytest.raises(Conflict, match="is a store, not a backup: leave its log where it is"):
        verify_backup(store.path)


def test_places_that_are_taken_or_missing(store: Store, tmp_path: Path) -> None:
    taken = tmp_path / "taken.duckdb"
    taken.write_text("mine")
    with pytest.raises(Conflict, match="a backup overwrites nothing"):
        write_backup(store, taken)
    with pytest.raises(Conflict, match="is the store itself"):
        write_backup(store, store.path)
    with pytest.raises(StoreUnwritable, match="missing does not exist"):
        write_backup(store, tmp_path / "missing" / "b.duckdb")
    assert taken.read_text() == "mine"
    assert store.mark.sequence == 0


class StopError(Exception):
    pass


@pytest.mark.parametrize("step", ["copy", "verify"])
def test_what_is_broken_off_leaves_nothing(store: Store, tmp_path: Path, step: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise StopError

    with pytest.raises(StopError):
        write_backup(store, tmp_path / "b.duckdb", stop)
    assert names(tmp_path) == ["it's a shop"]


def test_a_store_that_takes_no_more_writes_can_be_saved(store: Store, tmp_path: Path) -> None:
    commit(store, 2)
    store.writer.stop(StoreError("the disk is in doubt"))
    made = write_backup(store, tmp_path / "b.duckdb")
    assert made.sequence == 2
    assert verify_backup(tmp_path / "b.duckdb").rows["snapshots"] == 0


def test_one_that_does_not_read_back_is_thrown_away(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, 2)
    copy = copying.copy_tables

    def lose_a_row(cursor: Any, name: str, alias: str, *rest: Any) -> int:
        rows = copy(cursor, name, alias, *rest)
        cursor.execute(f"DELETE FROM {alias}.main.customers WHERE customer_code = 8")
        return rows

    monkeypatch.setattr(copying, "copy_tables", lose_a_row)
    with pytest.raises(StoreError, match=r"does not read back .*customers holds 13 rows, and 14 were copied"):
        write_backup(store, tmp_path / "b.duckdb")
    assert names(tmp_path) == ["it's a shop"]


@pytest.fixture
def written(store: Store, tmp_path: Path) -> Path:
    commit(store, 9)
    write_backup(store, tmp_path / "b.duckdb")
    return tmp_path / "b.duckdb"


def test_damage_is_found(written: Path) -> None:
    """Bits at random places, and lost ends. What no table uses may be wrong: all that was copied is there then."""
    whole = written.read_bytes()
    chance = random.Random(3)
    told: list[str] = []
    for _ in range(60):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        written.write_bytes(content)
        try:
            rows = verify_backup(written).rows
        except StoreError as error:
            told.append(error.message)
        else:
            assert rows["customers"] == 9 * ROWS
    assert len(told) > 10
    assert all(str(written) in line and "\n" not in line for line in told)
    for size in (0, 8, 100, 4096, 12288, len(whole) // 2, len(whole) - 262144, len(whole) - 1):
        written.write_bytes(whole[:size])
        with pytest.raises((StoreDamaged, NotAStore), match=r"b\.duckdb"):
            verify_backup(written)
    written.write_bytes(whole)
    verify_backup(written)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE customers SET customer_id = 'another' WHERE customer_code = 7", "customers holds other rows"),
        ("DELETE FROM requests WHERE request_id = 'r1'", "requests holds 8 rows, and 9 were copied"),
        ("INSERT INTO requests SELECT * FROM requests", "requests holds 18 rows"),
        ("DROP TABLE snapshots CASCADE", "lacks tables"),
        ("CREATE TABLE more (a INTEGER)", "lacks tables"),
        ("UPDATE store_state SET sequence = 1", "store_state holds other rows"),
        ("DELETE FROM visavis_backup.manifest", "manifest"),
        ("DROP TABLE visavis_backup.contents", "not as it was made"),
        ("ALTER TABLE visavis_backup.manifest DROP COLUMN hash_probe", "not as it was made"),
        ("UPDATE visavis_backup.contents SET checksum = '0' WHERE table_name = 'kinds'", None),
    ],
)
def test_other_rows_are_found(written: Path, change: str, told: str | None) -> None:
    with duckdb.connect(str(written)) as connection:
        connection.execute(change)
    if told is None:
        assert verify_backup(written).rows["kinds"] == 0
        return
    with pytest.raises(StoreDamaged, match=told):
        verify_backup(written)


def test_what_another_version_made(written: Path) -> None:
    def change(sql: str) -> None:
        with duckdb.connect(str(written)) as connection:
            connection.execute(sql)

    change("UPDATE visavis_backup.manifest SET hash_probe = 'as another DuckDB hashes', duckdb = '9.9'")
    assert verify_backup(written).by_checksum is False
    change("DELETE FROM requests WHERE request_id = 'r1'")
    with pytest.raises(StoreDamaged, match="requests holds 8 rows"):
        verify_backup(written)
    change("INSERT INTO migrations VALUES (99, 'later', now(), '9.9')")
    with pytest.raises(StoreTooNew, match="install that version, or a later one"):
        verify_backup(written)


def test_what_is_no_backup(store: Store, written: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        verify_backup(tmp_path / "nowhere.duckdb")
    with pytest.raises(NotFound, match="is not a file"):
        verify_backup(tmp_path)
    (tmp_path / "sales.csv").write_text("customer,item\n" * 10)
    with pytest.raises(NotAStore, match="is no backup: it is not a DuckDB file"):
        verify_backup(tmp_path / "sales.csv")
    write_snapshot(store, tmp_path / "snapshot.duckdb")
    with pytest.raises(NotAStore, match="it has no manifest"):
        verify_backup(tmp_path / "snapshot.duckdb")
    written.with_name("b.duckdb.wal").write_bytes(b"")
    with pytest.raises(Conflict, match="move it away first"):
        verify_backup(written)
