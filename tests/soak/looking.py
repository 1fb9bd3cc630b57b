"""Whether a store that was left in the middle of its work holds all that it acknowledged, whole and once."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from tests.soak.ledger import Ledger, size_of
from tests.soak.works import GROUP, IMPORT_CHUNK, IMPORT_ROWS, STEP_ROWS, batch, kept_memory

import visavis
from visavis import kernels
from visavis.cli.main import main
from visavis.errors import VisavisError
from visavis.live.histories import Histories
from visavis.store import Operation
from visavis.store.generations import read_plugins
from visavis.store.interactions import read_id_hashes
from visavis.store.owner import side_folder
from visavis.store.store import SCRATCH

_NO_MATTER = {"disk", "generation"}
_AGAIN = 3  # batches and requests of each kind that are sent once more


class Look:
    """What was found: `problems` is empty when every promise was kept."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.stored = 0
        self.seconds = 0.0
        """That it took to open the store and be ready to answer."""


def look(path: Path, ledger: Ledger, steps: int, *, accept: tuple[str, ...] = ()) -> Look:
    """Open the store as the next process would, compare, close it, ask the doctor.

    `accept`: beginnings of the warnings that are in order.
    """
    found = Look()
    with kept_memory():
        _look_into(path, ledger, steps, accept, found)
    found.problems += _copies(path.parent, ledger)
    found.problems += _doctor(path)
    return found


def _look_into(path: Path, ledger: Ledger, steps: int, accept: tuple[str, ...], found: Look) -> None:
    started = time.monotonic()
    try:
        shop = visavis.open(path, checkpoint_wal_mb=1)
    except VisavisError as error:
        found.problems.append(f"does not open: {type(error).__name__}: {error}")
        return
    with shop:
        found.seconds = time.monotonic() - started
        found.problems += _memory(shop, "as it was opened")
        found.problems += [
            f"warns: {warning}" for warning in shop.store.warnings if not warning.startswith(accept or ("\0",))
        ]
        with shop.store.cursor() as cursor:
            ((found.stored,),) = cursor.execute("SELECT count(*) FROM interactions").fetchall()
            found.problems += _batches(cursor, ledger)
            found.problems += _groups(cursor, "items", "item_id", "name", "ware", ledger.items)
            found.problems += _groups(cursor, "customers", "customer_id", "attributes", "person", ledger.customers)
            found.problems += _requests(cursor, ledger)
            found.problems += _consents(cursor, ledger)
            found.problems += _generations(cursor, shop, ledger)
            found.problems += _steps(cursor, steps)
            found.problems += _imports(cursor, shop, ledger)
        found.problems += _again(shop, ledger)
        found.problems += _memory(shop, "after what was sent again")
        shop.live.close()  # what is being kept in the background has its name then
        found.problems += _left_over(path)


def _memory(shop: visavis.Engine, when: str) -> Iterator[str]:
    """What requests are answered from is what a memory made of the store alone would be."""
    live = shop.live
    customers = np.arange(len(live.identities.customers), dtype=np.int32)
    names = [""] * len(customers)
    served = live.histories.of(customers, names, live.kinds.names, 0)
    fresh = Histories(live.build(), lambda: None).of(customers, names, live.kinds.names, 0)
    for name in ("indptr", "item", "kind", "time", "quantity", "rating", "basket"):
        has, should = getattr(served, name), getattr(fresh, name)
        if not np.array_equal(has, should, equal_nan=True):
            yield f"memory {when}: {name} of {len(has):,} rows differs from the store's {len(should):,}"
    # In the writer thread, whose table it is.
    missing, more = shop.store.writer.run(Operation(lambda _: _known(shop)))
    if missing or more:
        yield f"memory {when}: {missing:,} ids of the store are not known, {more:,} are that are not there"


def _known(shop: visavis.Engine) -> tuple[int, int]:
    with shop.store.cursor() as cursor:
        stored = np.unique(read_id_hashes(cursor, after=0))
    ids = shop.live.known_ids
    missing = int(np.count_nonzero(~kernels.id_set_contains(ids._load(), stored)))
    return missing, ids._used - (len(stored) - missing)


