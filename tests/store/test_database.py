"""DuckDB's errors in our words, and cursors that are never shared."""

from __future__ import annotations

import errno
import threading
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
