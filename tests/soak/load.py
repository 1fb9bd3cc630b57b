"""Many callers for a long time: single durable interactions beside recommendations; no error, and nothing grows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.soak.found import Found
from tests.soak.serving import Callers, Served, Tally, Vitals, make_store, served

import visavis

_CALLERS = 64
_TIMEOUT_S = 30.0
_LOOKS = 20
# What may come on top of what is recorded: allocators and DuckDB's buffers do not give back at once.
_SLACK_MB = 48.0
_KB_A_CALL = 1.0  # an interaction, or an answer with its ten rows, in memory until the next checkpoint or fit


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """64 callers that record beside 64 that ask, for five minutes (short: a few seconds)."""
    customers = 4000 if full else 60
    size = {"items": 1500, "days": 365} if full else {"items": 60, "days": 90}
    path = make_store(folder, customers=customers, seed=seed, **size)
    warm_s, seconds = (30.0, 270.0) if full else (1.0, 3.0)
    with served(path, log_level="warning") as server:
        with visavis.connect(server.address) as client:
            before = client.admin.status().interactions
        asyncio.run(_load(server, warm_s, seed, customers, []))  # once, so that all that is lazy is there
        idle = server.vitals()
        looks: list[Vitals] = []
        asked, recorded = asyncio.run(_load(server, seconds, seed + 1, customers, looks))
        yield Found(set(asked.codes) == {"OK"}, f"{_CALLERS} callers asked for {seconds:.0f} s: {asked}")
        yield Found(set(recorded.codes) == {"OK"}, f"{_CALLERS} callers recorded meanwhile: {recorded}")
        yield from _growth(idle, looks, server.vitals(), len(asked.good_ms) + len(recorded.good_ms))
        with visavis.connect(server.address) as client:
            now = client.admin.status().interactions
    with visavis.open(path) as shop:
        stored = shop.admin.status().interactions
    good = now == stored and stored - before >= len(recorded.good_ms)
    yield Found(
        good, f"{stored - before:,} interactions came in, {len(recorded.good_ms):,} were acknowledged while we measured"
    )


async def _load(server: Served, seconds: float, seed: int, customers: int, looks: list[Vitals]) -> tuple[Tally, Tally]:
    callers = Callers(server.address, seed, customers=customers)

    async def look() -> None:
        for _ in range(_LOOKS):
            await asyncio.sleep(seconds / (_LOOKS + 1))
            looks.append(await asyncio.to_thread(server.vitals))

    asked, recorded, _ = await asyncio.gather(
        callers.ask(_CALLERS, seconds, timeout=_TIMEOUT_S),
        callers.record(_CALLERS, seconds, timeout=_TIMEOUT_S),
        look(),
    )
    await callers.close()
    return asked, recorded


def _growth(before: Vitals, looks: list[Vitals], after: Vitals, calls: int) -> Iterator[Found]:
    """Memory while the load lasts, by halves; threads, files and tasks when it is over."""
    early, late = (median(one.resident_mb for one in half) for half in (looks[: _LOOKS // 2], looks[_LOOKS // 2 :]))
    allowed = _SLACK_MB + calls * _KB_A_CALL / 1024
    yield Found(
        late - early < allowed, f"memory {early:.0f} MiB in the first half, {late:.0f} in the second ({calls:,} calls)"
    )
    for what in ("threads", "files", "tasks"):
        was, now = getattr(before, what), getattr(after, what)
        most = max(getattr(one, what) for one in looks)
        yield Found(now <= was + 4, f"{what}: {was} before, at most {most} under load, {now} after")


__all__ = ["run"]
