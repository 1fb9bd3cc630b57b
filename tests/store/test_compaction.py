"""The file written anew under load: smaller, nothing lost, nothing left behind. `tests/soak/upkeep.py` kills it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from visavis.config import load_settings
from visavis.errors import Conflict, StoreError, StoreUnwritable, Unavailable, VisavisError
from visavis.model import Progress
from visavis.store import Operation, Store, Transaction, compaction
from visavis.store.compaction import COPIED_AHEAD, compact

SETTINGS = load_settings({"linger_ms": 0}, environ={})
FRAMEWORK = Path(compaction.__file__).resolve().parents[1]
ROWS = 50


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "it's a shop"
    folder.mkdir()
    with Store.open(folder / "my 'ünïcode\" shop.duckdb", SETTINGS) as opened:
        yield opened


def add(transaction: Transaction, rows: int = ROWS) -> int:
    """Interactions, their decisions and a request, all named after the commit."""
    first = transaction.sequence * 1000
    transaction.cursor.execute(
        "INSERT INTO interactions (sequence, interaction_id, id_hash, identity_code, item_code, kind_code, "
        "occurred_at, quantity, recorded_at) SELECT $1, 'i' || ($2 + range), hash(range), 0, 0, 0, now(), 1, now() "
        "FROM range($3)",
        [transaction.sequence, first, rows],
    )
    transaction.cursor.execute(
        "INSERT INTO decisions SELECT 'd' || ($1 + range), now(), 0, 's', NULL, 0 FROM range($2)", [first, rows]
    )
    transaction.cursor.execute("INSERT INTO requests VALUES (?, 'm', 'f', '{}', now())", [f"r{first}"])
    transaction.cursor.execute("DELETE FROM items")
    transaction.cursor.execute(
        "INSERT INTO items (item_code, item_id, available, created_at, updated_at) VALUES (0, ?, true, now(), now())",
        [f"item{first}"],
    )
    return transaction.sequence


def commit(store: Store, times: int = 1) -> None:
    for _ in range(times):
        store.writer.run(Operation(add))


def contents(store: Store) -> dict[str, Any]:
    """Rows and a checksum of every table, and the names of the views."""
    with store.cursor() as cursor:
        names = cursor.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"
        ).fetchall()
        found: dict[str, Any] = {
            f"{schema}.{name}": cursor.execute(
                f'SELECT count(*), sum(hash("a row")) FROM "{schema}"."{name}" "a row"'
            ).fetchall()
            for schema, name in names
        }
        found["views"] = cursor.execute(
            "SELECT table_schema, table_name, column_name, data_type FROM duckdb_views() v JOIN "
            "information_schema.columns c ON c.table_schema = v.schema_name AND c.table_name = v.view_name "
            "WHERE NOT v.internal ORDER BY ALL"
        ).fetchall()
        return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".wal"))


def test_the_file_is_small_again_and_holds_the_same(store: Store) -> None:
    commit(store, 3)
    with store.cursor() as cursor:
        cursor.execute("CREATE SCHEMA mine; CREATE TABLE mine.notes AS SELECT range AS rowid FROM range(10)")
        cursor.execute("CREATE VIEW mine.shown AS SELECT * FROM mine.notes")
        cursor.execute("CREATE TABLE decoy AS SELECT range, md5(range::VARCHAR) AS m FROM range(300_000)")
        cursor.execute("CHECKPOINT")
        cursor.execute("DELETE FROM decoy WHERE range > 5")
        cursor.execute("CHECKPOINT")
    store.path.chmod(0o640)
    before, size, mark = contents(store), store.path.stat().st_size, store.mark
    report = compact(store)
    assert contents(store) == before
    assert store.mark == mark
    assert (report.bytes_before, report.bytes_after) == (size, store.path.stat().st_size)
    assert report.bytes_after < report.bytes_before
    assert report.rows == sum(value[0][0] for name, value in before.items() if name != "views")
    assert 0 < report.pause_seconds <= report.seconds
    assert store.path.stat().st_mode & 0o777 == 0o640
    assert names(store.path.parent) == [store.path.name, f"{store.path.name}.d"]
    commit(store)
    with pytest.raises(AssertionError):
        assert contents(store) == before
    path, mark = store.path, store.mark
    store.close()
    with Store.open(path, SETTINGS) as again:
        assert again.mark == mark
        assert again.warnings == ()


def test_interactions_stay_in_the_order_of_their_commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "CHUNK_ROWS", 64)
    commit(store, 4)
    compact(store)
    commit(store, 2)
    compact(store)
    with store.cursor() as cursor:
        rows = cursor.execute("SELECT sequence, interaction_id FROM interactions ORDER BY rowid").fetchall()
    assert rows == [(n, f"i{n * 1000 + row}") for n in range(1, 7) for row in range(ROWS)]


def test_beside_writers_and_readers_nothing_is_lost(store: Store) -> None:
    commit(store, 2)
    done = threading.Event()
    acknowledged: list[int] = []
    read: list[int] = []
    failed: list[BaseException] = []

    def work(one: Any) -> None:
        try:
            while not done.is_set():
                one()
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    def write() -> None:
        acknowledged.append(store.writer.run(Operation(add)))

    def look() -> None:
        known = len(acknowledged)
        with store.cursor() as cursor:
            read.append(int(cursor.execute("SELECT count(*) FROM interactions").fetchall()[0][0]))
        assert read[-1] >= known * ROWS

    threads = [threading.Thread(target=work, args=(one,)) for one in (write, write, look)]
    for thread in threads:
        thread.start()
    try:
        reports = [compact(store) for _ in range(4)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert all(report.rows for report in reports)
    sequences = sorted({*acknowledged, 1, 2})  # two writers may share a commit
    with store.cursor() as cursor:
        found = cursor.execute("SELECT DISTINCT sequence FROM interactions ORDER BY 1").fetchall()
        ((rows, decisions),) = cursor.execute(
            "SELECT (SELECT count(*) FROM interactions), (SELECT count(*) FROM decisions)"
        ).fetchall()
    assert [one for (one,) in found] == sequences
    assert rows == decisions == ROWS * (len(acknowledged) + 2)
    assert store.mark.sequence == sequences[-1]


@pytest.mark.parametrize("deleted", ["sequence <= 2", "sequence = 3", "sequence >= 5", "true"])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_rows_that_go_while_they_are_copied(
    store: Store, monkeypatch: pytest.MonkeyPatch, deleted: str, checkpoint: bool
) -> None:
    monkeypatch.setattr(compaction, "CHUNK_ROWS", 64)
    commit(store, 8)
    gone = False

    def delete(progress: Progress) -> None:
        nonlocal gone
        if progress.step == "copy" and progress.done >= 300 and not gone:
            gone = True
            store.writer.run(
                Operation(lambda tx: tx.cursor.execute(f"DELETE FROM interactions WHERE {deleted}").fetchall())
            )
            commit(store, 3)
            if checkpoint:
                # Only one that puts off nothing moves rows up into the place of deleted ones.
                store.writer.pause(lambda: _checkpoint(store))

    compact(store, delete)
    assert gone
    with store.cursor() as cursor:
        rows = cursor.execute("SELECT interaction_id FROM interactions").fetchall()
        kept = cursor.execute(f"SELECT count(*) FROM interactions WHERE sequence <= 8 AND ({deleted})").fetchall()
    left = {"sequence <= 2": 6, "sequence = 3": 7, "sequence >= 5": 4, "true": 0}[deleted]
    assert kept == [(0,)]
    assert len(rows) == len(set(rows)) == ROWS * (left + 3)


def _checkpoint(store: Store) -> None:
    cursor = store.database.own_cursor()
    cursor.execute("CHECKPOINT")
    cursor.close()


def test_it_waits_for_who_reads_and_writes_in_turn(store: Store) -> None:
    """As an import does: a cursor for minutes, and writes in between. Neither waits for the other for ever."""
    commit(store)
    began, waiting = threading.Event(), threading.Event()
    written: list[int] = []

    def import_() -> None:
        with store.cursor() as cursor:
            cursor.execute("SELECT 1")
            began.set()
            assert waiting.wait(30)
            for _ in range(20):
                written.append(store.writer.run(Operation(add)))
                with store.cursor() as inner:
                    inner.execute("SELECT 1")
                time.sleep(0.01)

    thread = threading.Thread(target=import_)
    thread.start()
    assert began.wait(30)
    told: list[str] = []

    def hear(progress: Progress) -> None:
        told.append(progress.step)
        if progress.step == "wait":
            waiting.set()

    compact(store, hear)
    thread.join()
    assert "wait" in told
    assert told[-1] == "swap"
    assert len(written) == 20
    with store.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM interactions").fetchall() == [(21 * ROWS,)]


def test_an_attempt_is_given_up_when_somebody_keeps_a_cursor(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a cursor just before the writer stands aside, and then writes, is not waited for for ever."""
    commit(store)
    monkeypatch.setattr(compaction, "_PATIENCE_S", 0.05)
    pause = store.writer.pause
    taken = threading.Event()
    threads: list[threading.Thread] = []

    def read_and_write() -> None:
        with store.cursor() as cursor:
            cursor.execute("SELECT 1")
            taken.set()
            store.writer.run(Operation(add))

    def late(work: Any) -> Any:
        if not threads:
            threads.append(threading.Thread(target=read_and_write))
            threads[0].start()
            assert taken.wait(30)
        return pause(work)

    monkeypatch.setattr(store.writer, "pause", late)
    compact(store)
    threads[0].join()
    with store.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM interactions").fetchall() == [(2 * ROWS,)]


