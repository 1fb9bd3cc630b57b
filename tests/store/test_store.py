"""Opening a store: what is none is refused with a clear line and left as it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import visavis
from visavis.config import Settings
from visavis.errors import NotAStore, NotFound, StoreBehind, StoreInUse, StoreTooNew, StoreUnwritable, Unavailable
from visavis.store import Operation, Store
from visavis.store.migrations import latest_version

VIEWS = {
    "consent_state",
    "customer_profiles",
    "decision_log",
    "identity_map",
    "interaction_log",
    "item_neighbours",
    "rfm",
    "segments",
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def refused(path: Path, settings: Settings, error: type[Exception], words: str) -> None:
    """Refused with one line, and nothing that was there is changed."""
    before = digest(path) if path.is_file() else None
    with pytest.raises(error, match=words) as caught:
        Store.open(path, settings)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or str(path.parent) in str(caught.value)
    if before is not None:
        assert digest(path) == before


def test_a_new_store_has_an_identity_and_is_muted(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings) as store:
        first = store.mark
        assert (store.schema_version, store.warnings, first.sequence) == (latest_version(), (), 0)
        with store.cursor() as cursor:
            assert cursor.execute("SELECT muted, fitted_generation FROM store_state").fetchall() == [(True, 0)]
    with Store.open(path, plain_settings) as store:
        assert store.mark == first
    assert (path.parent / "shop.duckdb.d").stat().st_mode & 0o077 == 0


def test_what_is_no_store_is_refused(tmp_path: Path, plain_settings: Settings) -> None:
    (tmp_path / "sales.csv").write_text("customer,item\n1,2\n" * 10)
    refused(tmp_path / "sales.csv", plain_settings, NotAStore, "is not a DuckDB file.*visavis import")
    (tmp_path / "empty").touch()
    refused(tmp_path / "empty", plain_settings, NotAStore, "is empty")
    (tmp_path / "short").write_bytes(b"DUCK")
    refused(tmp_path / "short", plain_settings, NotAStore, "is not a DuckDB file")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", plain_settings, NotAStore, "is a folder")
    # No litter beside files of other people.
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "folder", "sales.csv", "short"]


def test_another_duckdb_file_is_refused(path: Path, plain_settings: Settings) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE orders (id INTEGER)")
    refused(path, plain_settings, NotAStore, r"no Visavis store \(it holds orders\)")


def test_an_empty_file_in_the_place_of_a_store_is_refused(path: Path, plain_settings: Settings) -> None:
    """DuckDB makes one for whoever opens a name that is not there."""
    with Store.open(path, plain_settings) as store:
        for _ in range(2):
            store.writer.run(Operation(lambda tx: tx.sequence))
        mark = store.mark
    path.rename(path.with_name("kept"))
    duckdb.connect(str(path)).close()
    for _ in range(2):
        refused(path, plain_settings, StoreBehind, "is an empty DuckDB file, and held 2 commits .* put the store back")
    path.with_name("kept").rename(path)
    with Store.open(path, plain_settings) as store:
        assert (store.mark, store.warnings) == (mark, ())
    path.unlink()
    (path.parent / "shop.duckdb.d" / "high-water").unlink()
    duckdb.connect(str(path)).close()
    with Store.open(path, plain_settings) as store:
        assert store.mark.sequence == 0


def test_a_newer_store_is_refused(path: Path, plain_settings: Settings) -> None:
    Store.open(path, plain_settings).close()
    with duckdb.connect(str(path)) as later:
        later.execute("INSERT INTO migrations VALUES (99, 'later', now()::TIMESTAMP, '9.0')")
        later.execute("CHECKPOINT")
    refused(path, plain_settings, StoreTooNew, "schema version 99, this Visavis .* knows 1; install")


def test_folders_that_cannot_hold_a_store(tmp_path: Path, plain_settings: Settings) -> None:
    refused(tmp_path / "missing" / "s.duckdb", plain_settings, StoreUnwritable, "does not exist; create it")
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "s.duckdb", plain_settings, StoreUnwritable, "file")
    (tmp_path / "s.duckdb.d").touch()
    refused(tmp_path / "s.duckdb", plain_settings, StoreUnwritable, "s.duckdb.d")
    with pytest.raises(NotFound, match=r"there is no store at .* make one with `visavis import"):
        Store.open(tmp_path / "none.duckdb", plain_settings, create=False)
    assert not (tmp_path / "none.duckdb.d").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_is_refused(tmp_path: Path, plain_settings: Settings) -> None:
    tmp_path.chmod(0o500)
    try:
        refused(tmp_path / "s.duckdb", plain_settings, StoreUnwritable, "may be written|cannot be made")
    finally:
        tmp_path.chmod(0o700)


def test_one_owner_in_one_process(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings, purpose="first"):
        with pytest.raises(StoreInUse, match="first"):
            Store.open(path, plain_settings)
        (path.parent / "link.duckdb").symlink_to(path)
        with pytest.raises(StoreInUse):
            Store.open(path.parent / "link.duckdb", plain_settings)
    Store.open(path, plain_settings).close()


OTHER = """
import sys
import visavis
try:
    visavis.open(sys.argv[1])
