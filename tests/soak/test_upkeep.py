"""The short form of the scenario `upkeep`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.upkeep import run


def test_killed_at_a_step_it_leaves_one_whole_store(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) == 8
