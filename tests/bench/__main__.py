"""`python -m tests.bench [SECTIONS] [--size SET …] [--quick] [--json PATH]`: our speed beside our peers', in one run.

Prints tables with the median of several rounds, the least and the most, ratios and targets; writes the same as JSON
and draws a picture beside it. Nothing is asserted: a machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench import data
from tests.bench.cache import cache_folder
from tests.bench.picture import draw
from tests.bench.plan import Plan
from tests.bench.report import machine, machine_lines

SECTIONS = {
    "building": "the model: K most similar items of each, beside implicit and sparse_dot_topn",
    "scoring": "the best items for one customer and for many, beside implicit",
    "serving": "gRPC: answering and taking in, beside an echo and implicit behind a server",
    "fresh": "how soon what was learned knows what was recorded, and what that costs",
    "store": "from the file on disk to a served model, and opening it again",
}
"""By name: what is measured. Each is a module of this package with `run(plan)`."""


def main(arguments: list[str]) -> int:
    """Measure the sections named, by default all."""
    width = max(map(len, SECTIONS))
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Our speed beside our peers', measured in one run on one machine.",
        epilog="sections:\n" + "\n".join(f"  {name:<{width}}  {what}" for name, what in SECTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="what to measure (default: all)")
    parser.add_argument(
        "--size", action="append", default=[], choices=data.NAMES, help="set to measure on; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="within a minute; also QUICK=1"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where to write it (default: bench.json)")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]}; known are {', '.join(SECTIONS)}")
    if not args.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no folder {args.json.resolve().parent}; make it first")
    began, about, tables = time.monotonic(), machine(), []
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    for line in machine_lines(about):
        print(line)
    print(f"sets and stores are kept in {cache}; delete it whenever you like", flush=True)
    with tempfile.TemporaryDirectory(prefix="visavis-bench-") as scratch:
        rounds, seconds = (2, 0.4) if args.quick else (7, 3.0)
        plan = Plan(tuple(args.size), args.quick, rounds, seconds, cache, Path(scratch))
        for name in args.sections or SECTIONS:
            started = time.monotonic()
            for table in import_module(f"tests.bench.{name}").run(plan):
                print("\n" + "\n".join(table.lines()), flush=True)
                tables.append(table.as_json())
            print(f"\n{name}: measured in {time.monotonic() - started:.0f} s", flush=True)
    told: dict[str, Any] = {"machine": about, "quick": args.quick, "tables": tables}
    told["seconds"] = round(time.monotonic() - began, 1)
    args.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{told['seconds']:.0f} s; figures: {args.json}")
    print(draw(tables, about, args.json.with_suffix(".svg")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


__all__ = ["SECTIONS", "main"]
