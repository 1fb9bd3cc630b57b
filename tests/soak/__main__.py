"""`python -m tests.soak [ROUNDS]`: kill a writing process ROUNDS times (20), and say what was found."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.soak.kills import kill_and_look, write


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--write"]:
        write(arguments[1], int(arguments[2]))
        return 0
    rounds = int(arguments[0]) if arguments else 20
    print(f"{rounds} times: four threads record batches, the process is killed with signal 9, the store opened again")
    with tempfile.TemporaryDirectory(prefix="visavis-soak-") as folder:
        found = kill_and_look(Path(folder) / "soak.duckdb", rounds)
    for one in found:
        print(one)
    bad = sum(not one.good for one in found)
    print(f"{rounds} kills, {found[-1].acknowledged if found else 0:,} acknowledged interactions, {bad} bad rounds")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
