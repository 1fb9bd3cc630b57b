"""Imports of files that are huge, broken or strange, that are killed, and that run beside others and beside writers.

Each import runs in a process of its own, which says how much memory it took at most.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
from tests.soak.found import Found

import visavis

_REPOSITORY = Path(__file__).resolve().parents[2]
_HEAD = b"customer,item,time\n"
_ROW = b"c,i,2020-01-01\n"
_MEMORY_MB = 1024
_CHILD = """
import json, sys, visavis
path, store, memory, options = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
with visavis.open(store, memory_limit_mb=memory) as shop:
    try:
        report = shop.identify.import_file(path, **options, progress=lambda _: print("at work", flush=True))
        found = {"rows": report.rows, "known": report.already_known, "refused": report.rejected,
                 "stored": report.interactions + report.returns + report.without_customer}
    except visavis.VisavisError as error:
        found = {"error": str(error)}
    # Not getrusage: a child's peak begins with that of the process it was forked from.
    with open("/proc/self/status") as status:
        peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) >> 10
print(json.dumps({**found, "peak_mb": peak}), flush=True)
"""


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """Full: 50 million rows, a line of 1 GB, 2 million kinds, 40 kills. Needs 12 GB of disk for a while."""
    yield from _many_rows(folder, 50_000_000 if full else 100_000, seed)
    yield from _lines_without_end(folder, 1_000_000_000 if full else 40_000_000)
    yield from _many_kinds(folder, 2_000_000 if full else 50_000)
    yield from _broken(folder, 1_000_000 if full else 5_000)
    yield from _killed(folder, 2_000_000 if full else 60_000, 40 if full else 2, seed)
    yield from _beside_others(folder, 1_000_000 if full else 60_000, seed)


def make_sales(path: Path, rows: int, seed: int) -> None:
    """Write views, carts and purchases of `rows` // 20 customers, in the order of time, in little memory."""
    chance = [f"(hash(i * 7 + {seed * 11 + place}) / 18446744073709551616.0)" for place in range(4)]
    with duckdb.connect(config={"memory_limit": "1GB"}) as connection:
        connection.execute(
            f"COPY (SELECT 'customer-' || floor({rows // 20} * pow({chance[0]}, 1.5))::BIGINT AS customer_id, "
            f"'item-' || floor({max(rows // 500, 1)} * pow({chance[1]}, 3))::BIGINT AS item_id, CASE "
            f"WHEN {chance[2]} < 0.6 THEN 'view' WHEN {chance[2]} < 0.75 THEN 'cart' ELSE 'purchase' END AS kind, "
            f"make_timestamp(1672531200000000 + i * {86_400_000_000_000 // rows}) AS occurred_at, "
            f"CASE WHEN {chance[2]} >= 0.75 THEN round(1 + 80 * {chance[3]}, 2) END AS amount "
            f"FROM range({rows}) AS r(i)) TO '{path}' (FORMAT parquet)"
        )


def _start(path: Path, store: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path), str(store), str(_MEMORY_MB), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_REPOSITORY,
        text=True,
    )


def _end(child: subprocess.Popen[str]) -> dict[str, Any]:
    """What the child found; its error where it found nothing."""
    out, complaint = child.communicate()
    last = (out.splitlines() or [""])[-1]
    found: dict[str, Any] = json.loads(last) if last.startswith("{") else {"error": complaint[-300:], "peak_mb": 0}
    return found


def _counts(store: Path) -> tuple[int, int]:
    """Interactions in the store, and how many different ids they have."""
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT interaction_id) FROM interactions").fetchall()
    return int(rows[0][0]), int(rows[0][1])


