"""A checkpoint that is broken off in the middle of a block is undone by the next opening."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import visavis
from visavis.config import load_settings
from visavis.errors import StoreDamaged, StoreUnwritable
from visavis.store import double_write
from visavis.store.database import Database, wal_path
from visavis.store.doctor import examine
from visavis.store.owner import side_folder
from visavis.store.restore import restore_backup

_HEADERS = 3 * 4096
_BLOCK = 1 << 18
_PAGE = 4096
_OPEN = "import duckdb, sys; duckdb.connect(sys.argv[1])"
_HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "s.duckdb"
    side_folder(path).mkdir()
    return path


def _fill(database: Database) -> None:
    with database.cursor() as cursor:
        for table in range(12):
            cursor.execute(f"CREATE TABLE t{table} AS SELECT range AS a, 'x' || range AS b FROM range(3000)")
        database.checkpoint(cursor)
        for table in range(12):
            cursor.execute(f"INSERT INTO t{table} SELECT range, 'y' || range FROM range(500)")


def _counts(path: Path) -> list[int]:
    database = Database(path)
    with database.cursor() as cursor:
        counts = [
            int(cursor.execute(f"SELECT count(*) FROM t{table} WHERE b <> ''").fetchall()[0][0]) for table in range(12)
        ]
    database.close()
    return counts


def _torn(path: Path, monkeypatch: pytest.MonkeyPatch, *, headers_too: bool = False) -> None:
    """Leave the store as a kill would in the middle of a checkpoint's write over a live block.

    The blocks are true ones of before and of after the checkpoint, and the write stopped at a page.
    """
    database = Database(path)
    _fill(database)
    log = wal_path(path).read_bytes()
    before = path.read_bytes()
    monkeypatch.setattr(double_write, "forget", lambda _: None)
    with database.cursor() as cursor:
        live = [number for (number,) in cursor.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()]
        database.checkpoint(cursor)
    database.close()
    monkeypatch.undo()
    if headers_too:
        return
    after = path.read_bytes()
    torn = bytearray(before)
    for start in (_HEADERS + number * _BLOCK for number in live):
        pages = [page for page in range(start, start + _BLOCK, _PAGE) if before[page:][:_PAGE] != after[page:][:_PAGE]]
        assert len(pages) > 1, "the checkpoint wrote no live block in place: this trial tries nothing"
        torn[start : pages[-1]] = after[start : pages[-1]]
    path.write_bytes(torn)
    wal_path(path).write_bytes(log)


def test_a_torn_block_is_put_back_and_nothing_is_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _torn(path, monkeypatch)
    alone = path.with_name("alone.duckdb")
    shutil.copy(path, alone)
    with pytest.raises(duckdb.Error, match="checksum"):
        duckdb.connect(str(alone)).execute("SELECT * FROM t0")
    assert double_write.broken_off(path, side_folder(path))
    with caplog.at_level(logging.WARNING):
        assert _counts(path) == [3500] * 12
    assert "1 blocks were put back, nothing is lost" in caplog.text
    assert not list(side_folder(path).glob("checkpoint*"))
    assert _counts(path) == [3500] * 12


def test_a_checkpoint_that_took_effect_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _torn(path, monkeypatch, headers_too=True)
    data = path.read_bytes()
    assert (side_folder(path) / double_write.NAME).exists()
    assert not double_write.broken_off(path, side_folder(path))
    assert double_write.put_back(path, side_folder(path)) == 0
    assert path.read_bytes() == data
    assert not (side_folder(path) / double_write.NAME).exists()
    assert _counts(path) == [3500] * 12


@pytest.mark.parametrize("place", [0, 20, 40, 20_000, -1])
def test_a_kept_file_that_is_damaged_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    _torn(path, monkeypatch)
    data = path.read_bytes()
    kept = side_folder(path) / double_write.NAME
    harmed = bytearray(kept.read_bytes())
    harmed[place] ^= 1
    kept.write_bytes(harmed)
    assert double_write.put_back(path, side_folder(path)) == 0
    assert path.read_bytes() == data


@pytest.mark.parametrize("length", [0, 10, 50, 200_000])
def test_a_kept_file_that_was_cut_off_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    _torn(path, monkeypatch)
    kept = side_folder(path) / double_write.NAME
    kept.write_bytes(kept.read_bytes()[:length])
    assert double_write.put_back(path, side_folder(path)) == 0
    with pytest.raises(StoreDamaged, match="visavis doctor"):
        _counts(path)


def test_another_file_under_the_name_is_left_alone_though_its_headers_are_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _torn(path, monkeypatch)
    copy = path.with_name("copy.duckdb")
    shutil.copy(path, copy)
    copy.replace(path)
    data = path.read_bytes()
    assert not double_write.broken_off(path, side_folder(path))
    assert double_write.put_back(path, side_folder(path)) == 0
    assert path.read_bytes() == data


def test_a_store_that_a_restore_moves_aside_takes_along_what_mends_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = path.with_name("backup.duckdb")
    with visavis.open(path.with_name("other.duckdb")) as shop:
        shop.identify.record([visavis.Interaction("view", "ann", "tea")])
        shop.admin.backup(backup)
    _torn(path, monkeypatch)
    restored = restore_backup(backup, path, replace=True)
    assert not (side_folder(path) / double_write.NAME).exists()
    assert _counts(Path(restored.aside)) == [3500] * 12
    with visavis.open(path) as shop:
        assert shop.store.mark.lineage == restored.lineage


def test_nothing_is_written_under_another_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(path)
    _fill(database)
    monkeypatch.setattr(double_write, "forget", lambda _: None)
    headers = path.read_bytes()[:_HEADERS]
    with database.cursor() as cursor:
        database.checkpoint(cursor)
    database.close()
    monkeypatch.undo()
    # As if the headers had not been written yet, with everything else in place.
    data = headers + path.read_bytes()[_HEADERS:]
    with _another_process(path):
        path.write_bytes(data)
        assert double_write.broken_off(path, side_folder(path))
        assert double_write.put_back(path, side_folder(path)) == 0
        assert path.read_bytes() == data
        assert (side_folder(path) / double_write.NAME).exists()
    assert double_write.put_back(path, side_folder(path)) == 1


def _another_process(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def test_checkpoints_keep_the_lock_of_the_file(path: Path) -> None:
    database = Database(path)
    _fill(database)
    with database.cursor() as cursor:
        database.checkpoint(cursor)
    found = subprocess.run([sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=False)
    assert "lock" in found.stderr
    database.close()


def test_a_folder_that_takes_no_copy_stops_the_checkpoint_and_nothing_else(path: Path) -> None:
    database = Database(path)
    _fill(database)
    folder = side_folder(path)
    shutil.rmtree(folder)
    with database.cursor() as cursor:
        with pytest.raises(StoreUnwritable, match="takes no copy of what a checkpoint writes over"):
            database.checkpoint(cursor)
        assert wal_path(path).stat().st_size > 0
        folder.mkdir()
        cursor.execute("INSERT INTO t0 VALUES (1, 'z')")
        database.checkpoint(cursor)
    database.close()
    assert _counts(path) == [3501] + [3500] * 11


def test_doctor_says_that_the_next_opening_mends_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _torn(path, monkeypatch)
    found = {finding.what: finding for finding in examine(load_settings({"data": path}, environ={}))}
    assert found["checkpoint"].level == "warning"
    assert "open the store once" in found["checkpoint"].advice
