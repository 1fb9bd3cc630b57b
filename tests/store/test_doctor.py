"""Real files, really damaged: the doctor names what is wrong, changes nothing, and repairs keep what can be kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from visavis.config import Settings, load_settings
from visavis.errors import Conflict, NotAStore, NotFound, StoreBehind, StoreDamaged, StoreInUse, StoreTooNew
from visavis.model import PluginInfo
from visavis.store import Operation, Store, Transaction
from visavis.store.doctor import Finding, examine
from visavis.store.high_water import HighWater, Mark
from visavis.store.repair import accept_restore, move_aside_wal

COMMITS = 20
FIRST = 8  # commits in the file itself; the later ones are in the log alone
CRASH = f"""
import os, sys
from pathlib import Path
from visavis.config import load_settings
from visavis.store import Operation, Store
store = Store.open(Path(sys.argv[1]), load_settings({{}}, environ={{}}))
def add(tx):
    tx.cursor.execute(
        "INSERT INTO customers SELECT r + 10 * ?, 'c' || (r + 10 * ?), NULL, repeat('x', 400), now(), now() "
        "FROM range(10) t(r)", [tx.sequence, tx.sequence])
for number in range({COMMITS}):
    if number == {FIRST}:
        with store.cursor() as cursor:
            cursor.execute("CHECKPOINT")
    store.writer.run(Operation(add, exclusive=True))
