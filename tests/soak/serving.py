"""A server in a process of its own, its vital signs, and callers of it: what the scenarios of load share."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

import visavis
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1 import types_pb2 as types_pb
from visavis.testing.shop import simulate_shop

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
RECORD = "/visavis.api.v1.InteractionService/RecordInteractions"
_REPOSITORY = Path(__file__).resolve().parents[2]


def make_store(folder: Path, *, customers: int, items: int, days: int, seed: int) -> Path:
    """A fitted store with the sales of a simulated shop. Its customers are 10001, 10002 …"""
    shop = simulate_shop(customers=customers, items=items, days=days, seed=seed)
    path = folder / "shop.duckdb"
    with visavis.open(path) as engine:
        engine.identify.import_file(shop.write_csv(folder / "sales.csv"))
        engine.fit()
    return path


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds at one moment, and the seconds of processor time that it has used."""

    resident_mb: float
    threads: int
    files: int
    tasks: int
    cpu_s: float


class Served:
    """`visavis serve` in a child process, which tells the number of its asyncio tasks when asked."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def vitals(self) -> Vitals:
        folder = Path(f"/proc/{self.process.pid}")
        self.process.send_signal(signal.SIGUSR1)
        assert self.process.stdout is not None
        tasks = json.loads(self.process.stdout.readline())["tasks"]
        pages = int((folder / "statm").read_text().split()[1])
        times = (folder / "stat").read_text().rpartition(")")[2].split()
        return Vitals(
            pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            len(list((folder / "task").iterdir())),
            len(list((folder / "fd").iterdir())),
            tasks,
            (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        )


@contextmanager
def served(path: Path, **settings: object) -> Iterator[Served]:
    """Serve the store while the `with` block runs; then stop the server as an operator would.

    Its log lies beside the store, in `serve.log`. Raises `RuntimeError` if it does not start, or does not end well.
    """
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    log = path.with_name("serve.log")
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.soak.serving", "serve"),
                *("--data", str(path), "--format", "json", "--listen", "127.0.0.1:0", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=_REPOSITORY,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.endswith("}\n"):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
                said += line
            yield Served(process, json.loads(said)["address"])
            process.send_signal(signal.SIGTERM)
            if process.wait(60):
                raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()[-2000:]}")
        finally:
            process.kill()


def _tell(*_: object) -> None:
    os.write(1, json.dumps({"tasks": len(asyncio.all_tasks())}).encode() + b"\n")


@dataclass(slots=True)
class Tally:
    """How the calls of one kind ended: milliseconds by outcome, and the codes of all."""

    until: float = math.inf
    """When measuring ends, monotonic: an answer that comes later is in the codes only."""
    good_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    """Of those that the server refused itself, RESOURCE_EXHAUSTED."""
    dropped_ms: list[float] = field(default_factory=list)
    """Of those that gRPC dropped before the server saw them, CANCELLED."""
    codes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = f"{len(self.good_ms):,} good"
        if self.good_ms:
            middle, late = np.percentile(self.good_ms, (50, 99))
            told += f" (p50 {middle:.0f} ms, p99 {late:.0f} ms, max {max(self.good_ms):.0f} ms)"
        others = ", ".join(f"{code} {count:,}" for code, count in self.codes.most_common() if code != "OK")
        return told + (f", {others}" if others else "")


async def one_call(call: Any, request: bytes, tally: Tally, timeout: float) -> float:
    """One call; answers the seconds to wait before the next: what the server asks for, 0 after a good answer."""
    began = time.perf_counter()
    try:
        await call(request, timeout=timeout)
    except grpc.aio.AioRpcError as error:
        tally.codes[error.code().name] += 1
        took_ms = (time.perf_counter() - began) * 1000
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            tally.refused_ms.append(took_ms)
        elif error.code() is grpc.StatusCode.CANCELLED:
            tally.dropped_ms.append(took_ms)
        trailers = dict(error.trailing_metadata() or ())
        return int(trailers.get("grpc-retry-pushback-ms", 500)) / 1000
    tally.codes["OK"] += 1
    if time.monotonic() <= tally.until:
        tally.good_ms.append((time.perf_counter() - began) * 1000)
    return 0.0


class Callers:
    """Callers of a server in this process, on a few channels; from inside one event loop."""

    CHANNELS = 4

    def __init__(self, address: str, seed: int, *, customers: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]  # or they would share one connection
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(self.CHANNELS)]
        self._chance = random.Random(seed)
        self._customers = customers

    async def ask(self, callers: int, seconds: float, *, timeout: float, patient: bool = True) -> Tally:
        """So many callers ask for recommendations, each again as soon as it has its answer.

        `patient`: who is refused waits as long as the server asks.
        """
        return await self._loop(RECOMMEND, self.question, callers, seconds, timeout, patient)

    async def record(self, callers: int, seconds: float, *, timeout: float) -> Tally:
        """So many callers record single interactions, each the next when the last one is durable."""
        return await self._loop(RECORD, self._interaction, callers, seconds, timeout, True)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def _loop(
        self, path: str, make: Callable[[], bytes], callers: int, seconds: float, timeout: float, patient: bool
    ) -> Tally:
        end = time.monotonic() + seconds
        tally = Tally(end)
        calls = [channel.unary_unary(path) for channel in self._channels]

        async def one(call: Any) -> None:
            while time.monotonic() < end:
                pause = await one_call(call, make(), tally, timeout)
                if pause and patient:
                    await asyncio.sleep(pause)

        await asyncio.gather(*(one(calls[number % len(calls)]) for number in range(callers)))
        return tally

    def question(self) -> bytes:
        """A `RecommendRequest` for one of the customers, by chance."""
        return recommendation_pb.RecommendRequest(customer=self._customer()).SerializeToString()

    def _interaction(self) -> bytes:
        interaction = interaction_pb.Interaction(kind="view", customer=self._customer(), item_id="TEA100")
        return interaction_pb.RecordInteractionsRequest(interactions=[interaction]).SerializeToString()

    def _customer(self) -> types_pb.CustomerRef:
        return types_pb.CustomerRef(customer_id=str(10001 + self._chance.randrange(self._customers)))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _tell)
    from visavis.cli.main import main

    sys.exit(main(sys.argv[1:]))


__all__ = ["RECOMMEND", "RECORD", "Callers", "Served", "Tally", "Vitals", "make_store", "one_call", "served"]