def _batches(cursor: duckdb.DuckDBPyConnection, ledger: Ledger) -> Iterator[str]:
    ((twice,),) = cursor.execute("SELECT count(*) - count(DISTINCT interaction_id) FROM interactions").fetchall()
    if twice:
        yield f"{twice} interactions stand twice"
    ids = cursor.execute("SELECT DISTINCT interaction_id FROM interactions WHERE source IS NULL").fetchall()
    rows = Counter(one.rpartition("-")[0] for (one,) in ids)
    if missing := sorted(name for name in ledger.batches if name not in rows):
        yield f"{len(missing)} acknowledged batches are missing, such as {missing[:3]}"
    if torn := sorted(name for name, count in rows.items() if count != size_of(name)):
        yield f"{len(torn)} batches are torn, such as {torn[:3]}"


def _groups(
    cursor: duckdb.DuckDBPyConnection, table: str, key: str, value: str, prefix: str, acknowledged: dict[int, int]
) -> Iterator[str]:
    groups: dict[int, list[str]] = {}
    for one, text in cursor.execute(f"SELECT {key}, {value} FROM {table} WHERE {key} LIKE '{prefix} %'").fetchall():
        groups.setdefault(int(one.removeprefix(f"{prefix} ").partition("-")[0]), []).append(text)
    for thread, texts in groups.items():
        if len(texts) != GROUP or len(set(texts)) != 1:
            yield f"{table} of thread {thread} are half changed: {Counter(texts)}"
    for thread, version in acknowledged.items():
        now = groups.get(thread, ["version -1"])[0]
        number = json.loads(now)["version"] if now.startswith("{") else int(now.removeprefix("version "))
        if number < version:
            yield f"{table} of thread {thread} are back at {number:.0f}, {version} was acknowledged"


def _requests(cursor: duckdb.DuckDBPyConnection, ledger: Ledger) -> Iterator[str]:
    rows = cursor.execute("SELECT request_id, answer FROM requests").fetchall()
    stored = dict(rows)
    if len(stored) != len(rows):
        yield f"{len(rows) - len(stored)} answers stand twice"
    for name, (recorded, already_known) in ledger.answers.items():
        if name not in stored:
            yield f"the answer to request {name} is missing"
        elif json.loads(stored[name]) != {"recorded": recorded, "already_known": already_known}:
            yield f"the answer to request {name} is {stored[name]}"


def _consents(cursor: duckdb.DuckDBPyConnection, ledger: Ledger) -> Iterator[str]:
    words = [source for (source,) in cursor.execute("SELECT source FROM consents").fetchall()]
    if len(set(words)) != len(words):
        yield f"{len(words) - len(set(words))} consents stand twice"
    if missing := ledger.consents - set(words):
        yield f"{len(missing)} acknowledged consents are missing, such as {sorted(missing)[:3]}"


def _generations(cursor: duckdb.DuckDBPyConnection, shop: visavis.Engine, ledger: Ledger) -> Iterator[str]:
    served = shop.live.generation.number
    if served < ledger.generation:
        yield f"generation {served} is served, {ledger.generation} was acknowledged"
    plugins = len(shop.registry.scorers) + len(shop.registry.segmenters)
    for (number,) in cursor.execute("SELECT generation FROM generations").fetchall():
        if len(read_plugins(cursor, number)) != plugins:
            yield f"generation {number} is not whole"
    if not served:
        return
    if shop.live.generation.failed:
        yield f"generation {served} lost {shop.live.generation.failed}"
    for customer in ("customer 1", "nobody ever seen"):
        answer = shop.recommend(customer, 5)
        if (answer.generation, len(answer.items)) != (served, 5):
            yield f"{customer} gets {len(answer.items)} items from generation {answer.generation}"