def test_only_one_at_a_time(store: Store) -> None:
    refused: list[VisavisError] = []

    def again(_: Progress) -> None:
        if not refused:
            with pytest.raises(Conflict, match="wait until it ends") as caught:
                compact(store)
            refused.append(caught.value)

    commit(store)
    compact(store, again)
    assert [error.reason for error in refused] == ["COMPACTION_RUNNING"]
    compact(store)


class StopError(Exception):
    pass


@pytest.mark.parametrize("step", ["copy", "swap"])
def test_what_is_broken_off_leaves_nothing(store: Store, step: str) -> None:
    commit(store)
    before = contents(store)

    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise StopError

    with pytest.raises(StopError):
        compact(store, stop)
    assert names(store.path.parent) == [store.path.name, f"{store.path.name}.d"]
    with store.cursor() as cursor:
        assert len(cursor.execute("PRAGMA database_list").fetchall()) == 1
    assert contents(store) == before
    compact(store)
    assert contents(store) == before


def test_a_store_that_closes_ends_it(store: Store) -> None:
    commit(store)
    copying, closing = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def hold(_: Progress) -> None:
        copying.set()
        assert closing.wait(30)

    def run() -> None:
        with pytest.raises(Unavailable, match="the store is closing") as caught:
            compact(store, hold)
        raised.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    assert copying.wait(30)
    closer = threading.Thread(target=store.close)
    closer.start()
    while not store.closed:
        time.sleep(0.001)
    closing.set()
    thread.join()
    closer.join()
    assert len(raised) == 1
    assert names(store.path.parent) == [store.path.name, f"{store.path.name}.d"]


