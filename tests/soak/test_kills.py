"""The short form of `make soak`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.kills import kill_and_look


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    found = kill_and_look(tmp_path / "soak.duckdb", 2)
    assert [str(one) for one in found if not one.good] == []
    assert 0 < found[0].acknowledged < found[1].acknowledged <= found[1].stored
