"""`visavis import` and `visavis fit`."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Command

import visavis
from visavis.cli.progress import ProgressReport
from visavis.testing.shop import SimulatedShop

HEADER = "customer,item,time,quantity,price\n"


def test_import_says_what_it_guessed_and_took(run: Command, sales: Path, shop: SimulatedShop) -> None:
    ended = run("import", sales, "--data", "new.duckdb")
    assert ended.code == 0
    assert "  item         StockCode   (guessed)\n" in ended.out
    assert f"{len(shop.rows):,} rows in " in ended.out
    assert "returns are tied to the purchase" in ended.out
    assert "store: 0 of" in ended.err
    assert "\x1b" not in ended.err


def test_counts_add_up_and_a_second_import_adds_nothing(run: Command, sales: Path, shop: SimulatedShop) -> None:
    first = run("import", sales, "--data", "new.duckdb", "--format", "json").json
    outcomes = ("interactions", "returns", "without_customer", "already_known", "rejected")
    assert sum(first[name] for name in outcomes) == first["rows"] == len(shop.rows)
    assert first["columns"]["customer"] == "Customer ID"
    assert first["source"] == "sales.csv"
    second = run("import", sales, "--data", "new.duckdb", "--format", "json").json
    assert second["already_known"] == second["rows"] == len(shop.rows)


def test_columns_can_be_named_and_switched_off(run: Command, sales: Path) -> None:
    report = run(
        "import", sales, "--data", "new.duckdb", "--format", "json", "--customer", "Customer ID", "--name", "",
        "--source", "till", "--kind", "view", "--currency", "GBP", "--time-zone", "Europe/London",
    ).json  # fmt: skip
    assert report["source"] == "till"
    assert "customer" not in report["guessed"]
    assert "name" not in report["columns"]


def test_refused_rows_are_counted_told_and_kept(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(
        HEADER + "ann,tea,2025-01-01 10:00,1,2.50\nbob,,2025-01-01 10:00,1,2.50\ncy,tea,yesterd\x1bay,1,2.50\n"
        "dee,tea,2025-01-01 10:00,NaN,2.50\n"
    )
    ended = run("import", file, "--data", "new.duckdb", "--time", "time")
    assert ended.code == 0
    assert "3  refused" in ended.out
    assert "refused because of" in ended.out
    assert r"yesterd\x1bay" in ended.out
    assert "\x1b" not in ended.out
    rejects = Path(ended.out.partition("all refused rows are in ")[2].strip())
    with rejects.open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"", "empty"),
        (HEADER.encode(), "no rows"),
        (b"a,b\n1,2\n", "--item COLUMN"),
        (b"PAR1 cut off", "cannot be read"),
        (b"PK\x03\x04", "zip"),
    ],
)
def test_a_file_that_cannot_be_used(run: Command, tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "sales.csv"
    if content is not None:
        file.write_bytes(content)
    ended = run("import", file, "--data", "new.duckdb")
    assert ended.code == 1
    assert said in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("visavis: ")
    assert list(Path().glob("new.duckdb*")) == []


def test_a_column_that_the_file_lacks(run: Command, sales: Path) -> None:
    ended = run("import", sales, "--data", "new.duckdb", "--item", "Sku")
    assert ended.code == 1
    assert "'Sku'" in ended.err
    assert "StockCode" in ended.err


def test_a_file_that_is_no_store(run: Command, sales: Path) -> None:
    before = sales.read_bytes()
    ended = run("import", sales, "--data", sales)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert sales.read_bytes() == before


def test_fit_tells_what_it_learnt(run: Command, sales: Path) -> None:
    run("import", sales, "--data", "new.duckdb")
    ended = run("fit", "--data", "new.duckdb")
    assert ended.code == 0
    assert ended.out.startswith("generation 1: learnt from ")
    assert "item_similarity" in ended.out
    again = run("fit", "--data", "new.duckdb", "--format", "json")
    assert again.json["generation"] == 2
    assert again.json["segmenters"] == ["rfm"]


def test_fit_makes_no_store(run: Command) -> None:
    ended = run("fit", "--data", "none.duckdb")
    assert ended.code == 1
    assert "none.duckdb" in ended.err
    assert not Path("none.duckdb").exists()


def test_fit_names_a_plugin_that_fails(run: Command, data: Path, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "sulky.py").write_text(
        "from visavis import Scorer, hookimpl\n\n\nclass Sulky(Scorer):\n    name = 'sulky'\n    mode = 'fitted'\n\n"
        "    def fit(self, history):\n        raise RuntimeError('not today')\n\n"
        "    def score(self, customers, candidates):\n        raise RuntimeError('never')\n\n\n"
        "@hookimpl\ndef visavis_scorers():\n    return [Sulky]\n"
    )
    ended = run("fit", "--data", data, "--plugins-dir", tmp_path / "plugins")
    assert ended.code == 0
    assert "item_similarity" in ended.out
    assert "plugin sulky failed" in ended.err
    assert "not today" in ended.err


def test_a_store_made_for_nothing_takes_nothing_else_with_it(run: Command) -> None:
    bad = Path("bad.csv")
    bad.write_bytes(b"a,b\n1,2\n")
    assert run("keys", "create", "--scopes", "read", "--data", "new.duckdb").code == 0
    assert run("import", bad, "--data", "new.duckdb").code == 1
    assert not Path("new.duckdb").exists()
    assert sorted(one.name for one in Path("new.duckdb.d").iterdir()) == ["keys.json", "keys.json.lock", "lock"]
    bad.write_text(HEADER + "ann,tea,2025-01-01,1,2.50\n")
    assert run("import", bad, "--data", "new.duckdb").code == 0


def test_a_store_that_was_there_stays_also_empty(run: Command) -> None:
    visavis.open("new.duckdb").close()
    Path("bad.csv").write_bytes(b"a,b\n1,2\n")
    assert run("import", "bad.csv", "--data", "new.duckdb").code == 1
    assert run("status", "--data", "new.duckdb").code == 0


def test_the_log_is_as_private_as_the_store(run: Command, sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the mask of whoever runs the command lets all read."""
    log, modes = Path("new.duckdb.wal"), set()

    def look(self: object, progress: object) -> None:
        if log.exists():
            modes.add(log.stat().st_mode & 0o777)

    monkeypatch.setattr(ProgressReport, "__call__", look)
    before = os.umask(0o000)
    try:
        assert run("import", sales, "--data", "new.duckdb").code == 0
        Path("new.duckdb").chmod(0o640)  # a store that its owner shares
        assert run("fit", "--data", "new.duckdb").code == 0
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert modes == {0o600, 0o640}
