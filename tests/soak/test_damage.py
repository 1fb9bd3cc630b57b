"""The short form of `python -m tests.soak damage`, and its judgement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.soak.damage import judge, run


def test_damage_is_detected_or_survived(tmp_path: Path) -> None:
    found = list(run(tmp_path, full=False, seed=2))
    assert [str(one) for one in found if not one.good] == []
    assert any("refused" in one.text for one in found)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ({"died": "with -11"}, "DIED"),
        ({"broke": "KeyError()"}, "BROKE"),
        ({"refused": "no", "doctor": ["x"]}, "REFUSED WITHOUT A WAY OUT"),
        ({"refused": "no; do that", "doctor": []}, "REFUSED, THE DOCTOR IS CONTENT"),
        ({"unreadable": "no", "doctor": []}, "UNREADABLE, THE DOCTOR IS CONTENT"),
        ({"digests": {"items": [1]}, "doctor": [], "again": 0}, "SILENT"),
        ({"digests": {"items": [2]}, "doctor": [], "again": 3}, "TWICE"),
        ({"digests": {"items": [2]}, "doctor": ["x"], "again": 0}, "FALSE ALARM"),
    ],
)
def test_what_breaks_the_promise(result: dict[str, Any], verdict: str) -> None:
    told, good = judge(result, {"items": [2]})
    assert (told.partition(":")[0], good) == (verdict, False)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ({"refused": "no; do that", "doctor": ["x"]}, "refused"),
        ({"unreadable": "no", "doctor": ["x"]}, "found when read"),
        ({"digests": {"items": [1]}, "doctor": ["x"], "again": 0}, "found by the doctor alone"),
        ({"digests": {"items": [2]}, "doctor": [], "again": 0}, "harmless"),
    ],
)
def test_what_keeps_it(result: dict[str, Any], verdict: str) -> None:
    told, good = judge(result, {"items": [2]})
    assert (told.partition(":")[0], good) == (verdict, True)
