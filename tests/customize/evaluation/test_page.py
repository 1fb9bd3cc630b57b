"""The page of an evaluation: well formed, and names of plugins cannot break out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

from visavis.customize.evaluation.page import page_of
from visavis.evaluation import Compared, Evaluation, Judged, Measure

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "rect", "line", "circle"}


class Nesting(HTMLParser):
    """Remembers what is open; fails where what is closed is not what was opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(judged: tuple[Judged, ...], compared: tuple[Compared, ...] = (), **failed: str) -> Evaluation:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    return Evaluation(noon, noon, 3, 40, 9, 1, judged, compared, failed)


def line(scorer: str, task: str, ndcg: float, error: float | None = 0.01, *, baseline: bool = False) -> Judged:
    measures = (Measure("ndcg", 10, ndcg, error), Measure("coverage", 10, ndcg / 2, None))
    return Judged(scorer, baseline, task, 12, measures, 0.5)


def test_it_is_well_formed_and_escaped() -> None:
    judged = (line(EVIL, "cold", 0.5), line("popular_ever", "cold", 0.25, baseline=True))
    compared = (Compared("cold", EVIL, "popular_ever", "ndcg", 10, 0.25, 0.1, 0.4, "better"),)
    page = page_of(report(judged, compared, **{EVIL: EVIL}))
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    assert "script" not in nesting.seen
    assert "&lt;script&gt;" in page
    assert "0.2500 ±0.0100" in page


def test_nothing_right_and_one_customer_can_be_drawn() -> None:
    page = page_of(report((line("a", "new_only", 0.0, None), line("b", "new_only", 0.0, None))))
    assert "nan" not in page.lower().replace("finance", "")
    assert "What customers with a past bought for the first time" in page
