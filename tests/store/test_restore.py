"""Restoring: the store as it was, of a new lineage, muted; what was there before is moved aside, whole."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

import visavis
from visavis import Customer, Identifier, Interaction, Item
from visavis.config import load_settings
from visavis.engine import Engine
from visavis.errors import Conflict, NotFound, StoreDamaged, StoreError, StoreInUse, StoreUnwritable
from visavis.store import Store
from visavis.store import restore as restoring
from visavis.store.restore import restore_backup

SETTINGS = load_settings({"linger_ms": 0}, environ={})


def record(shop: Engine, name: str, customers: int = 6) -> list[Interaction]:
    rows = [
        Interaction("purchase", f"c{c}", f"i{i}", interaction_id=f"{name}-{c}-{i}")
        for c in range(customers)
        for i in range(6)
        if c != i
    ]
    shop.identify.record(rows, request_id=name)
    return rows


def answers(shop: Engine) -> list[Any]:
    return [
        (one.scorer, one.fallback_reason, one.generation, one.items)
        for scorer in ("item_similarity", "popularity", "repeat")
        for one in shop.customize.recommend_many(["c0", "c1", "nobody"], 6, scorer=scorer)
    ] + [shop.similar("i0"), shop.profile("c0")]


def tables(shop: Engine) -> dict[str, Any]:
    with shop.store.cursor() as cursor:
        found = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
        return {
            name: cursor.execute(f'SELECT count(*), sum(hash("a row")) FROM "{name}" "a row"').fetchall()
            for (name,) in found
        }


@pytest.fixture
def saved(open_shop: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Engine, Path]:
    """A fitted shop and its backup; time stands still, because popularity weighs by time."""
    monkeypatch.setattr("visavis.customize.recommending.now_us", lambda: 1_800_000_000_000_000)
    shop = open_shop()
    record(shop, "first")
    shop.identify.upsert_items([Item("i0", "Tea ☕")])
    shop.identify.upsert_customers([Customer("c0", identifiers=(Identifier("email", "c0@example.com"),))])
    shop.fit()
    backup = tmp_path / "kept" / "b.duckdb"
    backup.parent.mkdir()
    shop.admin.backup(backup)
    return shop, backup


def test_a_restored_store_is_the_one_that_was_saved(saved: tuple[Engine, Path], tmp_path: Path) -> None:
    shop, backup = saved
    before, rows, mark = answers(shop), tables(shop), shop.store.mark
    # Ranking was recorded since; these two tables are the only ones that answers add to.
    for name in ("decisions", "decision_candidates", "store_state"):
        rows.pop(name)
    path = tmp_path / "elsewhere" / "new.duckdb"
    path.parent.mkdir()
    restored = restore_backup(backup, path)
    assert (restored.path, restored.aside, restored.missing_commits) == (str(path), "", None)
    assert (restored.lineage, restored.rows["interactions"]) == (2, 30)
    assert path.stat().st_mode & 0o777 == 0o600
    with visavis.open(path, settings=SETTINGS, create=False) as again:
        assert again.store.warnings == ()
        assert {name: count for name, count in tables(again).items() if name in rows} == rows
        assert again.store.mark == (type(mark))(mark.store_id, 2, restored.sequence)
        assert again.admin.status().muted
        assert answers(again) == before
        assert set(tables(again)) == set(tables(shop))


def test_the_store_that_was_there_is_moved_aside(saved: tuple[Engine, Path], tmp_path: Path) -> None:
    shop, backup = saved
    later = record(shop, "later", 5)
    acknowledged = shop.store.mark
    # A log that was not checkpointed belongs to the store, too.
    copy = tmp_path / "live"
    copy.mkdir()
    for path in (shop.store.path, shop.store.path.with_name("shop.duckdb.wal")):
        shutil.copy(path, copy)
    shutil.copytree(shop.store.folder, copy / "shop.duckdb.d", ignore=shutil.ignore_patterns("lock", "owner"))
    shop.close()
    data = copy / "shop.duckdb"
    (copy / "shop.duckdb.d" / "base").write_bytes(b"a cache of the store that was there")
    (copy / "shop.duckdb.d" / "keys.json").write_text("{}")
    data.chmod(0o640)
    with pytest.raises(Conflict, match=r"shop\.duckdb exists; .* --replace"):
        restore_backup(backup, data)
    restored = restore_backup(backup, data, replace=True)
    assert restored.missing_commits == acknowledged.sequence - restored.sequence > 0
    assert data.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in copy.iterdir()) == ["shop.duckdb", "shop.duckdb.d"]
    assert sorted(path.name for path in (copy / "shop.duckdb.d").iterdir()) == [
        "aside", "high-water", "keys.json", "lock"
    ]  # fmt: skip
    aside = Path(restored.aside)
    assert (aside.parent / "shop.duckdb.d" / "base").exists()
    (aside.parent / "shop.duckdb.d" / "base").unlink()
    with visavis.open(aside, settings=SETTINGS, create=False) as old:
        assert old.store.warnings == ()
        assert old.store.mark == acknowledged
        assert old.admin.status().interactions == 30 + len(later)
    with visavis.open(data, settings=SETTINGS, create=False) as again:
        assert again.store.warnings == ()
        # Neither the ids nor the request id are known: they came after the backup.
        assert again.identify.record(later, request_id="later").recorded == len(later)
        assert record(again, "first")
        assert again.admin.status().interactions == 30 + len(later)
    second = restore_backup(backup, data, replace=True)
    assert second.lineage == 3
    assert second.aside != restored.aside


@pytest.mark.parametrize("damage", [b"no store at all, but a long enough text", b"\0" * 9000])
def test_a_damaged_store_is_replaced_and_kept(saved: tuple[Engine, Path], tmp_path: Path, damage: bytes) -> None:
    shop, backup = saved
    record(shop, "later")
    acknowledged = shop.store.mark
    shop.close()
    data = shop.store.path
    data.write_bytes(damage)
    restored = restore_backup(backup, data, replace=True)
    assert restored.missing_commits == acknowledged.sequence - restored.sequence
    assert Path(restored.aside).read_bytes() == damage
    with visavis.open(data, settings=SETTINGS, create=False) as again:
        assert again.store.warnings == ()
        assert again.admin.status().interactions == 30


def test_a_store_that_is_gone_comes_back(saved: tuple[Engine, Path]) -> None:
    shop, backup = saved
    record(shop, "later")
    shop.close()
    shop.store.path.unlink()
    restored = restore_backup(backup, shop.store.path)
    assert restored.aside == ""
    assert restored.missing_commits == 1
    with visavis.open(shop.store.path, settings=SETTINGS, create=False) as again:
        assert again.store.warnings == ()


def test_a_log_without_a_file_is_not_laid_on_the_restored_store(saved: tuple[Engine, Path], tmp_path: Path) -> None:
    _, backup = saved
    path = tmp_path / "new.duckdb"
    log = path.with_name("new.duckdb.wal")
    log.write_bytes(b"an old log")
    with pytest.raises(Conflict, match=r"new\.duckdb\.wal exists"):
        restore_backup(backup, path)
    restore_backup(backup, path, replace=True)
    assert not log.exists()
    assert [one.read_bytes() for one in tmp_path.rglob("new.duckdb.wal")] == [b"an old log"]
    with Store.open(path, SETTINGS) as store:
        assert store.warnings == ()


def test_an_owned_store_is_left_alone(saved: tuple[Engine, Path]) -> None:
    shop, backup = saved
    with pytest.raises(StoreInUse, match="is in use by process"):
        restore_backup(backup, shop.store.path, replace=True)
    assert record(shop, "later")


def test_bad_backups_and_targets(saved: tuple[Engine, Path], tmp_path: Path) -> None:
    _, backup = saved
    path = tmp_path / "new.duckdb"
    with pytest.raises(NotFound, match="does not exist"):
        restore_backup(tmp_path / "nowhere", path)
    with pytest.raises(Conflict, match="is the backup itself"):
        restore_backup(backup, backup, replace=True)
    with pytest.raises(Conflict, match="is a folder"):
        restore_backup(backup, tmp_path)
    with pytest.raises(StoreUnwritable, match="missing does not exist"):
        restore_backup(backup, tmp_path / "missing" / "new.duckdb")
    with duckdb.connect(str(backup)) as connection:
        connection.execute("DELETE FROM items")
    with pytest.raises(StoreDamaged, match="items holds 0 rows, and 6 were copied"):
        restore_backup(backup, path)
    assert sorted(one.name for one in tmp_path.glob("new*")) == []


def test_a_full_disk_is_told(saved: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, backup = saved
    path = tmp_path / "new.duckdb"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(StoreUnwritable, match="and 1 MiB are free; free some space"):
        restore_backup(backup, path)
    assert list(tmp_path.glob("new.duckdb*")) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own, with these options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        try:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if mounted.returncode:
            pytest.skip(f"a file system cannot be mounted: {mounted.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def test_a_disk_that_fills_up(
    saved: tuple[Engine, Path], disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, backup = saved
    folder = disk(f"size={backup.stat().st_size // 2}")
    monkeypatch.setattr(restoring, "_check_space", lambda *_: None)
    with pytest.raises(StoreUnwritable, match=r"could not be restored|is full"):
        restore_backup(backup, folder / "new.duckdb")
    assert [one.name for one in folder.iterdir()] == ["new.duckdb.d"]


def test_a_read_only_folder(saved: tuple[Engine, Path], disk: Callable[[str], Path]) -> None:
    shop, backup = saved
    folder = disk("ro")
    with pytest.raises(StoreUnwritable, match="Read-only file system"):
        restore_backup(backup, folder / "new.duckdb")
    with pytest.raises(StoreUnwritable, match="may not be written"):
        shop.admin.backup(folder / "b.duckdb")


def test_a_restore_that_was_broken_off_is_told(saved: tuple[Engine, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    shop, backup = saved
    shop.close()
    data = shop.store.path

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(restoring, "sync", fail)
    monkeypatch.setattr(restoring, "_prepare", lambda backup, copy, *_: _prepared(backup, copy))
    with pytest.raises(StoreUnwritable, match="could not be restored"):
        restore_backup(backup, data, replace=True)
    monkeypatch.undo()
    assert not data.exists()
    for create in (True, False):
        with pytest.raises(StoreError, match=r"was broken off.*do it again: visavis restore FILE"):
            Store.open(data, SETTINGS, create=create)
    restored = restore_backup(backup, data)
    with visavis.open(data, settings=SETTINGS, create=False) as again:
        assert again.store.warnings == ()
        assert again.admin.status().interactions == 30
    assert restored.made_at < datetime.now(UTC)


@pytest.mark.parametrize("there", [True, False])
def test_a_log_that_a_broken_restore_left_goes_to_its_file(
    saved: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    shop, backup = saved
    record(shop, "later")
    copy = tmp_path / "killed"
    copy.mkdir()
    for path in (shop.store.path, shop.store.path.with_name("shop.duckdb.wal")):
        shutil.copy(path, copy)
    shutil.copytree(shop.store.folder, copy / "shop.duckdb.d", ignore=shutil.ignore_patterns("lock", "owner"))
    data = copy / "shop.duckdb"
    if not there:
        (copy / "shop.duckdb.d" / "high-water").unlink()
    rename, moved = Path.rename, []

    def once(path: Path, target: Path) -> Path:
        if moved:
            raise OSError(5, "Input/output error")
        moved.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(StoreUnwritable, match="could not be restored"):
        restore_backup(backup, data, replace=True)
    monkeypatch.undo()
    assert moved == [data]
    with pytest.raises(StoreError, match=r"was broken off.*do it again: visavis restore FILE"):
        Store.open(data, SETTINGS)
    restored = restore_backup(backup, data, replace=True)
    assert restored.missing_commits == (1 if there else None)
    aside = Path(restored.aside)
    assert [one.name for one in copy.rglob("shop.duckdb.wal")] == [aside.name + ".wal"]
    assert list(copy.glob("shop.duckdb.d/aside/*/shop.duckdb")) == [aside]
    with visavis.open(aside, settings=SETTINGS, create=False) as old:
        assert old.admin.status().interactions == 60
        assert bool(old.store.warnings) is not there


def _prepared(backup: Path, copy: Path) -> Any:
    shutil.copy(backup, copy)
    return restoring.Mark("x", 1, 1)


def test_what_costs_nothing_to_see_is_refused_before_anything_is_read(
    saved: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the backup was read")

    shop, backup = saved
    monkeypatch.setattr(restoring, "verify_backup", read)
    there = tmp_path / "there.duckdb"
    there.touch()
    with pytest.raises(Conflict, match="exists; name another path"):
        restore_backup(backup, there)
    with pytest.raises(Conflict, match="is the backup itself"):
        restore_backup(backup, backup, replace=True)
    with pytest.raises(StoreInUse, match="this very process"):
        restore_backup(backup, shop.store.path, replace=True)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(StoreUnwritable, match="free some space"):
        restore_backup(backup, tmp_path / "new.duckdb")