def test_a_disk_without_room_is_told_beforehand(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(store.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(StoreUnwritable, match=r"needs \d+ MiB beside .* and 1 MiB are free; free some space"):
        compact(store)
    assert names(store.path.parent) == [store.path.name, f"{store.path.name}.d"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_costs_nothing(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_disk / "shop.duckdb"
    monkeypatch.setattr(compaction, "_check_space", lambda *_: None)
    with Store.open(path, SETTINGS) as store:
        commit(store, 3)
        size = store.path.stat().st_size
        ballast = small_disk / "ballast"
        refused = 0
        for left in range(0, 30_000_000, 2_500_000):
            before = contents(store)
            ballast.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - left)))
            try:
                compact(store)
            except StoreUnwritable as error:
                refused += "free some space" in error.message
            ballast.unlink()
            assert names(small_disk) == ["shop.duckdb", "shop.duckdb.d"]
            assert contents(store) == before
            commit(store)
        assert 0 < refused < 12, f"the file has {size} bytes"
    with Store.open(path, SETTINGS) as again:
        assert again.warnings == ()


def test_a_log_that_is_left_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB would lay it on the new file."""
    commit(store)
    before = contents(store)
    seal = compaction._seal

    def leave_a_log(cursor: duckdb.DuckDBPyConnection, copy: Any, store: Store) -> None:
        seal(cursor, copy, store)
        (store.path.parent / f"{copy.path.name}.wal").write_bytes(b"")

    monkeypatch.setattr(compaction, "_seal", leave_a_log)
    with pytest.raises(StoreError, match="is there still"):
        compact(store)
    assert contents(store) == before
    assert list(store.path.parent.glob("*.compacting*")) == []
    commit(store)


def test_a_file_that_others_in_the_process_hold_is_not_replaced(store: Store) -> None:
    """DuckDB would go on with the file that is gone."""
    commit(store)
    with (
        duckdb.connect(str(store.path), config=store.database._config),
        pytest.raises(StoreError, match="is open in this process by another way"),
    ):
        compact(store)
    assert list(store.path.parent.glob("*.compacting*")) == []
    commit(store)
    compact(store)
    with store.cursor() as again:
        assert again.execute("SELECT count(*) FROM interactions").fetchall() == [(2 * ROWS,)]


def test_a_file_that_cannot_be_opened_again_stops_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(store)
    take = compaction._take_place

    def damage(store: Store, copy: Path) -> None:
        take(store, copy)
        store.path.write_bytes(bytes(100))

    monkeypatch.setattr(compaction, "_take_place", damage)
    for attempt in (lambda: compact(store), lambda: commit(store), lambda: contents(store)):
        with pytest.raises(StoreError, match="could not be opened again"):
            attempt()
    assert store.writer.failure is not None


def test_no_statement_changes_what_is_copied_ahead() -> None:
    """A row that is changed in place, after it was copied, would keep its old values."""
    update = re.compile(r"\bUPDATE\s+(?:\w+\.)?(\w+|\{[^}]*\}[^ ]*)\s+SET", re.IGNORECASE)
    changed = set()
    for path in FRAMEWORK.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Constant | ast.JoinedStr) else ""
            changed.update(update.findall(text))
    assert "store_state" in changed
    assert not changed & COPIED_AHEAD


def test_every_table_is_known(store: Store) -> None:
    with store.cursor() as cursor:
        tables = {name for (name,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert tables >= COPIED_AHEAD


@pytest.mark.parametrize("left", ["nothing", "another file"])
def test_a_file_that_was_moved_away_is_not_replaced(store: Store, left: str) -> None:
    commit(store)
    moved = store.path.with_name("moved.duckdb")
    store.path.rename(moved)
    if left == "another file":
        store.path.write_text("theirs")
    with pytest.raises(StoreError, match="was moved, deleted or replaced"):
        compact(store)
    assert store.path.exists() is (left == "another file")
    assert list(store.path.parent.glob("*.compacting*")) == []
    store.path.unlink(missing_ok=True)
    moved.rename(store.path)
    commit(store)
    compact(store)
