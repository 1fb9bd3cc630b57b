"""`visavis demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from tests.cli.conftest import Command


def test_the_story(run_process: Command, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    ended = run_process("demo", env={"TMPDIR": str(folder), "VISAVIS_DATA": "not-touched.duckdb"})
    assert ended.code == 0
    chapters = [line for line in ended.out.splitlines() if line.startswith("== ")]
    assert len(chapters) == 5
    assert "(guessed)" in ended.out
    assert ended.out.count("because you bought") >= 10
    assert "not personal, a fall-back: unknown customer" in ended.out
    last = ended.out.splitlines()[-1]
    assert last.startswith("New in the list, because of that: ")
    assert not last.endswith("nothing, this time")
    assert list(folder.iterdir()) == []
    assert not Path("not-touched.duckdb").exists()


def test_the_parts_as_json(run: Command) -> None:
    before = set(Path(tempfile.gettempdir()).glob("visavis-demo-*"))
    parts = run("demo", "--format", "json").json
    assert parts.keys() == {"import", "fit", "answers", "after"}
    assert [one["fallback"] for one in parts["answers"]] == [False, False, False, True]
    first = [one["item_id"] for one in parts["answers"][0]["items"]]
    assert first != [one["item_id"] for one in parts["after"]["items"]]
    assert set(Path(tempfile.gettempdir()).glob("visavis-demo-*")) <= before


def test_what_is_kept_can_be_used(run: Command) -> None:
    ended = run("demo", "--keep", "mine", "--seed", 2)
    assert ended.code == 0
    command = ended.out.splitlines()[-1].partition("visavis ")[2].split()
    assert run(*command).code == 0
    again = run("demo", "--keep", "mine")
    assert again.code == 1
    assert "not empty" in again.err


@pytest.mark.parametrize(("option", "value"), [("--seed", "-1"), ("--keep", "file")])
def test_wrong_options(run: Command, option: str, value: str) -> None:
    Path("file").write_text("in the way")
    ended = run("demo", option, value)
    assert ended.code == 1
    assert option in ended.err