def _steps(cursor: duckdb.DuckDBPyConnection, steps: int) -> Iterator[str]:
    for step in range(1, steps + 1):
        ((rows, given, all_),) = cursor.execute(
            f"SELECT (SELECT count(*) FROM step_{step}), count(step_{step}), count(*) FROM interactions"
        ).fetchall()
        if (rows, given) != (STEP_ROWS, all_):
            yield f"step {step} of the schema is half applied: {rows} rows, {given} of {all_} interactions have it"


def _imports(cursor: duckdb.DuckDBPyConnection, shop: visavis.Engine, ledger: Ledger) -> Iterator[str]:
    def stored() -> dict[str, int]:
        rows = cursor.execute(
            "SELECT source, count(*) FROM interactions WHERE source IS NOT NULL GROUP BY 1"
        ).fetchall()
        return dict(rows)

    before = stored()
    for source in ledger.imported:
        if before.get(source, 0) != IMPORT_ROWS:
            yield f"import {source} was acknowledged and has {before.get(source, 0)} of {IMPORT_ROWS} rows"
    broken = [source for source in ledger.imports if source not in ledger.imported]
    for source in broken:
        if before.get(source, 0) % IMPORT_CHUNK:
            yield f"import {source} left a torn chunk: {before[source]} rows"
        report = shop.identify.import_file(ledger.imports[source], source=source)
        if report.already_known != before.get(source, 0) or report.rejected:
            yield f"import {source} had {before.get(source, 0)} rows, taken up again it says {report}"
        ledger.imported.add(source)
    after = stored()
    for source in broken:
        if after.get(source) != IMPORT_ROWS:
            yield f"import {source} was taken up again and has {after.get(source)} of {IMPORT_ROWS} rows"


def _again(shop: visavis.Engine, ledger: Ledger) -> Iterator[str]:
    """What a client that heard nothing sends once more is known, and answered as the first time."""
    for name in sorted(ledger.batches - ledger.answers.keys(), key=_age)[-_AGAIN:]:
        answer = shop.identify.record(batch(name))
        if (answer.recorded, answer.already_known) != (0, size_of(name)):
            yield f"batch {name} was sent again and {answer}"
    for name in sorted(ledger.answers, key=_age)[-_AGAIN:]:
        answer = shop.identify.record(batch(name), request_id=name)
        if [answer.recorded, answer.already_known] != ledger.answers[name]:
            yield f"request {name} was sent again and {answer}"


def _age(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("-"))


def _left_over(path: Path) -> Iterator[str]:
    folder = side_folder(path)
    left = [file.name for name in SCRATCH if (folder / name).exists() for file in (folder / name).iterdir()]
    left += [file.name for file in folder.iterdir() if file.name.endswith((".new", ".partial"))]
    belongs = {path.name, folder.name, f"{path.name}.wal"}
    left += [file.name for file in path.parent.glob(f"{path.name}*") if file.name not in belongs]
    if left:
        yield f"left over: {left}"


def _copies(folder: Path, ledger: Ledger) -> Iterator[str]:
    """A copy that has its name is whole, acknowledged or not; what has none is cleared away by whoever made it."""
    for path in sorted(ledger.copies):
        if not Path(path).exists():
            yield f"{path} was acknowledged and is not there"
    ledger.copies.clear()
    for file in sorted([*folder.glob("snapshot-*"), *folder.glob("backup-*")]):
        if file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as connection:
                problems = list(_batches(connection, Ledger()))
            yield from (f"{file.name}: {problem}" for problem in problems)
        file.unlink()


def _doctor(path: Path) -> Iterator[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = main(["--format", "json", "doctor", "--data", str(path)])
    findings: list[dict[str, Any]] = json.loads(output.getvalue())["findings"]
    for finding in findings:
        in_order = finding["level"] == "ok" or (finding["level"] == "warning" and finding["what"] in _NO_MATTER)
        if not in_order:
            yield f"the doctor says {finding}"
    if code:
        yield f"the doctor ends with {code}"


__all__ = ["Look", "look"]
