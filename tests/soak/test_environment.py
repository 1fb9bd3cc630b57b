"""The short form of `python -m tests.soak environment`."""

from __future__ import annotations

from pathlib import Path

from tests.soak.environment import run


def test_what_surrounds_a_store_goes_wrong(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) > 20
