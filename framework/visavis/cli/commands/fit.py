"""`visavis fit`: learn from all that is recorded."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output, safe
from visavis.cli.progress import ProgressReport
from visavis.cli.session import open_shop
from visavis.model import FitReport


def add(commands: Any) -> None:
    """Describe the command."""
    add_command(
        commands,
        "fit",
        run,
        help="learn from all that is recorded; what was learnt is served at once",
        example="visavis fit --data shop.duckdb",
        interrupted="what was fitted before is served still, and a running server goes on; `visavis status` tells",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Fit a new generation. A plugin that failed is named; the others are served."""
    with open_shop(args) as shop, ProgressReport(sys.stderr) as progress:
        report = shop.admin.fit(progress=progress)
    if out.as_json:
        out.json(report)
    else:
        print_report(report, out)
    for name, why in sorted(report.failed.items()):
        print(f"visavis: plugin {safe(name)} failed and is left out: {safe(why)}", file=sys.stderr)
    return 0


def print_report(report: FitReport, out: Output) -> None:
    """What was learnt, from what, and what failed."""
    out.line(
        f"generation {report.generation}: learnt from {report.interactions:,} interactions of {report.customers:,} "
        f"customers with {report.items:,} items in {report.seconds:.1f} s"
    )
    out.line(f"  scorers     {', '.join(report.scorers) or 'none'}")
    out.line(f"  segmenters  {', '.join(report.segmenters) or 'none'}")
    if report.failed:
        out.line(f"  failed      {', '.join(sorted(report.failed))}")


__all__ = ["add", "print_report", "run"]
