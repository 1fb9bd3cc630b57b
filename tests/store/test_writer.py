"""One writer, group commit: all or nothing, in order, and a failure that is told and not survived by half."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from visavis.config import Settings, load_settings
from visavis.errors import Conflict, Overloaded, StoreError, StoreUnwritable, Unavailable
from visavis.store import Operation, Store, Transaction

AT = np.zeros(1, dtype="datetime64[us]")


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    stores: list[Store] = []

    def open_(**overrides: Any) -> Store:
        stores.append(Store.open(tmp_path / "s.duckdb", load_settings({"linger_ms": 0, **overrides}, environ={})))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


def insert(tx: Transaction, name: str) -> int:
    tx.insert(
        "customers",
        {"customer_code": np.zeros(1, np.int32), "customer_id": [name], "created_at": AT, "updated_at": AT},
    )
    return tx.sequence


def adding(name: str, **options: Any) -> Operation[int]:
    return Operation(lambda tx: insert(tx, name), **options)


def refusing(name: str) -> Operation[int]:
    def apply(tx: Transaction) -> int:
        insert(tx, name)
        raise Conflict(f"{name} is refused")

    return Operation(apply)


def names(store: Store) -> set[str]:
    with store.cursor() as cursor:
        return {name for (name,) in cursor.execute("SELECT customer_id FROM customers").fetchall()}


class Gate:
    """An operation that holds the writer until it is opened, so that what follows gathers."""

    def __init__(self, store: Store) -> None:
        self._open, self._entered = threading.Event(), threading.Event()
        self.future = store.writer.submit(Operation(self._wait, exclusive=True))
        assert self._entered.wait(10)

    def _wait(self, _: Transaction) -> None:
        self._entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()


class Recorder:
    """A participant that writes down how transactions end."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def commit(self) -> None:
        self.ends.append("commit")

    def rollback(self) -> None:
        self.ends.append("rollback")


