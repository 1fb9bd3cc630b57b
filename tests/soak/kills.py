"""Kill a writing process at a random moment, open the store again, and look whether anything is missing.

The child records batches from several threads and says `ack` after each that was acknowledged. Every id holds its
batch and the batch's size, so that the parent can also tell a torn batch from a whole one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import duckdb

import visavis

_THREADS = 4
_LARGEST_BATCH = 400
_LONGEST_LIFE = 1.0  # seconds after the first acknowledgement
_LONGEST_START = 60.0  # seconds; a child that has acknowledged nothing by then hangs
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Found:
    """What one round found, over the store's whole life."""

    round: int
    seconds: float
    acknowledged: int
    stored: int
    missing: tuple[str, ...]
    torn: tuple[str, ...]
    twice: int

    @property
    def good(self) -> bool:
        return not (self.missing or self.torn or self.twice)

    def __str__(self) -> str:
        verdict = "nothing is missing"
        if not self.good:
            verdict = f"MISSING {self.missing[:5]} TORN {self.torn[:5]} TWICE {self.twice}"
        return (
            f"round {self.round}: killed {self.seconds:.2f} s after the first acknowledgement; "
            f"{self.acknowledged:,} interactions acknowledged so far, {self.stored:,} stored; {verdict}"
        )


def write(path: str, round_number: int) -> None:
    """The child: record until killed."""
    with visavis.open(path, checkpoint_wal_mb=1) as shop:
        threads = [threading.Thread(target=_record, args=(shop, round_number, number)) for number in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _record(shop: visavis.Engine, round_number: int, thread: int) -> None:
    chance = random.Random(f"{round_number}-{thread}")
    batch = 0
    while True:
        size = chance.randint(1, _LARGEST_BATCH)
        name = f"{round_number}-{thread}-{batch}-{size}"
        shop.identify.record(
            [
                visavis.Interaction(
                    "purchase",
                    f"customer {chance.randrange(5000)}",
                    f"item {chance.randrange(500)}",
                    interaction_id=f"{name}-{row}",
                )
                for row in range(size)
            ]
        )
        # One write call: a line is whole or not there when the kill comes.
        os.write(1, f"ack {name}\n".encode())
        batch += 1


def kill_and_look(path: Path, rounds: int, seed: int = 1) -> list[Found]:
    """`rounds` times: start a child, kill it, open the store, compare. The same store goes through all rounds."""
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    found = []
    for number in range(1, rounds + 1):
        seconds = chance.uniform(0.0, _LONGEST_LIFE)
        acknowledged |= _run_and_kill(path, number, seconds)
        with visavis.open(path):
            pass  # replays the log; refuses a store that lags behind its high-water mark
        found.append(_look(path, number, seconds, acknowledged))
    return found


def _run_and_kill(path: Path, number: int, seconds: float) -> set[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", "--write", str(path), str(number)],
        stdout=subprocess.PIPE,
        cwd=_REPOSITORY,
        text=True,
    )
    assert child.stdout is not None
    timer = threading.Timer(_LONGEST_START, child.kill)
    timer.start()
    names: set[str] = set()
    try:
        for line in child.stdout:
            if not names:
                timer.cancel()
                timer = threading.Timer(seconds, child.kill)
                timer.start()
            if line.startswith("ack ") and line.endswith("\n"):
                names.add(line.split()[1])
    finally:
        timer.cancel()
        child.kill()
        child.stdout.close()
        code = child.wait()
    if code != -signal.SIGKILL or not names:
        raise RuntimeError(
            f"round {number}: the writing process acknowledged {len(names)} batches and ended with {code}"
        )
    return names


def _look(path: Path, number: int, seconds: float, acknowledged: set[str]) -> Found:
    with duckdb.connect(str(path), read_only=True) as connection:
        ids = [row[0] for row in connection.execute("SELECT interaction_id FROM interactions").fetchall()]
    batches = Counter(one.rpartition("-")[0] for one in set(ids))
    return Found(
        number,
        seconds,
        acknowledged=sum(_size(name) for name in acknowledged),
        stored=len(ids),
        missing=tuple(sorted(name for name in acknowledged if name not in batches)),
        torn=tuple(sorted(name for name, rows in batches.items() if rows != _size(name))),
        twice=len(ids) - len(set(ids)),
    )


def _size(name: str) -> int:
    return int(name.rpartition("-")[2])


__all__ = ["Found", "kill_and_look", "write"]
