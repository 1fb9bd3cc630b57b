"""Answering and taking in: `visavis serve` beside an echo and beside `implicit` behind a plain server.

Every server is a process of its own, so are those who call. All servers run through the whole section and are called
in turn, so that what else the machine does meets them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import util
from typing import Any, NamedTuple

from tests.bench import data, shops
from tests.bench.callers import BATCH, RECOMMEND, RECORD, ROWS, STREAM, WINDOW
from tests.bench.child import Child
from tests.bench.plan import Plan
from tests.bench.report import Row, Table, ratios
from tests.bench.served import fit, visavis_at

_N = 20
_BATCHES_A_SECOND = 100  # so many are sent on the stream for each second that a call is measured
_OURS = "visavis"
_ECHO = "echo"
_PEER = "implicit + server"
_CALM = "visavis, no checkpoint"


class Question(NamedTuple):
    """One kind of call."""

    what: str
    method: str
    n: int
    in_flight: int
    rows: int
    """Customers or interactions in a call."""
    unit: str
    target: str = ""
    """Of our rate beside the echo's, or of the rate itself."""
    quick: bool = True
    """Whether a quick run asks it, too."""


QUESTIONS = (
    Question(f"Recommend {_N}, 64 in flight", RECOMMEND, _N, 64, 1, "calls/s", "≥ 0.9 of the echo"),
    Question(f"Recommend {_N}, 1 in flight", RECOMMEND, _N, 1, 1, "calls/s"),
    Question("BatchRecommend 10 for 1,000", BATCH, 10, 2, ROWS, "customers/s", "≥ 100,000"),
    Question(f"BatchRecommend {_N} for 1,000", BATCH, _N, 2, ROWS, "customers/s", quick=False),
    Question("record one, 64 in flight", RECORD, 0, 64, 1, "calls/s", "≥ 0.7 of the echo"),
)


def run(plan: Plan) -> Iterator[Table]:
    """A table for each set that is served."""
    for name in plan.chosen(("S",), ("S",)):
        if name in data.SHAPES:
            yield _one_set(name, plan)


def _one_set(name: str, plan: Plan) -> Table:
    table = Table("serving", name, "a fitted store, each process on the same machine", "of the echo")
    set_folder, shape = data.prepare(name, plan.cache), data.SHAPES[name]
    store = shops.copy(shops.imported(name, plan.cache), plan.scratch / f"serving-{name}")
    fit(store)
    questions = [one for one in QUESTIONS if one.quick or not plan.quick]
    rounds = plan.rounds(5)
    with ExitStack() as stack:
        client = stack.enter_context(
            Child("tests.bench.callers:callers", n_customers=shape.customers, n_items=shape.items)
        )
        addresses = {_OURS: stack.enter_context(visavis_at(store))}
        sizes = {
            (one.method, one.n): _ask(client, addresses[_OURS], one, min(plan.seconds, 0.5))["response_bytes"]
            for one in questions
        }
        if util.find_spec("implicit") is None:
            table.notes.append("not installed, so left out: implicit; `make bench` installs it")
        else:
            peer = Child("tests.bench.yardsticks:implicit_server", folder=str(set_folder), method=RECOMMEND)
            addresses[_PEER] = stack.enter_context(peer).ask()["address"]
        echo = stack.enter_context(Child("tests.bench.yardsticks:echo", stream=STREAM))
        for one in questions:
            addresses[_ECHO] = echo.ask(sizes={one.method: sizes[one.method, one.n]})["address"]
            _compare(table, client, addresses, one, plan.seconds, rounds)
        if not plan.quick:
            calm = shops.copy(shops.imported(name, plan.cache), plan.scratch / f"serving-{name}-calm")
            addresses[_CALM] = stack.enter_context(visavis_at(calm, VISAVIS_CHECKPOINT_WAL_MB="1000000"))
        _stream(table, client, addresses, max(5, round(plan.seconds * _BATCHES_A_SECOND)), rounds)
    return table


def _ask(client: Child, address: str, one: Question, seconds: float) -> dict[str, Any]:
    call = {"method": one.method, "n": one.n, "in_flight": one.in_flight}
    return client.ask(what="calls", address=address, seconds=seconds, **call)


def _compare(
    table: Table, client: Child, addresses: dict[str, str], one: Question, seconds: float, rounds: int
) -> None:
    """Rows of one question for all servers."""
    who = [name for name in (_OURS, _PEER, _ECHO) if name in addresses and (name != _PEER or one.method == RECOMMEND)]
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for _ in range(rounds):
        for name in who:
            answers[name].append(_ask(client, addresses[name], one, seconds))
    rates = {name: [answer["rate"] * one.rows for answer in told] for name, told in answers.items()}
    for name in who:
        share = ratios(rates[_ECHO], rates[name]) if name != _ECHO else ()
        table.rows.append(Row(one.what, name, one.unit, rates[name], share, one.target if name == _OURS else ""))
    if _PEER in rates and one.in_flight > 1:
        times = ratios(rates[_PEER], rates[_OURS])
        table.rows.append(Row(one.what, f"{_OURS} / {_PEER}", "times", times, target="≥ 2"))
    for key, told in (("p50_ms", "median"), ("p99_ms", "p99"))[: 2 if one.rows == 1 else 1]:
        took = {name: [answer[key] for answer in answers[name]] for name in who}
        limit = "≤ 1.15 of the echo" if one.method == RECOMMEND and one.in_flight == 1 and key == "p50_ms" else ""
        for name in who:
            longer = ratios(took[_ECHO], took[name]) if name != _ECHO else ()
            table.rows.append(
                Row(f"  {told} of a call", name, "ms", took[name], longer, limit if name == _OURS else "")
            )
    first = answers[_OURS][0]
    table.notes.append(
        f"{one.what}: a request has {first['request_bytes']:,} bytes, an answer {first['response_bytes']:,} on average"
    )


def _stream(table: Table, client: Child, addresses: dict[str, str], batches: int, rounds: int) -> None:
    """Rows of the stream of columnar batches."""
    there = {name: addresses[name] for name in (_OURS, _CALM, _ECHO) if name in addresses}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in there}
    for address in there.values():
        client.ask(what="stream", address=address, batches=10)  # compiles, warms up
    for _ in range(rounds):
        for name, address in there.items():
            answers[name].append(client.ask(what="stream", address=address, batches=batches))
    what = f"stream, batches of {ROWS:,}"
    rates = {name: [answer["rate"] for answer in told] for name, told in answers.items()}
    for name in there:
        share = ratios(rates[_ECHO], rates[name]) if name != _ECHO else ()
        table.rows.append(Row(what, name, "events/s", rates[name], share, "≥ 300,000" if name == _OURS else ""))
    for key, told in (("p50_ms", "median"), ("p99_ms", "p99"), ("longest_ms", "longest")):
        for name in there:
            target = "≤ 50" if key == "p99_ms" and name == _CALM else ""
            took = [answer[key] for answer in answers[name]]
            table.rows.append(Row(f"  {told} to an ack", name, "ms", took, target=target))
    size = answers[_OURS][0]["request_bytes"]
    table.notes.append(
        f"{what}: {size:,} bytes each, every interaction with an id of its own, {batches} batches a round, {WINDOW} on "
        "the way at once; each is committed before it is acknowledged"
    )


__all__ = ["QUESTIONS", "Question", "run"]
