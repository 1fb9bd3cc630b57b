"""A bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest

from visavis.cli.progress import ProgressReport
from visavis.model import Progress


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_at_most_one_a_second_or_one_a_step() -> None:
    stream, clock = io.StringIO(), _Clock()
    with ProgressReport(stream, clock=clock) as report:
        for done in range(0, 3000, 10):
            report(Progress("store", done, 3000))
            clock.now += 0.01
        report(Progress("tidy\n", 0, 0))
        report(Progress("tidy\n", 7, 0))
    assert stream.getvalue().splitlines() == [
        "store: 0 of 3,000 (0 %)",
        "store: 1,000 of 3,000 (33 %)",
        "store: 2,000 of 3,000 (66 %)",
        r"tidy\n ...",
    ]


def test_a_bar_that_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream, clock = _Terminal(), _Clock()
    with ProgressReport(stream, clock=clock) as report:
        report(Progress("read", 0, 0))
        report(Progress("store", 500, 1000))
        clock.now += 1
        report(Progress("store", 2000, 1000))
    drawn = stream.getvalue().split("\r\x1b[K")
    assert drawn[1] == "read ..."
    assert drawn[2] == "[############............] store: 500 of"[:39]
    assert drawn[3].startswith("[########################] store: 2,000")
    assert drawn[4] == ""
    assert all(len(one) < 40 for one in drawn)
