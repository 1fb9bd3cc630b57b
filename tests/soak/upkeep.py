"""Kill a compaction, and a restore, at each of its steps, and look whether one whole store is there.

The child wraps the function of a step so that it ends itself with signal 9 before or after it. During a compaction two
threads write, and say which commits were acknowledged.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.soak.found import Found

from visavis.config import load_settings
from visavis.errors import VisavisError
from visavis.store import Operation, Store, Transaction, compaction, restore
from visavis.store.backup import write_backup
from visavis.store.database import Database, wal_path

ROWS = 50
_SETTINGS = load_settings({"linger_ms": 0}, environ={})
_REPOSITORY = Path(__file__).resolve().parents[2]


class Step(NamedTuple):
    """Where the child ends: before or after a function, at which call of it. `short`: in the short form, too."""

    where: str
    name: str
    call: int = 0
    short: bool = False


COMPACTION = (
    Step("after", "_begin"),
    Step("after", "_copy_ahead"),
    Step("before", "_compare", short=True),
    Step("before", "_seal"),
    Step("after", "_seal", short=True),
    Step("before", "_look"),
    Step("before", "_look", 1),
    Step("before", "Path.rename", short=True),
    Step("after", "Path.rename", short=True),
    Step("after", "_take_place"),
    Step("before", "Database._connect", short=True),
    Step("after", "Database._connect"),
    Step("after", "_finish"),
)
RESTORE = (
    Step("before", "_prepare"),
    Step("before", "check_manifest"),
    Step("after", "drop_manifest"),
    Step("after", "_prepare", short=True),
    Step("before", "Path.rename"),
    Step("after", "Path.rename", short=True),
    Step("after", "Path.rename", 1),
    Step("after", "_move_aside", short=True),
    Step("before", "Path.rename", 2),
    Step("after", "Path.rename", 2),
)


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """Each step once, or five times if `full`. Nothing is random but the moment that the threads have come to."""
    for number in range(5 if full else 1):
        for step in COMPACTION:
            if full or step.short:
                yield _compaction(folder / f"compaction-{seed}" / "shop.duckdb", step)
        for place, step in enumerate(RESTORE):
            if full or step.short:
                yield _restore(folder / f"restore-{seed}-{number}-{place}" / "shop.duckdb", step)


def _compaction(path: Path, step: Step) -> Found:
    path.parent.mkdir(exist_ok=True)
    told = path.parent / "acknowledged"
    what = f"compaction killed {step.where} {step.name}"
    said, code = _child("compact", path, step)
    if code != -signal.SIGKILL:
        return Found(False, f"{what}: the process ended with {code}")
    with told.open("a", encoding="ascii") as stream:
        stream.write(said)
    acknowledged = {int(line) for line in told.read_text(encoding="ascii").splitlines()}
    left = path.with_name(f"{path.name}.compacting").exists()
    try:
        with Store.open(path, _SETTINGS, create=False) as store:
            rows = _commits(store)
            warnings = store.warnings
    except VisavisError as error:
        return Found(False, f"{what}: {error.message}")
    faults = []
    if missing := acknowledged - rows.keys():
        faults.append(f"{len(missing)} of {len(acknowledged)} acknowledged commits are missing")
    if torn := [sequence for sequence, (count, ids) in rows.items() if count != ids or count % ROWS]:
        faults.append(f"{len(torn)} commits are torn or stand twice")
    if [line for line in warnings if not line.startswith("a compaction was broken off")] or len(warnings) != left:
        faults.append(f"warnings {warnings}")
    if path.with_name(f"{path.name}.compacting").exists():
        faults.append("what was left is there still")
    return Found(not faults, f"{what}: {'; '.join(faults) or f'{len(acknowledged):,} acknowledged commits are there'}")


def _restore(path: Path, step: Step) -> Found:
    path.parent.mkdir()
    backup = path.with_name("backup.duckdb")
    told, code = _child("fill", path, Step("after", "fill"))
    before = {int(line): (ROWS, ROWS) for line in told.splitlines()}
    if code != -signal.SIGKILL or len(before) != 5 or not wal_path(path).exists():
        return Found(False, f"the store to be restored over: the process ended with {code}, after {sorted(before)}")
    what = f"restore killed {step.where} {step.name} ({step.call + 1})"
    _, code = _child("restore", path, step)
    if code != -signal.SIGKILL:
        return Found(False, f"{what}: the process ended with {code}")
    faults = []
    found: dict[int, tuple[int, int]] = {}
    try:
        with Store.open(path, _SETTINGS) as store:
            found = _commits(store)
        if found not in (before, {one: rows for one, rows in before.items() if one <= 3}):
            faults.append(f"neither the old store nor the restored one: {sorted(found)}")
    except VisavisError as error:
        if "do it again: visavis restore" not in error.message:
            faults.append(error.message)
    restored = restore.restore_backup(backup, path, replace=True)
    with Store.open(path, _SETTINGS, create=False) as store:
        if sorted(_commits(store)) != [1, 2, 3] or store.warnings:
            faults.append(f"restored again it holds {sorted(_commits(store))}, warnings {store.warnings}")
    kept = []
    for aside in path.parent.glob(f"{path.name}.d/aside/*/{path.name}"):
        try:
            with Store.open(aside, _SETTINGS, create=False) as store:
                kept.append(_commits(store))
                faults += [f"what was there before warns: {warning}" for warning in store.warnings]
        except VisavisError as error:
            faults.append(error.message)
    if before not in kept:
        faults.append("the store that was there before is lost")
    if restored.missing_commits != 2 and found == before:
        faults.append(f"{restored.missing_commits} commits are said to be missing, not 2")
    done = f"a second restore ends it, in lineage {restored.lineage}"
    return Found(not faults, f"{what}: {'; '.join(faults) or done}")


def _child(work: str, path: Path, step: Step) -> tuple[str, int]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak.upkeep", work, str(path), step.where, step.name, str(step.call)],
        stdout=subprocess.PIPE,
        cwd=_REPOSITORY,
        text=True,
        check=False,
    )
    return ended.stdout, ended.returncode


def _commits(store: Store) -> dict[int, tuple[int, int]]:
    """Rows and different ids of each commit of ours."""
    with store.cursor() as cursor:
        rows = cursor.execute(
            "SELECT sequence, count(*), count(DISTINCT interaction_id) FROM interactions GROUP BY ALL"
        ).fetchall()
    return {sequence: (count, ids) for sequence, count, ids in rows}


def _commit(store: Store) -> int:
    return store.writer.run(Operation(_add, exclusive=True))


def _keep_writing(store: Store) -> None:
    while True:
        # One write call: a line is whole or not there when the end comes.
        os.write(1, b"%d\n" % _commit(store))


def _add(transaction: Transaction) -> int:
    transaction.cursor.execute(
        "INSERT INTO interactions (sequence, interaction_id, id_hash, identity_code, item_code, kind_code, "
        "occurred_at, quantity, recorded_at) SELECT $1, $1 || '-' || range, hash(range), 0, 0, 0, now(), 1, now() "
        "FROM range($2)",
        [transaction.sequence, ROWS],
    )
    return transaction.sequence


def _fill(path: Path) -> None:
    """Make a store, a backup of it, and two commits that only its log holds; then end without closing it."""
    store = Store.open(path, _SETTINGS)
    for number in range(5):
        if number == 3:
            write_backup(store, path.with_name("backup.duckdb"))
        os.write(1, b"%d\n" % _commit(store))
    os.kill(os.getpid(), signal.SIGKILL)


def _main(work: str, path: Path, step: Step) -> None:
    """The child."""
    if work == "fill":
        _fill(path)
    homes: dict[str, Any] = {"Path": Path, "Database": Database}
    home, _, name = step.name.rpartition(".")
    owner = homes.get(home, compaction if work == "compact" else restore)
    original = getattr(owner, name)
    calls = 0

    def end(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        now, calls = calls == step.call, calls + 1
        if now and step.where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(*args, **kwargs)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    if work == "restore":
        setattr(owner, name, end)
        restore.restore_backup(path.with_name("backup.duckdb"), path, replace=True)
        return
    store = Store.open(path, _SETTINGS)
    for _ in range(3):
        os.write(1, b"%d\n" % _commit(store))
    for _ in range(2):
        threading.Thread(target=_keep_writing, args=(store,), daemon=True).start()
    setattr(owner, name, end)
    compaction.compact(store)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), Step(sys.argv[3], sys.argv[4], int(sys.argv[5])))


__all__ = ["COMPACTION", "RESTORE", "ROWS", "Step", "run"]
