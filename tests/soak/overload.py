"""Ten times the load that a server can bear: it goes on answering, refuses the rest, and is well at once afterwards.

Callers who share the cores with the server and wait as they are asked to should get at least four fifths of its best;
other work on the machine between two measurements spoils that figure, and the one by core, told beside it, shows
whether it did. Callers who do not wait, and a flood of ten times as many questions a second (by hand-written HTTP/2:
gRPC's client for Python costs more than the server), take cores from it. A call that gRPC drops before we see it costs
about fifty microseconds of all threads (an estimate), and one that we refuse more, so nine of them cost more than an
answer: on two cores the answers of a flood cannot stay what they were. What the server makes of the cores that are left
to it is judged (by core), what callers get in all is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.soak.flood import Flood
from tests.soak.found import Found
from tests.soak.serving import RECOMMEND, Callers, Served, Tally, make_store, served

import visavis

_TIMEOUT_S = 2.0
_CONNECTIONS = (1, 4, 64)
_LEAST_SHARE = 0.8
_LEAST_SHARE_BESIDE_HAMMERING = 0.6  # by core
_MOST_GROWTH_MB = 200.0
_KNOWN = {
    "OK",
    "RESOURCE_EXHAUSTED",  # refused by us
    "DEADLINE_EXCEEDED",
    "CANCELLED",  # refused by gRPC before we saw it: too many waited to be taken in
    "UNAVAILABLE",  # refused by gRPC: too many streams on one connection
}


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """Find the peak, ask ten times as much in three ways, then as little as at first."""
    customers = 4000 if full else 60
    size = {"items": 1500, "days": 365} if full else {"items": 60, "days": 90}
    path = make_store(folder, customers=customers, seed=seed, **size)
    seconds = 15.0 if full else 1.0
    with served(path, log_level="warning") as server:
        yield from asyncio.run(_try(server, seconds, seed, customers, full))
        with visavis.connect(server.address) as client:
            good = bool(client.recommend("10001").items)
        yield Found(good, "a client that comes afterwards is answered")


async def _try(server: Served, seconds: float, seed: int, customers: int, full: bool) -> list[Found]:
    callers = Callers(server.address, seed, customers=customers)
    await callers.ask(8, seconds / 2, timeout=_TIMEOUT_S)
    found, calm = [], {}
    for number in (8, 16, 32, 64):
        calm[number] = await _measured(server, seconds, callers.ask(number, seconds, timeout=_TIMEOUT_S))
        found.append(Found(True, f"{number} callers: {calm[number]}"))
    peak = max(one.rate for one in calm.values())
    peak_by_core = max(one.rate / one.cores for one in calm.values())
    memory = server.vitals().resident_mb
    most = 640 if full else 320
    waiting = f"{most} callers who wait when they are asked to"
    ways: dict[str, Awaitable[Tally]] = {
        waiting: callers.ask(most, seconds, timeout=_TIMEOUT_S),
        f"{most} callers who do not wait": callers.ask(most, seconds, timeout=_TIMEOUT_S, patient=False),
    }
    for connections in _CONNECTIONS:
        flood = Flood(server.address, RECOMMEND, callers.question, connections=connections)
        name = f"{10 * peak:.0f} questions a second, {connections} connections"
        ways[name] = asyncio.to_thread(flood.ask_at, 10 * peak, seconds, timeout=_TIMEOUT_S)
    for name, way in ways.items():
        one = await _measured(server, seconds, way)
        share, by_core = one.rate / peak, one.rate / one.cores / peak_by_core
        polite = name == waiting
        kept = share >= _LEAST_SHARE if polite else by_core >= _LEAST_SHARE_BESIDE_HAMMERING
        # A few seconds beside other work say nothing about speed, so the short form asks only how calls ended.
        good = set(one.tally.codes) <= _KNOWN and (kept or not full)
        told = f"{share:.0%} of the peak, {by_core:.0%} of it for each core that the server got"
        found.append(Found(good, f"{name}: {told}; {one}{_refusals(one.tally)}"))
    grown = server.vitals().resident_mb - memory
    found.append(Found(grown < _MOST_GROWTH_MB, f"memory grew by {grown:.0f} MiB"))
    one = await _measured(server, seconds, callers.ask(8, seconds, timeout=_TIMEOUT_S))
    share = one.rate / one.cores / (calm[8].rate / calm[8].cores)
    good = set(one.tally.codes) == {"OK"} and (share >= _LEAST_SHARE or not full)
    found.append(Found(good, f"8 callers at once afterwards: {share:.0%} of what they had before by core; {one}"))
    await callers.close()
    return found


@dataclass(frozen=True, slots=True)
class _Measured:
    """Good answers a second, and how many cores the server got for them."""

    rate: float
    cores: float
    tally: Tally

    def __str__(self) -> str:
        return f"{self.rate:.0f} answers a second with {self.cores:.2f} cores, {self.tally}"


async def _measured(server: Served, seconds: float, load: Awaitable[Tally]) -> _Measured:
    before, began = server.vitals().cpu_s, time.monotonic()
    tally = await load
    used = max(server.vitals().cpu_s - before, 0.01)
    return _Measured(len(tally.good_ms) / seconds, used / (time.monotonic() - began), tally)


def _refusals(tally: Tally) -> str:
    told = ""
    if tally.refused_ms:
        told += f"; refused by us within {median(tally.refused_ms):.0f} ms (median)"
    if tally.dropped_ms:
        told += f"; dropped by gRPC within {median(tally.dropped_ms):.0f} ms"
    return told


__all__ = ["run"]
