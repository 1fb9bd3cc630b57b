"""DuckDB's errors in our words, and cursors that are never shared."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from visavis.errors import NotAStore, StoreDamaged, StoreError, StoreInUse, StoreUnwritable, VisavisError
from visavis.store.database import Database, check_file, duckdb_errors

PATH = Path("shop.duckdb")


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (duckdb.IOException("Could not set lock on file: Conflicting lock is held"), StoreInUse, "another process"),
        (duckdb.IOException("Could not write file: No space left on device"), StoreUnwritable, "is full; free"),
        (duckdb.IOException("Cannot open file: Permission denied"), StoreUnwritable, "may not be written"),
        (duckdb.IOException("Corrupt database file: computed checksum 1"), StoreDamaged, "visavis doctor"),
        (duckdb.FatalException("database has been invalidated"), StoreDamaged, "visavis doctor"),
        (duckdb.OutOfMemoryException("failed to allocate"), StoreError, "raise memory_limit_mb"),
        (OSError(errno.ENOSPC, "No space left on device"), StoreUnwritable, "is full; free"),
    ],
)
def test_errors_of_the_file_are_translated(raised: Exception, error: type[VisavisError], words: str) -> None:
    with pytest.raises(error, match=words) as caught, duckdb_errors(PATH):
        raise raised
    assert caught.value.metadata["path"] == str(PATH)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raised", [duckdb.CatalogException("no table"), KeyError("x"), OSError(errno.EIO, "broken")])
def test_other_errors_pass(raised: Exception) -> None:
    with pytest.raises(type(raised)) as caught, duckdb_errors(PATH):
        raise raised
    assert caught.value is raised


def test_each_thread_has_its_own_cursor(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.duckdb", memory_limit_mb=200, threads=1)
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(30):
            with database.cursor() as cursor:
                found = cursor.execute("SELECT ?::INTEGER", [number]).fetchall()
                if found != [(number,)]:
                    wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    assert not wrong
    assert (tmp_path / "s.duckdb").exists()


def test_nothing_is_downloaded(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.duckdb")
    with database.cursor() as cursor:
        found = cursor.execute(
            "SELECT current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')"
        ).fetchall()
    database.close()
    assert found == [(False, False)]


def test_an_interrupt_while_duckdb_works_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), duckdb_errors(PATH):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="else"), duckdb_errors(PATH):
        raise RuntimeError("something else")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="name the file otherwise"):
        check_file(tmp_path / "caf\udce9.duckdb")


def test_who_wants_a_cursor_waits_while_somebody_is_alone(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.duckdb")
    got: list[str] = []

    def ask() -> None:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
            got.append("other")

    with database.alone(5) as quiet:
        assert quiet
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.05)
        got.append("alone")
    thread.join()
    database.close()
    assert got == ["alone", "other"]


def test_who_has_a_cursor_gets_another_and_is_waited_for(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.duckdb")
    with database.cursor():
        assert not database.wait_for_readers(0)
        with database.alone(0.01) as quiet:
            assert not quiet
            with database.cursor() as inner:
                assert inner.execute("SELECT 1").fetchall() == [(1,)]
    assert database.wait_for_readers(0)
    with database.alone(0) as quiet:
        assert quiet
    database.close()


def test_short_readers_in_turn_keep_nobody_waiting(tmp_path: Path) -> None:
    """There is always somebody who reads, but nobody for long."""
    database = Database(tmp_path / "s.duckdb")
    first, second = ExitStack(), ExitStack()
    first.enter_context(database.cursor())
    waited: list[bool] = []
    thread = threading.Thread(target=lambda: waited.append(database.wait_for_readers(30)))
    thread.start()
    thread.join(0.05)
    assert not waited
    second.enter_context(database.cursor())
    first.close()
    thread.join()
    assert waited == [True]
    second.close()
    database.close()


def test_a_log_that_cannot_be_looked_at_counts_as_none(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.duckdb")
    log = tmp_path / "s.duckdb.wal"
    log.symlink_to(log)
    assert database.wal_bytes() == 0
    log.unlink()
    database.close()


READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_who_reads_the_file_just_after_the_swap_is_waited_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute(f"CREATE TABLE t AS SELECT '{name}' AS name")
    database = Database(tmp_path / "a")
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "a")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdin is not None
        timer = threading.Timer(0.3, reader.stdin.close)
        timer.start()

        def replace() -> None:
            assert reader.stdout is not None
            (tmp_path / "b").rename(tmp_path / "a")
            assert reader.stdout.readline() == b"open\n"

        with database.alone(0):
            database.swap(replace)
        timer.join()
    with database.cursor() as cursor:
        assert cursor.execute("SELECT name FROM t").fetchall() == [("b",)]
    database.close()


def test_another_file_in_the_place_of_the_open_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute(f"CREATE TABLE t AS SELECT '{name}' AS name")
    database = Database(tmp_path / "a")
    with database.alone(0):
        database.swap(lambda: (tmp_path / "b").rename(tmp_path / "a").touch())
    with database.cursor() as cursor:
        assert cursor.execute("SELECT name FROM t").fetchall() == [("b",)]
    assert database.in_place()
    with database.alone(0), pytest.raises(StoreError, match="could not be opened again"):
        database.swap((tmp_path / "a").unlink)
    with pytest.raises(StoreError, match="could not be opened again"), database.cursor():
        pass
    assert list(tmp_path.glob("a")) == []
    database.close()


def test_a_new_file_is_for_its_owner_only_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    Database(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["shop.duckdb"]
    path.chmod(0o660)
    Database(path).close()
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)  # root may write into read-only folders
    with pytest.raises(StoreUnwritable, match="may not be written; change its permissions or its folder's"):
        Database(tmp_path / "shop.duckdb")
