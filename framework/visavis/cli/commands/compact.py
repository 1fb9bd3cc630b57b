"""`visavis compact`: the store's file written anew."""

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
    add_command(
        commands,
        "compact",
        run,
        help="write the store's file anew, without deleted rows and what they left, also while it is served",
        description="Write the store's file anew, without a trace of rows that were deleted. A file that is compact\n"
        "already may grow a little.\n\n"
        "While a server owns the store, it does the work and goes on answering; calls that write wait\n"
        "for a moment at the end. The disk needs room for a second file.",
        example="visavis compact --data shop.duckdb",
        interrupted="the store is whole, compacted or not, and a running server goes on; `visavis status` tells",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Compact, and say what it won."""
    with open_shop(args) as shop, ProgressReport(sys.stderr) as progress:
        report = shop.admin.compact(progress=progress)
    if out.as_json:
        out.json(report)
    else:
        out.line(
            f"{report.bytes_before:,} bytes before, {report.bytes_after:,} after, {report.rows:,} rows, in "
            f"{report.seconds:.1f} s; calls that write waited {report.pause_seconds:.2f} s"
        )
    return 0


__all__ = ["add", "run"]
