"""Kill a writing process with signal 9 at a random moment, open the store again, and look whether all is there.

A store lives through some rounds and then makes room for a new one. In its first round the kill comes while it is
being made; later while it is written to from many threads, and in turn while it is brought to a later schema,
checkpointed, imported into, fitted, copied, compacted; in some rounds a server is killed under the load of clients.
Where the kill strikes follows from the seed; what the process has just done by then does not, quite.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.found import Found
from tests.soak.ledger import Ledger
from tests.soak.looking import look
from tests.soak.works import CHECKPOINT, OPENING, later_version, long_works

from visavis.admin import Admin

ROUNDS = 200
_LIFE = 20  # rounds of one store
_LONGEST_LIFE = 1.0  # seconds after the first acknowledgement, where the kill is aimed at nothing
_FIRST_GUESS = 0.3  # seconds that a work is taken to last until one was seen to end
_FIRST_BATCHES = 5  # acknowledged before a kill is thought of, so that there is something to lose
_LONGEST_WAIT = 120.0  # seconds; a child that says nothing by then hangs
_REPOSITORY = Path(__file__).resolve().parents[2]
_SERVER = "server"
_IN_ORDER = ("a compaction was broken off",)
_ANYTHING = "writing"
_SHORT = ("making", _SERVER, "schema", "fit")


@dataclass
class _Life:
    """One store, from its making on."""

    path: Path
    ledger: Ledger = field(default_factory=Ledger)
    steps: int = 0
    """How many schema steps more than this version's it was brought to."""


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """200 kills in full, a handful in short; one line a kill, the last one a summary."""
    rounds = ROUNDS if full else len(_SHORT)
    chance = random.Random(seed)
    lasts: dict[str, float] = {}
    life = _Life(folder / "soak.duckdb")
    kills: dict[str, int] = {}
    interactions = bad = 0
    slowest = 0.0
    for number in range(1, rounds + 1):
        if full and number % _LIFE == 1:
            interactions += life.ledger.interactions
            life = _Life(_new_folder(folder, number) / "soak.duckdb")
        aim = _aim(number) if full else _SHORT[number - 1]
        try:
            seconds, problems = _kill(life, number, aim, lasts, chance)
        except RuntimeError as error:
            seconds, problems = 0.0, [str(error)]
        with later_version(life.steps):
            found = look(life.path, life.ledger, life.steps, accept=_IN_ORDER)
        problems += found.problems
        slowest = max(slowest, found.seconds)
        kills[aim] = kills.get(aim, 0) + 1
        bad += bool(problems)
        told = "; ".join(problems) if problems else "nothing is missing, torn or twice"
        yield Found(
            not problems,
            f"round {number}, {aim}: killed after {seconds:.2f} s; {life.ledger.interactions:,} interactions "
            f"acknowledged, {found.stored:,} stored, open in {found.seconds:.2f} s; {told}",
        )
    interactions += life.ledger.interactions
    aimed = ", ".join(f"{count} {aim}" for aim, count in kills.items())
    yield Found(
        not bad,
        f"{rounds} kills ({aimed}), seed {seed}: {interactions:,} interactions acknowledged; slowest opening "
        f"{slowest:.2f} s; {bad} bad rounds",
    )


def _aim(number: int) -> str:
    if number % _LIFE == 1:
        return "making"
    aims = [_ANYTHING, _SERVER, "opening", "schema", CHECKPOINT, *long_works(Admin)]
    return aims[number % len(aims)]


def _new_folder(folder: Path, number: int) -> Path:
    made = folder / f"life {number}"
    made.mkdir()
    return made


def _kill(
    life: _Life, number: int, aim: str, lasts: dict[str, float], chance: random.Random
) -> tuple[float, list[str]]:
    """One round's processes, until they are dead: when the kill came, and what went wrong before it."""
    if aim == "schema":
        life.steps += 1
    long = [aim] if aim in long_works(Admin) else [chance.choice(long_works(Admin))]
    if aim == CHECKPOINT:
        long = []  # a compaction would leave no log to write down
    arguments = [str(life.path), str(number), str(life.steps), *long]
    if aim == _SERVER:
        with _Child("serve", arguments, life.ledger) as server:
            server.wait_for_line()
            with _Child("call", arguments, life.ledger) as callers:
                callers.wait_for_batches()
                seconds = chance.uniform(0, _LONGEST_LIFE)
                time.sleep(seconds)
                problems = list(life.ledger.errors)
                server.kill()
                callers.wait()
    else:
        until = {"making": OPENING, "opening": OPENING, "schema": OPENING, _ANYTHING: ""}.get(aim, aim)
        with _Child("work", arguments, life.ledger) as child:
            if until != OPENING:
                child.wait_for_batches()
            begun = child.wait_for_begin(until) if until else time.monotonic()
            seconds = chance.uniform(0, 1.2 * lasts.get(aim, _FIRST_GUESS) if until else _LONGEST_LIFE)
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            child.kill()
            if until in child.lasted:
                lasts[aim] = child.lasted[until]
        problems = list(life.ledger.errors)
    life.ledger.errors.clear()
    return seconds, problems


class _Child:
    """A child process whose lines go to a ledger as they come."""

    def __init__(self, mode: str, arguments: list[str], ledger: Ledger) -> None:
        self._ledger = ledger
        self._mode = mode
        self._heard = threading.Condition()
        self._begun: dict[str, float] = {}
        self._lines = 0
        self._over = False
        self.lasted: dict[str, float] = {}
        """Seconds that a work lasted, of those that ended."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.works", mode, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_REPOSITORY,
            text=True,
        )
        self._readers = [threading.Thread(target=read) for read in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_for_line(self) -> None:
        """Until it said anything: a server its address."""
        self._wait(lambda: self._lines > 0)

    def wait_for_batches(self) -> None:
        """Until some batches of this child were acknowledged."""
        before = len(self._ledger.batches)
        self._wait(lambda: len(self._ledger.batches) >= before + _FIRST_BATCHES)

    def wait_for_begin(self, work: str) -> float:
        """Until a work is begun, now or later, once more; answers when it was."""
        after = time.monotonic() if self._lines else 0.0
        self._wait(lambda: self._begun.get(work, -1.0) >= after)
        return self._begun[work]

    def kill(self) -> None:
        """Signal 9; all lines that were said are then in the ledger."""
        self._process.kill()
        self.wait()

    def wait(self) -> None:
        self._process.wait(_LONGEST_WAIT)
        for reader in self._readers:
            reader.join()

    def _wait(self, true: Callable[[], bool]) -> None:
        with self._heard:
            self._heard.wait_for(lambda: true() or self._over, _LONGEST_WAIT)
            if not true():
                raise RuntimeError(f"the child `{self._mode}` ended or hangs: {self._ledger.errors}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            now = time.monotonic()
            with self._heard:
                self._lines += 1
                if self._mode != "serve" and text.endswith("\n"):
                    line: dict[str, Any] = json.loads(text)
                    self._ledger.note(line)
                    if "begin" in line:
                        self._begun[line["begin"]] = now
                    if "end" in line:
                        self.lasted[line["end"]] = now - self._begun[line["end"]]
                self._heard.notify_all()
        self._process.stdout.close()
        with self._heard:
            self._over = True
            self._heard.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        if text := self._process.stderr.read().strip():
            self._ledger.errors.append(f"{self._mode} wrote: {text[-2000:]}")
        self._process.stderr.close()


__all__ = ["ROUNDS", "run"]
