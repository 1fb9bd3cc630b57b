"""The benchmark on the smallest set: every section answers its tables, and they can be told. No figure is judged."""

from __future__ import annotations

import json
import math
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from tests.bench import building, data, fresh, picture, scoring, serving, shops, store
from tests.bench.__main__ import main
from tests.bench.child import Child
from tests.bench.plan import Plan
from tests.bench.report import Row, Table, machine, machine_lines, ratios


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets and stores, made once for this module."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def plan(cache: Path, tmp_path: Path) -> Plan:
    """As little as can be measured."""
    return Plan(("T",), quick=True, most_rounds=1, seconds=0.05, cache=cache, scratch=tmp_path)


def told(table: Table) -> str:
    """The table as text, after a look at its figures."""
    for row in table.rows:
        assert row.values
        assert all(math.isfinite(value) and value >= 0 for value in (*row.values, *row.ratios)), row
    json.dumps(table.as_json())
    return "\n".join(table.lines())


def test_the_smallest_set_has_the_shape_that_it_promises() -> None:
    made, shape = data.synthetic(data.SHAPES["T"]), data.SHAPES["T"]
    assert (made.n_customers, made.n_items) == (shape.customers, shape.items)
    assert made.macs == pytest.approx(shape.macs, rel=0.01)
    owner = np.repeat(np.arange(made.n_customers), np.diff(made.indptr))
    assert (np.diff(owner * made.n_items + made.indices) > 0).all(), "rows ascend, and no pair comes twice"
    assert set(np.unique(made.ratings)) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    popularity = np.sort(np.bincount(made.indices, minlength=made.n_items))[::-1]
    assert popularity[: made.n_items // 10].sum() > 0.3 * len(made.indices), "few items have much of what happens"


def test_a_set_is_made_once(cache: Path) -> None:
    folder = data.prepare("T", cache)
    before = (folder / "indices.npy").stat().st_mtime_ns
    assert data.prepare("T", cache) == folder
    assert (folder / "indices.npy").stat().st_mtime_ns == before
    assert data.load(folder).macs == data.synthetic(data.SHAPES["T"]).macs


def test_building(plan: Plan) -> None:
    (table,) = building.run(plan)
    text = told(table)
    for kind in building.KINDS:
        assert f"{kind}, K=20" in text
    for peer in building.PEERS:
        assert peer in text, "measured, or named as absent"
    for row in table.rows:
        assert bool(row.ratios) == (row.who == "visavis" and row.unit == "s" and len({r.who for r in table.rows}) > 1)


@pytest.mark.skipif(util.find_spec("sparse_dot_topn") is None, reason="no peers here: install the extra bench")
def test_peers_and_we_build_the_same_model(cache: Path, tmp_path: Path) -> None:
    folder = str(data.prepare("T", cache))
    for kind in building.KINDS:
        kept = {}
        for who in (building.OURS, *building.PEERS):
            path = tmp_path / f"{who}.npy"
            building.competitor(who, folder, kind)(20, str(path))
            kept[who] = np.load(path)
        for peer in building.PEERS:
            np.testing.assert_allclose(kept[building.OURS], kept[peer], atol=1e-5)


def test_scoring(plan: Plan) -> None:
    (table,) = scoring.run(plan)
    assert "one customer, one call" in told(table)
    assert "many customers, one call" in told(table)


def test_serving(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [one for one in serving.QUESTIONS if one.rows == 1 and one.in_flight == 1]
    monkeypatch.setattr(serving, "QUESTIONS", few)
    (table,) = serving.run(plan)
    text = told(table)
    for what in [one.what for one in few] + ["stream, batches of 1,000"]:
        assert {"visavis", "echo"} <= {row.who for row in table.rows if row.what == what}, text


def test_fresh(plan: Plan) -> None:
    (table,) = fresh.run(plan)
    text = told(table)
    assert next(row for row in table.rows if row.what == "interactions taken in").values[0] > 0, text
    assert "p99 from commit to refreshed table" in text


def test_store(plan: Plan) -> None:
    (table,) = store.run(plan)
    assert "disk to served model" in told(table)


def test_a_store_in_the_cache_stays_as_it_was_imported(plan: Plan) -> None:
    kept = shops.imported("T", plan.cache)
    before = kept.read_bytes()
    copied = shops.copy(kept, plan.scratch / "copied")
    with Child("tests.bench.store:fitting", store=str(copied)) as child:
        assert "item_similarity" in child.ask()["fitted"]
    assert kept.read_bytes() == before
    assert shops.imported("T", plan.cache) == kept


def test_a_child_that_fails_says_why() -> None:
    with (
        Child("tests.bench.building:competitor", who="visavis", folder="/no/such/folder", kind="cosine") as child,
        pytest.raises(RuntimeError, match="No such file"),
    ):
        child.ask(k=20)


def test_a_table_tells_medians_spreads_ratios_and_targets() -> None:
    table = Table(
        "building", "S", "a title", "faster", [Row("this", "visavis", "s", [0.2, 0.1, 0.4], [2.0, 4.0, 1.0], "≥ 3")]
    )
    line = list(table.lines())[-1]
    for part in ("this", "visavis", "0.2", "0.1 – 0.4", "2.00 (1.00 – 4.00)", "≥ 3"):
        assert part in line
    assert table.as_json()["rows"][0]["median"] == 0.2
    assert ratios([2.0, 4.0], [4.0, 4.0]) == [2.0, 1.0]


def test_the_machine_is_told() -> None:
    about = machine()
    assert about["versions"]["duckdb"]
    assert str(about["cores"]) in "\n".join(machine_lines(about))


def test_a_picture_is_drawn_or_said_to_be_left_out(tmp_path: Path) -> None:
    tables = [
        Table("building", "S", "", rows=[Row("cosine, K=20", who, "s", [0.1]) for who in ("visavis", "implicit")]),
        Table("building", "M", "", rows=[Row("cosine, K=20", who, "s", [1.1]) for who in ("visavis", "implicit")]),
        Table("serving", "S", "", rows=[Row("Recommend", who, "calls/s", [1000]) for who in ("visavis", "echo")]),
    ]
    path = tmp_path / "bench.svg"
    line = picture.draw([table.as_json() for table in tables], machine(), path)
    if util.find_spec("matplotlib") is None:
        assert "matplotlib is not installed" in line
    else:
        assert path.read_text().startswith("<?xml")
        assert str(path) in line
    assert "no picture" in picture.draw([], machine(), path)


def test_the_command_writes_tables_and_json(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    path = tmp_path / "figures.json"
    assert main(["scoring", "--size", "T", "--quick", "--json", str(path)]) == 0
    read = json.loads(path.read_text())
    assert read["tables"][0]["section"] == "scoring"
    assert read["machine"]["cores"] >= 1
    said = capsys.readouterr().out
    assert str(cache) in said
    assert "one customer, one call" in said
    with pytest.raises(SystemExit):
        main(["no such section"])
    assert "known are building, scoring, serving, fresh, store" in capsys.readouterr().err