class FailingCursor:
    """The writer's cursor, which raises when a statement begins with `word`."""

    def __init__(self, real: Any, word: str, error: BaseException, *, commit: bool = False) -> None:
        self._real, self._word, self._error, self._commit = real, word, error, commit

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql.startswith(self._word):
            if self._commit:
                self._real.execute(sql, *arguments)
            raise self._error
        # DuckDB looks for columns among the variables of who calls it.
        visavis_columns = sys._getframe(1).f_locals.get("visavis_columns")  # noqa: F841
        return self._real.execute(sql, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def fail_on(store: Store, word: str, error: BaseException, *, commit: bool = False) -> None:
    store.writer._cursor = FailingCursor(store.writer._cursor, word, error, commit=commit)  # type: ignore[assignment]


def test_what_gathers_shares_one_commit(store: Store) -> None:
    gate = Gate(store)
    futures = [store.writer.submit(adding(f"c{number}")) for number in range(50)]
    gate.open()
    sequences = {future.result(10) for future in futures}
    assert sequences == {store.mark.sequence}
    assert names(store) == {f"c{number}" for number in range(50)}


def test_many_threads_lose_nothing(store: Store) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            store.writer.run(adding(f"{thread}-{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(store)) == 160


def test_a_failing_operation_harms_no_other(store: Store) -> None:
    gate = Gate(store)
    good = [store.writer.submit(adding(name)) for name in ("a", "b")]
    bad = store.writer.submit(refusing("x"))
    good.append(store.writer.submit(adding("c")))
    gate.open()
    wait([*good, bad], timeout=10)
    assert isinstance(bad.exception(), Conflict)
    assert [future.exception() for future in good] == [None] * 3
    assert names(store) == {"a", "b", "c"}


def test_participants_hear_how_it_ended(store: Store) -> None:
    recorder = Recorder()

    def apply(tx: Transaction) -> None:
        tx.enlist(recorder)
        tx.enlist(recorder)
        insert(tx, "a")

    def refuse(tx: Transaction) -> None:
        tx.enlist(recorder)
        raise Conflict("no")

    store.writer.run(Operation(apply))
    with pytest.raises(Conflict):
        store.writer.run(Operation(refuse))
    assert recorder.ends == ["commit", "rollback"]


def test_memory_is_told_after_the_commit_and_before_the_caller(store: Store) -> None:
    seen: list[set[str]] = []
    store.writer.run(adding("a", committed=lambda _: seen.append(names(store))))
    assert seen == [{"a"}]


def test_an_exclusive_operation_stands_alone(store: Store) -> None:
    gate = Gate(store)
    futures = [store.writer.submit(adding(name, exclusive=name == "b")) for name in "abc"]
    gate.open()
    first, second, third = (future.result(10) for future in futures)
    assert first < second < third


def test_a_cancelled_operation_is_not_done(store: Store) -> None:
    gate = Gate(store)
    unwanted, wanted = store.writer.submit(adding("no")), store.writer.submit(adding("yes"))
    assert unwanted.cancel()
    gate.open()
    wanted.result(10)
    with pytest.raises(CancelledError):
        unwanted.result(10)
    assert names(store) == {"yes"}


def test_too_much_at_once_is_refused(open_store: Callable[..., Store]) -> None:
    store = open_store(queue_rows=100)
    gate = Gate(store)
    store.writer.submit(adding("a", rows=60))
    with pytest.raises(Overloaded, match="60 rows wait"):
        store.writer.submit(adding("b", rows=41))
    fits = store.writer.submit(adding("c", rows=40))
    gate.open()
    fits.result(10)
    # Nothing waits: even what is larger than the queue goes through.
    store.writer.run(adding("d", rows=500))
    assert names(store) == {"a", "c", "d"}


def test_close_writes_what_is_queued_then_refuses(open_store: Callable[..., Store]) -> None:
    store = open_store()
    gate = Gate(store)
    futures = [store.writer.submit(adding(f"c{number}")) for number in range(10)]
    closing = threading.Thread(target=store.close)
    closing.start()
    gate.open()
    closing.join(10)
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(Unavailable, match="closing"):
        store.writer.submit(adding("late"))
    store.close()
    assert len(names(open_store())) == 10


@pytest.mark.parametrize("reached_disk", [False, True])
def test_a_failed_commit_stops_the_writer(open_store: Callable[..., Store], reached_disk: bool) -> None:
    """Nobody knows whether it is in the file, so it is neither tried again nor followed by another."""
    store = open_store()
    gate = Gate(store)
    full = duckdb.IOException("IO Error: Could not write file: No space left on device")
    futures: list[Future[int]] = [store.writer.submit(adding(name)) for name in ("a", "b")]
    fail_on(store, "COMMIT", full, commit=reached_disk)
    gate.open()
    # The gate itself is the first to commit.
    with pytest.raises(StoreUnwritable, match="is full; free some space"):
        gate.future.result(10)
    for future in futures:
        with pytest.raises(StoreError, match="takes nothing more; start again"):
            future.result(10)
    with pytest.raises(StoreError, match="start again"):
        store.writer.submit(adding("c"))
    with pytest.raises(StoreError, match="start again"):
        store.writer.wait_for(store.mark.sequence + 1)
    store.close()
    again = open_store()
    assert names(again) == set()
    assert again.writer.run(adding("d")) == again.mark.sequence


def test_each_of_a_group_is_told_that_the_commit_failed(store: Store) -> None:
    gate = Gate(store)
    futures = [store.writer.submit(adding(name)) for name in ("a", "b")]

    def break_commit(_: Future[Any]) -> None:
        fail_on(store, "COMMIT", duckdb.IOException("No space left on device"))

    gate.future.add_done_callback(break_commit)
    gate.open()
    wait(futures, timeout=10)
    assert all(isinstance(future.exception(), StoreError) for future in futures)


def test_a_disk_that_is_full_before_the_commit_is_told_and_survived(store: Store) -> None:
    real = store.writer._cursor
    fail_on(store, "UPDATE store_state", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StoreUnwritable, match="is full"):
        store.writer.run(adding("a"))
    store.writer._cursor = real
    store.writer.run(adding("b"))
    assert names(store) == {"b"}


def test_nobody_waits_for_a_writer_that_broke_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(store)
    futures = [store.writer.submit(adding(name, exclusive=name == "b")) for name in "abc"]

    def fall() -> int:
        if gate.future.done() and futures[0].done():
            raise ZeroDivisionError("the log")
        return 0

    monkeypatch.setattr(store.database, "wal_bytes", fall)
    gate.open()
    assert futures[0].result(10) == store.mark.sequence
    for future in futures[1:]:
        with pytest.raises(StoreError, match=r"s\.duckdb broke off; start again .*ZeroDivisionError"):
            future.result(10)
    for late in (lambda: store.writer.run(adding("d")), lambda: store.writer.pause(lambda: None)):
        with pytest.raises(StoreError, match="broke off; start again"):
            late()
    with pytest.raises(StoreError, match="broke off; start again"):
        store.writer.wait_for(store.mark.sequence + 1)
    assert names(store) == {"a"}


def test_who_paused_a_writer_that_got_no_cursor_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall() -> None:
        raise duckdb.ConnectionException("Connection already closed")

    told: list[BaseException] = []

    def pause() -> None:
        try:
            store.writer.pause(lambda: monkeypatch.setattr(store.database, "own_cursor", fall))
        except StoreError as error:
            told.append(error)

    thread = threading.Thread(target=pause, daemon=True)
    thread.start()
    thread.join(10)
    assert "broke off; start again" in str(told[0])
    with pytest.raises(StoreError, match="broke off; start again"):
        store.writer.run(adding("a"))


def test_memory_that_could_not_follow_stops_the_writer(store: Store) -> None:
    def fall(_: int) -> None:
        raise ZeroDivisionError("memory")

    with pytest.raises(ZeroDivisionError):
        store.writer.run(adding("a", committed=fall))
    with pytest.raises(StoreError, match="memory no longer agrees"):
        store.writer.run(adding("b"))


def test_a_hook_that_waits_for_its_own_writer_is_told(store: Store) -> None:
    told: list[BaseException] = []

    def write_again(_: int) -> None:
        try:
            store.writer.run(adding("again"))
        except StoreError as error:
            told.append(error)

    store.writer.run(adding("a", committed=write_again))
    assert "would wait for itself" in str(told[0])


def test_a_hook_that_reads_what_is_being_written_is_told(store: Store) -> None:
    """It would wait for ever: memory holds a commit only after its hooks."""
    told: list[BaseException] = []

    def read(sequence: int) -> None:
        store.writer.wait_for(sequence - 1)
        try:
            store.writer.wait_for(sequence)
        except StoreError as error:
            told.append(error)

    assert store.writer.submit(adding("a", committed=read)).result(10)
    assert "do it in a thread" in str(told[0])
    store.writer.wait_for(store.mark.sequence)


def test_rows_of_other_columns_do_not_lose_any(store: Store) -> None:
    def apply(tx: Transaction) -> None:
        insert(tx, "a")
        tx.insert(
            "customers",
            {
                "customer_code": np.ones(1, np.int32),
                "customer_id": ["b"],
                "time_zone": ["Asia/Tokyo"],
                "created_at": AT,
                "updated_at": AT,
            },
        )
        insert(tx, "c")

    store.writer.run(Operation(apply))
    with store.cursor() as cursor:
        found = cursor.execute("SELECT customer_id, time_zone FROM customers ORDER BY ALL").fetchall()
    assert found == [("a", None), ("b", "Asia/Tokyo"), ("c", None)]


def test_the_failure_can_be_asked_for(store: Store) -> None:
    assert store.writer.failure is None
    store.writer.run(adding("a"))
    fail_on(store, "COMMIT", duckdb.IOException("No space left on device"))
    with pytest.raises(StoreError):
        store.writer.run(adding("b"))
    assert "start again" in str(store.writer.failure)
    with pytest.raises(AttributeError):
        store.writer.failure = None  # type: ignore[misc]


def test_a_checkpoint_that_is_put_off_is_not_tried_at_each_commit(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A snapshot may hold the log for minutes."""
    store = open_store(checkpoint_wal_mb=1)
    store.writer.run(adding("x" * 1_500_000))
    store.writer.run(adding("settled"))
    tried: list[str] = []

    class Held(FailingCursor):
        def execute(self, sql: str, *arguments: Any) -> Any:
            tried.extend([sql] if sql == "CHECKPOINT" else [])
            visavis_columns = sys._getframe(1).f_locals.get("visavis_columns")  # noqa: F841
            return super().execute(sql, *arguments)

    real = store.writer._cursor
    held: Any = Held(real, "CHECKPOINT", duckdb.TransactionException("another transaction reads"))
    monkeypatch.setattr(store.writer, "_cursor", held)
    store.writer.run(adding("y" * 1_500_000))
    for number in range(10):
        store.writer.run(adding(f"c{number}"))
    assert len(tried) == 1
    assert [record.message for record in caplog.records if "checkpoint put off" in record.message] == [
        "checkpoint put off, it is tried again: another transaction reads"
    ]
    monkeypatch.setattr(store.writer, "CHECKPOINT_RETRY_S", 0.0)
    monkeypatch.setattr(store.writer, "_checkpoint_at", 1e-9)
    for name in ("d", "e"):
        store.writer.run(adding(name))
    store.writer.run(adding("f"))
    assert len(tried) > 1
    assert sum("checkpoint put off" in record.message for record in caplog.records) == 1
    monkeypatch.setattr(store.writer, "_cursor", real)
    store.writer.run(adding("g"))
    store.writer.run(adding("h"))
    assert store.wal_bytes() < 1 << 20


def test_the_log_is_checkpointed_when_it_is_long(open_store: Callable[..., Store]) -> None:
    store = open_store(checkpoint_wal_mb=1)
    for number in range(3):
        store.writer.run(adding("x" * 600_000 + str(number)))
    store.writer.run(adding("y"))
    assert store.wal_bytes() < 1 << 20
    store.close()
    assert not store.path.with_name("s.duckdb.wal").exists()


KILLED = """
import sys
from pathlib import Path
from tests.store.test_writer import adding
from visavis.config import load_settings
from visavis.store import Store
store = Store.open(Path(sys.argv[1]), load_settings({"linger_ms": 1}, environ={}))
number = 0
while True:
    futures = [store.writer.submit(adding(f"c{number + n}")) for n in range(5)]
    for future in futures:
        future.result()
    number += 5
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, plain_settings: Settings) -> None:
    path = tmp_path / "k.duckdb"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        for _ in range(10):
            child.stdout.readline()
        child.kill()
        acknowledged = 50
        for line in child.stdout:
            if line.endswith("\n"):
                acknowledged = int(line)
    with Store.open(path, plain_settings) as store:
        assert {f"c{number}" for number in range(acknowledged)} <= names(store)


def test_what_is_settled_before_the_transaction_needs_none(store: Store) -> None:
    before = store.mark.sequence
    settled: Operation[int] = Operation(lambda tx: insert(tx, "never"), before=lambda: 7)
    assert store.writer.run(settled) == 7
    assert store.mark.sequence == before
    assert store.writer.run(adding("ann", before=lambda: None)) == before + 1

    def broken() -> None:
        raise Conflict("not this one")

    with pytest.raises(Conflict, match="not this one"):
        store.writer.run(adding("bob", before=broken))
    assert names(store) == {"ann"}


def test_more_go_along_until_the_writer_takes_an_operation(store: Store) -> None:
    gate, more = Gate(store), ["ann"]
    operation = Operation(lambda tx: [insert(tx, name) for name in more])
    store.writer.submit(operation)
    assert store.writer.join(operation, 2, lambda: more.append("bob"))
    assert operation.rows == 3
    gate.open()
    assert len(operation.future.result(10)) == 2
    assert names(store) == {"ann", "bob"}
    assert not store.writer.join(operation, 1, lambda: more.append("late"))
    assert more == ["ann", "bob"]


def test_an_operation_of_several_that_fails_is_divided(store: Store) -> None:
    parts = [Operation(lambda tx: [insert(tx, "ann")]), refusing("bob"), Operation(lambda tx: [insert(tx, "cid")])]
    whole: Operation[list[Any]] = Operation(refusing("all").apply, split=lambda: parts)  # type: ignore[arg-type]
    first, second, third = store.writer.run(whole)
    assert third == first + 1
    assert isinstance(second, Conflict)
    assert names(store) == {"ann", "cid"}
