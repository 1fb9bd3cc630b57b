"""Kill a process that does nothing but commit and checkpoint, and look whether the store opens with all of it.

A checkpoint writes over blocks that are in force; a kill that strikes within such a write, about one of two hundred
that are aimed at nothing but checkpoints, leaves a block that DuckDB refuses.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
from tests.soak.found import Found

from visavis.config import Settings, load_settings
from visavis.errors import VisavisError
from visavis.store import Operation, Store, double_write
from visavis.store.owner import side_folder

KILLS = 400
_SHORT = 4
_LONGEST_LIFE = 0.4  # seconds after the first commit
_TELL = 50  # kills to a line
_REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """400 kills in full, a handful in short; a line for every 50, and the summary."""
    path = folder / "soak.duckdb"
    chance = random.Random(seed)
    kills = KILLS if full else _SHORT
    acknowledged = broken_off = refused = 0
    problems: list[str] = []
    for number in range(1, kills + 1):
        acknowledged = max(acknowledged, _kill(path, chance))
        broken_off += double_write.broken_off(path, side_folder(path))
        refused += _refused(path)
        problems += _look(path, acknowledged)
        if number % _TELL == 0 or number == kills:
            told = "; ".join(problems) or "every one of them opened with all that was acknowledged"
            yield Found(
                not problems,
                f"{number} kills, seed {seed}, {acknowledged:,} commits: {broken_off} checkpoints broken off after "
                f"their first block, {refused} in the middle of one, which DuckDB alone refuses; {told}",
            )


def work(path: Path) -> None:
    """Commit and checkpoint until killed; each number of a commit that is on the disk is a line."""
    with Store.open(path, _settings(path)) as store:

        def checkpoint() -> None:
            with store.cursor() as cursor:
                store.database.checkpoint(cursor)

        while True:
            store.writer.run(Operation(lambda tx: tx.cursor.execute("UPDATE store_state SET muted = NOT muted")))
            print(store.mark.sequence, flush=True)
            store.writer.pause(checkpoint)


def _settings(path: Path) -> Settings:
    return load_settings({"data": path}, environ={})


def _kill(path: Path, chance: random.Random) -> int:
    """Let a process live for a while; answers the last commit that it acknowledged."""
    command = [sys.executable, "-m", "tests.soak.checkpoints", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_REPOSITORY) as child:
        if child.stdout is None:
            raise RuntimeError("no pipe")
        first = child.stdout.readline()
        time.sleep(chance.uniform(0, _LONGEST_LIFE))
        child.kill()
        lines = [first, *child.stdout.readlines()]
    return int(next((line for line in reversed(lines) if line.endswith(b"\n")), b"0"))


def _refused(path: Path) -> bool:
    """Whether DuckDB alone refuses the file; looked at without its log, which an opening would use up."""
    alone = path.with_name("alone.duckdb")
    alone.unlink(missing_ok=True)
    alone.hardlink_to(path)
    try:
        with duckdb.connect(str(alone), read_only=True) as connection:
            connection.execute("SELECT count(*) FROM store_state").fetchall()
    except duckdb.Error:
        return True
    return False


def _look(path: Path, acknowledged: int) -> Iterator[str]:
    try:
        with Store.open(path, _settings(path)) as store:
            if store.mark.sequence < acknowledged:
                yield f"commit {acknowledged} was acknowledged, and the store ends at {store.mark.sequence}"
            with store.cursor() as cursor:
                for (table,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    cursor.execute(f'SELECT * FROM "{table}"').fetchall()
    except (VisavisError, duckdb.Error) as error:
        yield f"it does not open: {error}"


if __name__ == "__main__":
    work(Path(sys.argv[1]))


__all__ = ["KILLS", "run", "work"]
