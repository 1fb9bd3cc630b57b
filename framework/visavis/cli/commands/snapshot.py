"""`visavis snapshot FILE`: a consistent copy for analysts."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.progress import ProgressReport
from visavis.cli.session import open_shop


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "snapshot",
        run,
        help="write a consistent copy of the store, also while it is served",
        example="visavis snapshot copy.duckdb --data shop.duckdb",
        interrupted="no snapshot was made, and the store is as it was",
    )
    parser.add_argument("file", metavar="FILE", help="the new file; it must not exist yet")


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the copy and say what it holds."""
    with open_shop(args) as shop, ProgressReport(sys.stderr) as progress:
        snapshot = shop.admin.snapshot(args.file, progress=progress)
    if out.as_json:
        out.json(snapshot)
    else:
        out.line(
            f"{snapshot.path}: {snapshot.bytes:,} bytes, everything up to commit {snapshot.sequence:,}, "
            f"in {snapshot.seconds:.1f} s"
        )
    return 0


__all__ = ["add", "run"]
