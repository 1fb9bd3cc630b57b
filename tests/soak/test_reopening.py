from __future__ import annotations

from pathlib import Path

from tests.soak.reopening import run


def test_a_killed_store_is_served_from_what_was_kept(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert len(found) == 2
    assert [one for one in found if not one.good] == []
