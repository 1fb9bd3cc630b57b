"""The short form of `python -m tests.soak checkpoints`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.checkpoints import run


def test_kills_within_checkpoints_lose_nothing(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert " 0 commits" not in found[-1].text
