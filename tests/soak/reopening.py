"""A large store whose owner was killed: how long until it answers again, and from what was kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from tests.soak.found import Found

import visavis

_ROWS = 10_000_000
_FEW = 250_000  # enough for the base to be kept
_OPENINGS = 5
_BATCH = 1_000
_LONGEST = 600.0  # seconds for any child; one that takes longer hangs

# What a new process does: open, say how long that took, answer somebody.
_OPEN = """
import json, logging, sys, time
import visavis
warnings = []
class Keep(logging.Handler):
    def emit(self, record): warnings.append(record.getMessage())
logging.getLogger("visavis").addHandler(Keep(logging.WARNING))
import visavis.engine, visavis.customize, visavis.kernels
begin, cpu = time.perf_counter(), time.process_time()
from visavis.live import state
built = []
real = state.build
state.build = lambda *given: built.append(1) or real(*given)
with visavis.open(sys.argv[1]) as shop:
    opened, opened_cpu = time.perf_counter() - begin, time.process_time() - cpu
    answer = shop.recommend("customer-1", n=5)
    answered = time.perf_counter() - begin
    told = {"opened": opened, "cpu": opened_cpu, "answered": answered, "built": len(built), "warnings": warnings}
    told |= {"scorer": answer.scorer, "items": len(answer.items), "rows": shop.admin.status().interactions}
json.dump(told, sys.stdout)
"""


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """Fill and fit a store, then: kill its owner while it records, open it in a new process; several times."""
    rows = _ROWS if full else _FEW
    path = folder / "large.duckdb"
    _fill(path, rows, seed)
    times, answers = [], []
    for number in range(_OPENINGS if full else 1):
        acknowledged = _write_and_kill(path, number, batches=300 if full else 20)
        rows += acknowledged
        told = _open(path)
        times.append(told["opened"])
        answers.append(told["answered"])
        good = told["rows"] >= rows and told["built"] == 0 and told["items"] > 0 and not told["warnings"]
        yield Found(
            good,
            f"killed after {acknowledged:,} more rows were acknowledged: opened {told['rows']:,} rows in "
            f"{told['opened']:.2f} s ({told['cpu']:.2f} s of processor time), first answer by {told['scorer']} after "
            f"{told['answered']:.2f} s, {told['built']} bases built {'; '.join(told['warnings'])}",
        )
        rows = told["rows"]
    yield Found(
        True, f"reopening {rows:,} rows: median {median(times):.2f} s, first answer after {median(answers):.2f} s"
    )


def write(path: str, prefix: str) -> None:
    """The child that is killed: record batches, say how many rows were acknowledged."""
    with visavis.open(path) as shop:
        for batch in range(1_000_000):
            shop.identify.record(
                [
                    visavis.Interaction("view", f"customer-{row % 997}", f"item-{row % 89}", f"{prefix}-{batch}-{row}")
                    for row in range(_BATCH)
                ]
            )
            os.write(1, b".")


def _fill(path: Path, rows: int, seed: int) -> None:
    source = path.with_suffix(".parquet")
    with duckdb.connect() as connection:
        # Squares and cubes of even numbers between 0 and 1: a few customers and items have most of the rows.
        connection.execute(
            f"""
            COPY (
                SELECT 'customer-' || floor(pow(hash(i, {seed}) / 1.8446744e19, 2) * {rows // 20})::INT AS customer_id,
                       'item-' || floor(pow(hash(i, {seed}, 1) / 1.8446744e19, 3) * {rows // 200})::INT AS item_id,
                       ['view', 'view', 'view', 'cart', 'purchase'][1 + (hash(i, {seed}, 2) % 5)::INT] AS kind,
                       TIMESTAMP '2024-01-01' + to_seconds(i * 3) AS occurred_at
                FROM range({rows}) numbers(i)
            ) TO '{source}' (FORMAT parquet)
            """
        )
    with visavis.open(path) as shop:
        shop.identify.import_file(source)
        shop.fit()
    source.unlink()


def _write_and_kill(path: Path, number: int, *, batches: int) -> int:
    code = "import sys; from tests.soak.reopening import write; write(sys.argv[1], sys.argv[2])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path), f"round-{number}"],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert child.stdout is not None
    timer = threading.Timer(_LONGEST, child.kill)
    timer.start()
    done = 0
    try:
        while done < batches and (more := child.stdout.read1(batches - done)):
            done += len(more)
    finally:
        timer.cancel()
        child.kill()
        done += len(child.stdout.read())
        child.stdout.close()
        if child.wait() != -signal.SIGKILL:
            raise RuntimeError(f"the writing process ended by itself with {child.returncode}")
    return done * _BATCH


def _open(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the store could not be opened again: {done.stderr.strip().splitlines()[-1:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


__all__ = ["run", "write"]
