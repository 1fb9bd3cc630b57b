"""The commands that look after a store: plugins, snapshot, doctor."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from tests.cli.conftest import Command

import visavis

NEWEST = """\
import numpy as np
from visavis import Scorer, hookimpl


class Newest(Scorer):
    name = "newest"
    live = True

    def score(self, customers, candidates):
        return np.tile(np.arange(len(candidates), dtype=np.float64), (len(customers), 1))


@hookimpl
def visavis_scorers():
    return [Newest]
"""


def test_plugins_need_no_store(run: Command) -> None:
    ended = run("plugins", "--data", "none.duckdb")
    assert ended.code == 0
    assert ended.out.splitlines()[0].split() == ["kind", "name", "version", "source", "on/off", "health"]
    names = [line.split()[1] for line in ended.out.splitlines()[1:]]
    assert {"popularity", "repeat", "item_similarity", "rfm", "console", "file"} <= set(names)
    assert not Path("none.duckdb").exists()
    plugins = run("plugins", "--format", "json").json["plugins"]
    schema = next(one["options_schema"] for one in plugins if one["name"] == "item_similarity")
    assert schema["type"] == "object"


def test_plugins_of_a_folder(run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "newest.py").write_text(NEWEST)
    (folder / "broken.py").write_text("raise RuntimeError('oh \\x1b[31mno')\n")
    monkeypatch.setenv("VISAVIS_DISABLED_PLUGINS", "repeat")
    ended = run("plugins", "--plugins-dir", folder)
    lines = {line.split()[1]: line for line in ended.out.splitlines()}
    assert ended.code == 0
    assert lines["newest"].endswith("ok")
    assert "oh \\x1b[31mno" in lines["broken"]
    assert "\x1b" not in ended.out
    assert " off " in lines["repeat"]
    assert ended.err.startswith("visavis: warning: ")
    assert ended.err.count("\n") == 1


def test_a_plugin_of_a_folder_answers(run: Command, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "newest.py").write_text(NEWEST)
    assert run("fit", "--data", data, "--plugins-dir", folder).code == 0
    ended = run("recommend", "10001", "--scorer", "newest", "--data", data, "--plugins-dir", folder)
    assert ended.code == 0
    assert "by newest" in ended.out


def test_snapshot(run: Command, fitted: Path) -> None:
    ended = run("snapshot", "copy.duckdb", "--data", fitted)
    assert ended.code == 0
    assert ended.out.startswith("copy.duckdb: ")
    with duckdb.connect("copy.duckdb", read_only=True) as copy:
        assert copy.execute("SELECT count(DISTINCT customer_id) FROM customers").fetchall() == [(60,)]
    again = run("snapshot", "copy.duckdb", "--data", fitted)
    assert again.code == 1
    assert "copy.duckdb" in again.err
    as_json = run("snapshot", "second.duckdb", "--data", fitted, "--format", "json").json
    assert as_json["bytes"] == Path("second.duckdb").stat().st_size


def test_doctor_finds_nothing(run: Command, fitted: Path) -> None:
    ended = run("doctor", "--data", fitted)
    assert ended.code == 0
    assert "error" not in ended.out
    findings = run("doctor", "--data", fitted, "--format", "json").json
    assert findings["repairs"] == []
    assert {one["what"] for one in findings["findings"]} >= {"duckdb", "schema", "contents", "generation"}


@pytest.mark.parametrize("content", [None, b"", b"no store at all, but a long enough text to be looked into\n" * 99])
def test_doctor_with_what_is_no_store(run: Command, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd.duckdb"
    if content is not None:
        path.write_bytes(content)
    ended = run("doctor", "--data", path)
    assert ended.code == 1
    assert "error    file" in ended.out
    assert ended.err == ""


def test_doctor_tells_of_plugins_it_cannot_load(run: Command, fitted: Path) -> None:
    ended = run("doctor", "--data", fitted, "--plugins-dir", "nowhere")
    assert ended.code == 1
    assert "error    plugins" in ended.out
    assert "nowhere" in ended.out


def test_doctor_accepts_a_restore(run: Command, data: Path, tmp_path: Path) -> None:
    earlier = data.read_bytes()
    with visavis.open(data) as shop:
        shop.identify.record([visavis.Interaction("purchase", "ann", "tea")])
    data.write_bytes(earlier)
    refused = run("status", "--data", data)
    assert refused.code == 1
    assert "--accept-restore" in refused.err
    assert run("doctor", "--data", data).code == 1
    accepted = run("doctor", "--accept-restore", "--data", data)
    assert accepted.code == 0
    assert accepted.out.startswith("accepted: ")
    assert run("status", "--data", data).code == 0
    nothing = run("doctor", "--accept-restore", "--data", data)
    assert nothing.code == 1
    assert "nothing to accept" in nothing.err


def test_doctor_moves_no_log_that_is_not_there(run: Command, data: Path) -> None:
    ended = run("doctor", "--move-aside-wal", "--data", data)
    assert ended.code == 1
    assert "no write-ahead log" in ended.err
