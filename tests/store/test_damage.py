"""Files that are gone, other than they were, or taken away while the store is open: never a loss without a word."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from visavis.config import Settings
from visavis.errors import StoreBehind, StoreDamaged, StoreError, StoreUnwritable
from visavis.store import Operation, Store, Transaction
from visavis.store.database import duckdb_errors
from visavis.store.doctor import examine
from visavis.store.high_water import HighWater
from visavis.store.owner import side_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def add(store: Store, kind: str) -> None:
    def apply(tx: Transaction) -> None:
        tx.cursor.execute("INSERT INTO kinds VALUES (1, ?)", [kind])

    store.writer.run(Operation(apply))


def kinds(path: Path, settings: Settings) -> list[str]:
    with Store.open(path, settings) as store, store.cursor() as cursor:
        return [kind for (kind,) in cursor.execute("SELECT kind FROM kinds").fetchall()]


def log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def errors(path: Path, settings: Settings) -> str:
    settings = Settings({**settings.values, "data": str(path)}, {})
    return " ".join(f"{one.detail}; {one.advice}" for one in examine(settings) if one.level == "error")


def test_a_store_that_is_gone_is_not_begun_anew(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
        add(store, "like")
    path.rename(path.with_name("kept"))
    with pytest.raises(StoreBehind, match="is gone, and held 2 commits"):
        Store.open(path, plain_settings)
    assert not path.exists()
    assert "put it back" in errors(path, plain_settings)
    path.with_name("kept").rename(path)
    assert kinds(path, plain_settings) == ["view", "like"]


def test_whoever_moves_the_side_folder_away_begins_anew(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
    path.unlink()
    side_folder(path).rename(path.with_name("aside"))
    assert kinds(path, plain_settings) == []


def test_an_empty_store_that_is_gone_is_no_loss(path: Path, plain_settings: Settings) -> None:
    Store.open(path, plain_settings).close()
    path.unlink()
    assert kinds(path, plain_settings) == []


def test_a_log_without_its_file(path: Path, plain_settings: Settings) -> None:
    log(path).write_bytes(b"what was committed last")
    with pytest.raises(StoreDamaged, match="is gone, but its write-ahead log"):
        Store.open(path, plain_settings)
    assert log(path).read_bytes() == b"what was committed last"
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 100_000])
def test_a_store_whose_first_bytes_are_other(path: Path, plain_settings: Settings, content: bytes) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="put back a backup"):
        Store.open(path, plain_settings)
    assert "put back a backup" in errors(path, plain_settings)


def _move(path: Path) -> None:
    path.rename(path.with_name("away"))


def _replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy"))
    _move(path)
    path.with_name("copy").rename(path)


@pytest.mark.parametrize("take", [_move, _replace])
def test_a_file_taken_away_while_open(path: Path, plain_settings: Settings, take: Callable[[Path], None]) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
        take(path)
        for _ in range(2):
            with pytest.raises(StoreError, match="was moved, deleted or replaced while it was open; put it back"):
                add(store, "like")
        assert store.writer.failure is not None
        assert store.file_bytes() >= 0
    path.with_name("away").replace(path)
    assert kinds(path, plain_settings) == ["view"]


def test_a_log_deleted_while_open_is_made_up_for(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
        log(path).unlink()
        add(store, "like")
    assert kinds(path, plain_settings) == ["view", "like"]


@pytest.mark.parametrize("whole_folder", [False, True])
def test_a_mark_deleted_while_open_is_kept_again(path: Path, plain_settings: Settings, whole_folder: bool) -> None:
    with Store.open(path, plain_settings) as store:
        add(store, "view")
        if whole_folder:
            shutil.rmtree(side_folder(path))
        else:
            (side_folder(path) / "high-water").unlink()
        add(store, "like")
        assert HighWater(side_folder(path)).read() == store.mark
    assert kinds(path, plain_settings) == ["view", "like"]


def test_a_link_to_itself(path: Path, plain_settings: Settings) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreUnwritable, match="leads back to itself; name another path"):
        Store.open(path, plain_settings)
    with pytest.raises(StoreUnwritable, match="leads back to itself"):
        side_folder(path)
    assert errors(path, plain_settings)


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (duckdb.TransactionException("Failed to commit: No space left on device"), "free some space"),
        (duckdb.TransactionException("Failed to commit: Cannot open file: Permission denied"), "permissions"),
        (duckdb.FatalException("invalidated\nOriginal error: No space left on device"), "free some space"),
        (duckdb.IOException("Cannot open file: Too many open files"), "ulimit -n"),
        (OSError(24, "Too many open files"), "ulimit -n"),
        (OSError(28, "No space left on device"), "free some space"),
    ],
)
def test_what_surrounds_the_store_is_named(path: Path, raised: Exception, words: str) -> None:
    with pytest.raises(StoreUnwritable, match=words), duckdb_errors(path):
        raise raised


def test_what_the_data_say_is_not_taken_for_the_disk(path: Path) -> None:
    with pytest.raises(duckdb.ConversionException), duckdb_errors(path):
        raise duckdb.ConversionException("Could not convert string 'no space left on device' to INT32")