def _many_rows(folder: Path, rows: int, seed: int) -> Iterator[Found]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        file, store = Path(name, "sales.parquet"), Path(name, "shop.duckdb")
        make_sales(file, rows, seed)
        began = time.monotonic()
        found = _end(_start(file, store))
        seconds = time.monotonic() - began
        # Beside DuckDB's share: the process, 120 bytes a row for what requests read, 600 a customer.
        most = 2 * _MEMORY_MB + (rows * 120 + rows // 20 * 600 >> 20)
        good = found.get("stored") == rows and found["peak_mb"] <= most
        yield Found(
            good and _counts(store) == (rows, rows),
            f"{rows:,} rows with {_MEMORY_MB} MiB for DuckDB: {found} of at most {most:,} MB, "
            f"{rows / seconds:,.0f} rows/s",
        )
        left = list(Path(name, "shop.duckdb.d", "imports").glob("*"))
        yield Found(not left, f"left of the staging: {len(left)} files")


def _lines_without_end(folder: Path, size: int) -> Iterator[Found]:
    block = 1 << 20
    for name, head, unit in (
        ("line.csv", b"", b"a,b,2020-01-01,"),
        ("row.csv", _HEAD + _ROW, b"a,b,2020-01-01,"),
        ("quoted.csv", _HEAD + _ROW + b'c,"', b"x"),
        ("line.jsonl", b'{"customer":"c","item":"', b"x"),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            file = Path(inside, name)
            with file.open("wb") as stream:
                stream.write(head)
                while stream.tell() < size:
                    stream.write(unit * (block // len(unit)))
            began = time.monotonic()
            found = _end(_start(file, Path(inside, "shop.duckdb")))
            told = found.get("error", "")
            yield Found(
                "longer than 16 MB" in told and found["peak_mb"] < 500,
                f"{name} with a line of {size >> 20:,} MiB: {told}; {found['peak_mb']} MB, "
                f"{time.monotonic() - began:.1f} s",
            )


def _many_kinds(folder: Path, count: int) -> Iterator[Found]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        file = Path(name, "kinds.parquet")
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT 'c' AS customer, 'i' AS item, '2020-01-01' AS time, 'kind_' || i AS event "
                f"FROM range({count}) AS r(i)) TO '{file}'"
            )
        found = _end(_start(file, Path(name, "shop.duckdb"), columns={"kind": "event"}))
        told = found.get("error", "")
        good = f"{count:,} kinds" in told and "--kind" in told and found["peak_mb"] < 2 * _MEMORY_MB
        yield Found(good, f"{count:,} kinds: {told}; {found['peak_mb']} MB")


def _broken(folder: Path, count: int) -> Iterator[Found]:
    surplus = _ROW.strip() + b",12345678" * 20 + b"\n"
    for name, content, rows, refused in (
        ("ragged.csv", _HEAD + (surplus + _ROW + b"c\n") * count, 3 * count, 2 * count),
        ("open.csv", _HEAD + _ROW + b'c,"x\n' + _ROW * count, count + 2, 1),
        ("latin.csv", _HEAD + "é,i,2020-01-01\n".encode() + b"\xe9,i,2020-01-01\r\n" * count, count + 1, count),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            Path(inside, name).write_bytes(content)
            found = _end(_start(Path(inside, name), Path(inside, "shop.duckdb")))
            good = (found.get("rows"), found.get("refused"), found.get("stored")) == (rows, refused, rows - refused)
            yield Found(good, f"{name} of {rows:,} records, {refused:,} broken: {found}")


def _killed(folder: Path, rows: int, rounds: int, seed: int) -> Iterator[Found]:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        file = Path(name, "sales.parquet")
        make_sales(file, rows, seed)
        store = Path(name, "whole.duckdb")
        began = time.monotonic()
        _end(_start(file, store))
        whole = time.monotonic() - began
        store = Path(name, "shop.duckdb")
        stored = 0
        for number in range(1, rounds + 1):
            if stored == rows:
                store = Path(name, f"shop{number}.duckdb")
            child = _start(file, store)
            moment = chance.uniform(0, whole)
            threading.Event().wait(moment)
            killed = child.poll() is None
            if killed:
                child.send_signal(signal.SIGKILL)
            child.communicate()
            with visavis.open(store):
                pass
            stored, ids = _counts(store)
            left = list((store.parent / f"{store.name}.d" / "imports").glob("*"))
            yield Found(
                stored == ids <= rows and not left and (killed or stored == rows),
                f"kill {number} after {moment:.1f} s ({'in time' if killed else 'too late'}): {stored:,} of {rows:,} "
                f"rows stored, {stored - ids} twice, {len(left)} files left",
            )
        found = _end(_start(file, store))
        good = (found.get("known"), found.get("stored")) == (stored, rows - stored) and _counts(store) == (rows, rows)
        yield Found(good, f"imported again after the kills: {found}")


def _beside_others(folder: Path, rows: int, seed: int) -> Iterator[Found]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        file, store = Path(name, "sales.parquet"), Path(name, "shop.duckdb")
        make_sales(file, rows, seed)
        first = _start(file, store)
        assert first.stdout is not None
        first.stdout.readline()  # it has the store
        second = _end(_start(file, store))
        found = _end(first)
        yield Found(
            found.get("stored") == rows and "use" in second.get("error", ""),
            f"two processes at once: the first {found}; the second: {second.get('error', second)[-160:]}",
        )
    with tempfile.TemporaryDirectory(dir=folder) as name:
        file, store = Path(name, "sales.parquet"), Path(name, "shop.duckdb")
        make_sales(file, rows, seed)
        with visavis.open(store) as shop, ThreadPoolExecutor(2) as pool:
            imports = [pool.submit(shop.identify.import_file, file) for _ in range(2)]
            waits: list[float] = []
            while not all(one.done() for one in imports):
                began = time.monotonic()
                interaction = visavis.Interaction("view", "somebody", "item-1", interaction_id=f"own {len(waits)}")
                shop.identify.record([interaction])
                waits.append(time.monotonic() - began)
                time.sleep(0.01)
            reports = [one.result() for one in imports]
        taken = sum(one.interactions for one in reports)
        known = sum(one.already_known for one in reports)
        total = rows + len(waits)
        yield Found(
            (taken, known) == (rows, rows) and _counts(store) == (total, total),
            f"the same {rows:,} rows twice at once: {taken:,} stored, {known:,} known; {len(waits):,} interactions "
            f"recorded meanwhile, of which one waited {max(waits):.2f} s",
        )


__all__ = ["make_sales", "run"]
