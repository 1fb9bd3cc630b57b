"""The short forms of the scenarios of load."""

from __future__ import annotations

from pathlib import Path

from tests.soak import load, overload


def test_many_callers_beside_each_other_meet_no_error_and_nothing_leaks(tmp_path: Path) -> None:
    found = list(load.run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) == 7


def test_a_server_with_too_much_to_do_stays_well(tmp_path: Path) -> None:
    found = list(overload.run(tmp_path, full=False, seed=1))
    assert [str(one) for one in found if not one.good] == []
    assert len(found) == 12