except visavis.VisavisError as error:
    print(error.reason, error)
"""


def test_one_owner_among_processes(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings, purpose="the till"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        told = subprocess.run(
            [sys.executable, "-c", OTHER, str(path)], capture_output=True, text=True, env=environment, check=True
        ).stdout
    assert told.startswith("STORE_IN_USE")
    assert str(os.getpid()) in told
    assert "the till" in told


def test_what_a_crash_left_in_scratch_folders_is_emptied(path: Path, plain_settings: Settings) -> None:
    with Store.open(path, plain_settings) as store:
        (store.scratch("uploads") / "half").write_text("x")
    with Store.open(path, plain_settings) as store:
        assert list(store.scratch("uploads").iterdir()) == []


def test_a_closed_store_says_so(path: Path, plain_settings: Settings) -> None:
    store = Store.open(path, plain_settings)
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closing"):
        store.writer.run(Operation(lambda tx: None))


def test_an_empty_store_goes_without_the_rejects_of_another(path: Path, plain_settings: Settings) -> None:
    folder = path.with_name("shop.duckdb.d")
    for before, left in (("none", False), ("empty", False), ("full", True)):
        if before != "none":
            (folder / "rejects").mkdir(parents=True)
        if before == "full":
            (folder / "rejects" / "earlier.csv").write_text("x")
        store = Store.open(path, plain_settings)
        if before == "none":
            (folder / "rejects").mkdir()
            (folder / "rejects" / "own.csv").write_text("x")
        (folder / "checkpoint.partial").touch()
        store.close(keep_empty=False)
        assert not path.exists()
        assert folder.exists() == left
    assert (folder / "rejects" / "earlier.csv").read_text() == "x"
    assert not (folder / "checkpoint.partial").exists()


def test_every_view_can_be_read_by_plain_duckdb(path: Path, plain_settings: Settings) -> None:
    with visavis.open(path, settings=plain_settings) as shop:
        shop.identify.upsert_items([visavis.Item("tea", "Tea"), visavis.Item("milk"), visavis.Item("cup")])
        shop.identify.record(
            [
                visavis.Interaction(
                    "purchase",
                    customer,
                    item,
                    amount=visavis.Money(amount, currency),
                    interaction_id=f"{customer}-{item}",
                )
                for customer, item, amount, currency in (
                    ("ann", "tea", 1250, "EUR"),
                    ("ann", "milk", 500, "JPY"),
                    ("bob", "tea", 1250, "EUR"),
                    ("bob", "milk", 500, "EUR"),
                )
            ]
        )
        shop.identify.record(
            [visavis.Interaction("return", "ann", "tea", amount=visavis.Money(1250, "EUR"), reverses_id="ann-tea")]
        )
        shop.identify.set_consent("ann", visavis.Consent("personalization", False))
        shop.fit()
        shop.recommend("bob", 2)
    with duckdb.connect(str(path), read_only=True) as plain:
        views = plain.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert {name for (name,) in views} == VIEWS
        empty = {name for (name,) in views if not plain.execute(f"SELECT * FROM {name}").fetchall()}
        assert empty == set()
        log = plain.execute(
            "SELECT customer_id, item_id, item_name, amount, currency FROM interaction_log "
            "WHERE kind = 'purchase' ORDER BY ALL"
        ).fetchall()
        assert log[:2] == [("ann", "milk", None, 500.0, "JPY"), ("ann", "tea", "Tea", 12.5, "EUR")]
        rfm = plain.execute("SELECT customer_id, currency, frequency, monetary FROM rfm ORDER BY ALL").fetchall()
        assert rfm == [("ann", "EUR", 1, 0.0), ("ann", "JPY", 1, 500.0), ("bob", "EUR", 1, 17.5)]
        profiles = plain.execute(
            "SELECT customer_id, interactions, may_personalize FROM customer_profiles ORDER BY ALL"
        ).fetchall()
        assert profiles == [("ann", 3, False), ("bob", 2, True)]


def test_asking_for_an_open_store_does_not_give_up_its_lock(path: Path, plain_settings: Settings) -> None:
    opening = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    with Store.open(path, plain_settings):
        with pytest.raises(StoreInUse):
            Store.open(path, plain_settings)
        other = subprocess.run([sys.executable, "-c", opening, str(path)], capture_output=True, text=True, check=False)
    assert "lock" in other.stderr
