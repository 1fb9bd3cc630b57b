"""`python -m tests.soak [NAMES] [--short] [--seed N]`: try what rarely happens, say what was tried and what was found.

Ends with 0 if every promise was kept. The same seed tries the same again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.soak.found import Found

SCENARIOS = {
    "kills": "signal 9 while a store is made, written, fitted, copied, brought to a later schema, served",
    "checkpoints": "signal 9 in the middle of one checkpoint after the other",
    "damage": "wrong bits, lost ends, foreign bytes in every file of a store",
    "environment": "full disks, read-only folders, clocks that go back, owners that vanish, files taken away",
    "upkeep": "signal 9 at every step of compaction and restore",
    "reopening": "ten million interactions: how long until a killed store answers again",
    "load": "many callers of single durable interactions beside recommendations",
    "overload": "ten times the load that can be borne",
    "malformed": "mutated messages for every RPC",
    "import_anger": "huge, broken, killed and concurrent imports",
}
"""By name: what is tried. Each is a module of this package with `run(folder, *, full, seed)`."""


def main(arguments: list[str]) -> int:
    """Run the scenarios named, by default all."""
    width = max(map(len, SCENARIOS))
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Long trials that look for rare failures.",
        epilog="scenarios:\n" + "\n".join(f"  {name:<{width}}  {what}" for name, what in SCENARIOS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios to run (default: all)")
    parser.add_argument("--short", action="store_true", help="the short form, as in the tests")
    parser.add_argument("--seed", type=int, default=1, help="what random choices follow from (default: 1)")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in SCENARIOS]:
        parser.error(f"there is no scenario {unknown[0]}; known are {', '.join(SCENARIOS)}")
    logging.getLogger("visavis").setLevel(logging.CRITICAL + 1)
    summary = []
    for name in args.names or SCENARIOS:
        print(f"{name}: {SCENARIOS[name]}", flush=True)
        summary.append(_run(name, short=args.short, seed=args.seed))
        print(flush=True)
    for line in summary:
        print(line)
    return 0 if all(line.good for line in summary) else 1


def _run(name: str, *, short: bool, seed: int) -> Found:
    started = time.monotonic()
    tried = bad = 0
    with tempfile.TemporaryDirectory(prefix="visavis-soak-") as folder:
        for found in import_module(f"tests.soak.{name}").run(Path(folder), full=not short, seed=seed):
            print(f"  {found}", flush=True)
            tried += 1
            bad += not found.good
    told = f"{name}: {tried} lines, {bad} of them bad, in {time.monotonic() - started:.0f} s, seed {seed}"
    # A scenario that says nothing has tried nothing.
    return Found(tried > 0 and not bad, told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


__all__ = ["SCENARIOS", "main"]
