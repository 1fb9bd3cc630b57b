"""Lines about calls: what they say, that they are the same by whichever way they go, and that none is lost."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.rpc import logs
from visavis.rpc.logs import CallLines, JsonLines, log_to_stderr

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process that does nothing but serve would write; afterwards the process logs as before."""
    text = io.StringIO()
    ours = logging.getLogger("visavis")
    before = ours.handlers, ours.level, ours.propagate
    for place, name in (
        (logging, "lastResort"),
        (logging, "raiseExceptions"),
        (logs.warnings, "showwarning"),
        (logs.sys, "excepthook"),
        (logs.sys, "unraisablehook"),
        (logs.threading, "excepthook"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr(logs.sys, "stderr", text)
    log_to_stderr("info")
    yield text
    ours.handlers, ours.propagate = before[0], before[2]
    ours.setLevel(before[1])


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    at=st.floats(0, 4e9),
    ms=st.floats(0, 1e6).map(lambda value: round(value, 3)),
    size=st.integers(0, 2**40),
    texts=st.tuples(*[st.text(max_size=20)] * 3),
    level=st.sampled_from([logging.DEBUG, logging.INFO]),
)
def test_the_quick_way_writes_what_the_long_way_does(
    at: float, ms: float, size: int, texts: tuple[str, str, str], level: int
) -> None:
    rpc, reason, key = texts
    line = logs._CallLine(at, level, rpc, "NOT_FOUND", ms, size, reason, key)
    assert line.text() == JsonLines().format(line.record()) + "\n"


def test_lines_for_stderr_are_gathered_and_come_by_themselves(stderr: io.StringIO) -> None:
    async def run() -> None:
        lines = CallLines()
        for number in range(3):
            lines.add(logging.INFO, RECOMMEND, "OK", 0.5, number, "", "web")
        assert not stderr.getvalue()
        async with asyncio.timeout(10):
            while stderr.getvalue().count("\n") < 3:
                await asyncio.sleep(0.01)
        lines.add(logging.INFO, RECOMMEND, "OK", 0.5, 3, "", "")
        lines.write()  # as a server that stops does
        lines.write()

    asyncio.run(run())
    entries = [json.loads(line) for line in stderr.getvalue().splitlines()]
    assert [entry["received_bytes"] for entry in entries] == [0, 1, 2, 3]
    assert [entry.get("key") for entry in entries] == ["web", "web", "web", None]


def test_many_lines_do_not_wait(stderr: io.StringIO) -> None:
    async def run() -> None:
        lines = CallLines()
        for number in range(2500):
            lines.add(logging.INFO, RECOMMEND, "OK", 0.5, number, "", "")
        assert stderr.getvalue().count("\n") == 2000
        lines.write()

    asyncio.run(run())
    assert [json.loads(line)["received_bytes"] for line in stderr.getvalue().splitlines()] == list(range(2500))


def test_a_log_that_nobody_reads_any_more_ends_no_call(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(stderr, "write", gone)

    async def run() -> None:
        lines = CallLines()
        lines.add(logging.INFO, RECOMMEND, "OK", 0.5, 1, "", "")
        lines.write()

    asyncio.run(run())
    assert not stderr.getvalue()


def test_other_handlers_hear_of_each_call_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        lines = CallLines()
        lines.add(logging.INFO, RECOMMEND, "NOT_FOUND", 1.5, 7, "UNKNOWN_CUSTOMER", "web")
        assert len(caplog.records) == 1

    with caplog.at_level(logging.INFO, "visavis.rpc"):
        asyncio.run(run())
    (record,) = caplog.records
    fields: Any = record.__dict__["fields"]
    assert record.getMessage() == "call"
    assert fields == {
        "rpc": RECOMMEND, "code": "NOT_FOUND", "ms": 1.5, "received_bytes": 7,
        "reason": "UNKNOWN_CUSTOMER", "key": "web",
    }  # fmt: skip