os._exit(9)
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store whose process died after its last commit."""
    folder = tmp_path_factory.mktemp("crashed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", CRASH, str(folder / "shop.duckdb")], env=environment, check=False)
    assert ended.returncode == 9
    return folder


@pytest.fixture
def data(crashed: Path, tmp_path: Path) -> Path:
    """The crashed store, to be damaged."""
    shutil.copytree(crashed, tmp_path / "it's here")
    return tmp_path / "it's here" / "shop.duckdb"


def settings(data: Path) -> Settings:
    return load_settings({"data": data}, environ={})


def found(data: Path, what: str, *levels: str) -> list[Finding]:
    return [
        finding
        for finding in examine(settings(data))
        if finding.what == what and (not levels or finding.level in levels)
    ]


def only(data: Path, what: str) -> Finding:
    (finding,) = found(data, what)
    return finding


def customers(data: Path) -> int:
    with Store.open(data, settings(data), create=False) as store, store.cursor() as cursor:
        ((count,),) = cursor.execute("SELECT count(*) FROM customers").fetchall()
    return int(count)


def files(data: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(data.parent.rglob("*")) if path.is_file()}


def flip(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0x10
    path.write_bytes(content)


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def log(data: Path) -> Path:
    return data.with_name(data.name + ".wal")


def test_a_sound_store_has_no_complaints(tmp_path: Path) -> None:
    data = tmp_path / "shop.duckdb"
    with Store.open(data, settings(data)):
        pass
    findings = examine(settings(data))
    assert [f for f in findings if f.level == "error"] == []
    assert [(f.what, f.advice) for f in findings if f.level == "warning" and f.what != "disk"] == [
        ("generation", "visavis fit")
    ]
    assert {"duckdb", "folder", "disk", "log", "schema", "high-water", "contents"} <= {f.what for f in findings}


def test_a_crashed_store_is_well_and_only_looked_at(data: Path) -> None:
    before = files(data)
    findings = examine(settings(data))
    assert files(data) == before
    assert [f for f in findings if f.level == "error"] == []
    assert only(data, "owner").level == "warning"
    assert "the next opening replays it" in only(data, "log").detail
    assert only(data, "high-water").detail == f"no commit is missing; the last is {COMMITS}"
    assert f"{COMMITS * 10:,} customers" in [f.detail for f in found(data, "contents")]
    assert customers(data) == COMMITS * 10


def test_a_store_in_use_is_looked_at_from_outside(data: Path) -> None:
    with Store.open(data, settings(data), purpose="visavis serve") as store:
        store.owner.announce("127.0.0.1:50051", "secret")
        findings = examine(settings(data))
        assert not any(f.level == "error" for f in findings)
        owner = only(data, "owner")
        assert "visavis serve" in owner.detail
        assert "127.0.0.1:50051" in owner.detail
        assert only(data, "high-water").detail == f"the last commit acknowledged is {COMMITS}"
        assert found(data, "contents") == []
        assert "secret" not in str(findings)
        with pytest.raises(StoreInUse):
            accept_restore(data)
        with pytest.raises(StoreInUse):
            move_aside_wal(data)


def test_a_file_open_elsewhere_without_being_owned(data: Path) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (finding,) = found(data, "file")
        process.kill()
    assert finding.level == "error"
    assert "is open in another process" in finding.detail


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"", "is empty"), (b"invoice,item\n1,2\n" * 50, "is not a DuckDB file")],
)
def test_what_is_no_duckdb_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    data = tmp_path / "shop.duckdb"
    if content is not None:
        data.write_bytes(content)
    finding = only(data, "file")
    assert finding.level == "error"
    assert words in finding.detail
    assert finding.advice
    with pytest.raises((NotFound, NotAStore)):
        accept_restore(data)
    with pytest.raises((NotFound, NotAStore)):
        move_aside_wal(data)
    with pytest.raises((NotFound, NotAStore)):
        move_aside_wal(Path("a\0b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if content is None else ["shop.duckdb"])


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", ""])
def test_paths_that_are_none(tmp_path: Path, name: str) -> None:
    finding = only(tmp_path / name, "file")
    assert finding.level == "error"
    assert finding.advice


def test_somebody_elses_duckdb_file(tmp_path: Path) -> None:
    data = tmp_path / "other.duckdb"
    with duckdb.connect(str(data)) as connection:
        connection.execute("CREATE TABLE sales (a INTEGER)")
    assert "no Visavis store" in only(data, "schema").detail
    with pytest.raises(NotAStore):
        accept_restore(data)
    with duckdb.connect(str(data)) as connection:
        connection.execute("CREATE TABLE migrations (a INTEGER)")
        connection.execute("CREATE TABLE store_state (a INTEGER)")
    assert "is not as Visavis left it" in only(data, "contents").detail


def test_a_store_of_a_later_version(data: Path) -> None:
    with duckdb.connect(str(data)) as connection:
        connection.execute("INSERT INTO migrations VALUES (9999, 'later', now(), '99.0')")
    finding = only(data, "schema")
    assert (finding.level, finding.advice) == ("error", "install the version that wrote it, or a later one")
    assert "schema version 9999" in finding.detail
    with pytest.raises(StoreTooNew):
        accept_restore(data)


def test_a_file_that_was_not_made_to_its_end(data: Path) -> None:
    with duckdb.connect(str(data)) as connection:
        connection.execute("DELETE FROM store_state")
    assert "was not made to its end" in only(data, "schema").detail


def break_log(data: Path) -> None:
    """Make the log one that DuckDB refuses. (Where a bit is wrong in a length, version 2 ends the log there.)"""
    whole = log(data).read_bytes()
    for share in (0.9, 0.8, 0.7, 0.6):
        flip(log(data), share)
        if found(data, "log", "error"):
            return
        log(data).write_bytes(whole)
    pytest.fail("DuckDB takes every damaged log")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.75, 0.9])
def test_a_wrong_bit_in_the_log_is_never_silent(data: Path, share: float) -> None:
    flip(log(data), share)
    before = files(data)
    errors = [f for f in examine(settings(data)) if f.level == "error"]
    assert "high-water" in {f.what for f in errors}
    with pytest.raises((StoreBehind, StoreDamaged)):
        Store.open(data, settings(data))
    after = files(data)
    owner = str(data.with_name("shop.duckdb.d") / "owner")
    assert before.pop(owner)
    assert after == before


def test_a_log_that_cannot_be_replayed(data: Path) -> None:
    """The file alone holds the first commits; the log is kept; a person says that the store goes on."""
    break_log(data)
    damaged = log(data).read_bytes()
    finding = found(data, "log", "error")[0]
    assert "cannot be replayed" in finding.detail
    assert "--move-aside-wal" in finding.advice
    assert f"ends at commit {FIRST}" in only(data, "high-water").detail
    assert sorted(path.name for path in data.parent.iterdir()) == ["shop.duckdb", "shop.duckdb.d", "shop.duckdb.wal"]
    with pytest.raises(StoreDamaged):
        accept_restore(data)
    assert log(data).read_bytes() == damaged

    aside = move_aside_wal(data)
    assert aside.read_bytes() == damaged
    assert aside.parent == data.with_name("shop.duckdb.d") / "aside"
    assert not log(data).exists()
    with pytest.raises(StoreBehind, match=f"{COMMITS - FIRST} commits are missing"):
        Store.open(data, settings(data))
    assert accept_restore(data).lineage == 2
    assert customers(data) == FIRST * 10
    assert not any(f.level == "error" for f in examine(settings(data)))
    assert aside.read_bytes() == damaged


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_log_that_lost_its_end(data: Path, share: float) -> None:
    """DuckDB takes what is whole without a word: only the high-water mark tells."""
    cut(log(data), share)
    rest = log(data).read_bytes()
    finding = only(data, "high-water")
    assert finding.level == "error"
    assert "--accept-restore" in finding.advice
    (count,) = [int(f.detail.split()[0]) for f in found(data, "contents") if f.detail.endswith("customers")]
    assert FIRST * 10 <= count < COMMITS * 10
    assert count % 10 == 0
    with pytest.raises(Conflict, match="can be replayed"):
        move_aside_wal(data)
    mark = accept_restore(data)
    assert (mark.lineage, mark.sequence) == (2, count // 10)
    assert HighWater(data.with_name("shop.duckdb.d")).read() == mark
    (kept,) = (data.with_name("shop.duckdb.d") / "aside").iterdir()
    assert kept.read_bytes() == rest
    assert customers(data) == count
    with pytest.raises(Conflict, match="nothing to accept"):
        accept_restore(data)


def test_a_log_of_rubbish_is_kept_too(data: Path) -> None:
    log(data).write_bytes(b"rubbish" * 100)
    assert f"{COMMITS - FIRST} commits are missing" in only(data, "high-water").detail
    accept_restore(data)
    (kept,) = (data.with_name("shop.duckdb.d") / "aside").iterdir()
    assert kept.read_bytes() == b"rubbish" * 100
    assert customers(data) == FIRST * 10


def test_an_old_log_beside_a_newer_file(data: Path) -> None:
    """DuckDB 1.5 replays it once more without a word; version 2 knows better."""
    old = log(data).read_bytes()
    assert customers(data) == COMMITS * 10
    assert not log(data).exists()
    log(data).write_bytes(old)
    if duckdb.__version__.startswith("1."):
        (finding,) = found(data, "contents", "error")
        assert f"{(COMMITS - FIRST) * 10} of {(2 * COMMITS - FIRST) * 10} customers stand twice" in finding.detail
        assert str(log(data)) in finding.advice
        log(data).unlink()
    else:
        assert len(found(data, "log", "error")) == 1
        assert move_aside_wal(data).read_bytes() == old
    assert found(data, "contents", "error") == []
    assert customers(data) == COMMITS * 10


@pytest.mark.parametrize("share", [0.002, 0.1, 0.2])
def test_a_file_that_was_cut(data: Path, share: float) -> None:
    cut(data, share)
    (finding,) = found(data, "file", "error")
    assert "cannot be read" in finding.detail
    assert finding.advice == "make the store from a backup: visavis restore BACKUP --replace"
    with pytest.raises(StoreDamaged):
        move_aside_wal(data)
    assert log(data).exists()


def test_wrong_bits_in_the_file_never_pass(data: Path) -> None:
    """Wherever a bit is wrong, it is found, or it lies in a block that nothing uses and all rows are there."""
    whole = data.read_bytes()
    noticed = 0
    for tenth in range(10):
        data.write_bytes(whole)
        flip(data, tenth / 10)
        findings = examine(settings(data))
        errors = [f for f in findings if f.level == "error"]
        noticed += bool(errors)
        assert errors or f"{COMMITS * 10:,} customers" in [f.detail for f in findings]
    assert noticed > 0


def test_a_wrong_bit_in_the_first_header(data: Path) -> None:
    content = bytearray(data.read_bytes())
    content[12] ^= 1
    data.write_bytes(content)
    assert only(data, "file").level == "error"


def test_a_copy_without_its_folder_is_a_warning(data: Path) -> None:
    shutil.rmtree(data.with_name("shop.duckdb.d"))
    finding = only(data, "high-water")
    assert (finding.level, "copy or a restore" in finding.detail) == ("warning", True)
    with pytest.raises(Conflict, match="nothing to accept"):
        accept_restore(data)


def test_a_mark_of_another_store_is_a_warning(data: Path) -> None:
    high_water = HighWater(data.with_name("shop.duckdb.d"))
    high_water.write(Mark("other", 1, 999))
    high_water.close()
    assert only(data, "high-water").level == "warning"


def test_a_log_that_grew_too_large(data: Path) -> None:
    with log(data).open("ab") as stream:
        stream.truncate(5 << 20)
    small = load_settings({"data": data, "checkpoint_wal_mb": 1}, environ={})
    (finding,) = [f for f in examine(small) if f.what == "log" and f.level == "warning"]
    assert "5.0 MiB" in finding.detail


def test_the_fitted_generation_and_its_age(data: Path) -> None:
    def fit(transaction: Transaction) -> None:
        transaction.cursor.execute(
            "INSERT INTO generations VALUES (3, '2026-01-02 03:04', ?, 1, 1, 1, 0, '0')", [FIRST]
        )
        transaction.cursor.execute("UPDATE store_state SET fitted_generation = 3")
        transaction.cursor.execute(
            "INSERT INTO interactions (sequence, interaction_id, id_hash, identity_code, item_code, kind_code, "
            "occurred_at, quantity, recorded_at) SELECT ?, 'i' || range, range, 0, 0, 0, now(), 1, now() FROM range(5)",
            [transaction.sequence],
        )

    with Store.open(data, settings(data)) as store:
        store.writer.run(Operation(fit))
    finding = only(data, "generation")
    assert (finding.level, finding.detail) == ("ok", "generation 3, fitted 2026-01-02 03:04 UTC, 5 interactions ago")


def test_broken_plugins_are_named(data: Path) -> None:
    def plugin(name: str, error: str) -> PluginInfo:
        return PluginInfo(name, "scorer", "1", f"{name}.py", True, {}, error=error)

    findings = examine(settings(data), (plugin("sound", ""), plugin("newest", "ImportError: no module named x")))
    (finding,) = [f for f in findings if f.what == "plugins"]
    assert finding.level == "warning"
    assert "newest (newest.py) is left out: ImportError" in finding.detail


def test_a_folder_that_may_not_be_written(crashed: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "shop.duckdb"
        shutil.copy(crashed / "shop.duckdb", data)
        data.chmod(0o444)
        data.parent.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # permissions do not stop root
        try:
            findings = found(data, "folder", "error")
        finally:
            if root:
                os.seteuid(0)
            data.parent.chmod(0o755)
    assert [f.detail for f in findings] == [f"{data.parent} may not be written", f"{data} may not be written"]


def test_a_file_in_the_folders_place(data: Path) -> None:
    shutil.rmtree(data.with_name("shop.duckdb.d"))
    data.with_name("shop.duckdb.d").write_text("mine")
    (finding,) = found(data, "folder", "error")
    assert "is not a folder" in finding.detail


def test_a_link_is_followed(data: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(data)
    assert only(link, "high-water").level == "ok"
    break_log(data)
    assert f"ends at commit {FIRST}" in only(link, "high-water").detail
    assert move_aside_wal(link).parent == data.with_name("shop.duckdb.d") / "aside"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's here", "link.duckdb"]


def test_nothing_to_move(data: Path) -> None:
    with pytest.raises(Conflict, match="can be replayed"):
        move_aside_wal(data)
    assert customers(data) == COMMITS * 10
    with pytest.raises(NotFound, match="no write-ahead log"):
        move_aside_wal(data)
