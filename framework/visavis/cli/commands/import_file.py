"""`visavis import FILE`: sales or other interactions from CSV, Parquet or JSON Lines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.progress import ProgressReport
from visavis.cli.session import open_shop
from visavis.errors import InvalidInput
from visavis.model import ImportReport

# Role of the import -> what the option's help says.
ROLES = {
    "customer": "who",
    "item": "what",
    "time": "when",
    "order": "the invoice or basket",
    "quantity": "how many; below zero means a return",
    "price": "of one piece",
    "amount": "of the whole line",
    "cost": "of one piece, to the shop",
    "discount": "of the whole line",
    "tax": "of the whole line",
    "id": "the row's own id, for ever",
    "name": "the item's name",
    "category": "the item's category",
    "brand": "the item's brand",
    "rating": "a rating",
    "touchpoint": "where",
}
_SAMPLES = 5


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "import",
        run,
        help="take in a file of sales or other interactions",
        description="Take in a file of sales or other interactions. What the columns mean is guessed and said;\n"
        "name those that were guessed wrong. Importing the same file again adds nothing. The store is made if there\n"
        "is none.",
        example="visavis import sales.csv --data shop.duckdb --currency GBP --time-zone Europe/London",
        interrupted="what was stored so far stays; import the same file again to store the rest",
    )
    parser.add_argument("file", metavar="FILE", help="CSV, Parquet or JSON Lines, also compressed (.gz, .zst)")
    parser.add_argument("--source", default="", metavar="NAME", help="what the rows are known by (default: file name)")
    parser.add_argument("--format-in", choices=("csv", "parquet", "jsonl"), default="", help="default: what is found")
    parser.add_argument("--delimiter", default="", metavar="SIGN", help="between the columns of CSV, or the word tab")
    columns = parser.add_argument_group("columns", 'which column of the file holds what; "" means none')
    for role, meaning in ROLES.items():
        columns.add_argument(f"--{role}", dest=f"role_{role}", metavar="COLUMN", help=meaning)
    either = parser.add_argument_group("a column of the file, or one value for all rows")
    either.add_argument("--kind", default="", metavar="COLUMN|KIND", help="the kind of interaction (default: purchase)")
    either.add_argument(
        "--currency", default="", metavar="COLUMN|CODE", help="ISO 4217 (default: the setting `currency`)"
    )
    either.add_argument(
        "--time-zone", default="", metavar="COLUMN|ZONE", help="of times that name none (default: the setting)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Import the file and say what became of each row."""
    named = {role: getattr(args, f"role_{role}") for role in ROLES if getattr(args, f"role_{role}") is not None}
    if args.file == "-":
        raise InvalidInput(
            "the standard input is not read, for a file is read more than once; write it to a file first, and import "
            "that (a file of this name is ./-)",
            reason="FILE_UNREADABLE",
            metadata={"path": args.file},
        )
    from visavis.store.source_files import check_source

    check_source(Path(args.file))  # before a store is made for nothing
    with open_shop(args, create=True) as shop, ProgressReport(sys.stderr) as progress:
        report = shop.identify.import_file(
            args.file,
            columns=named,
            source=args.source,
            kind=args.kind,
            currency=args.currency,
            time_zone=args.time_zone,
            format=args.format_in,
            delimiter=args.delimiter,
            progress=progress,
        )
    if out.as_json:
        out.json(report)
    else:
        print_report(report, out)
    return 0


def print_report(report: ImportReport, out: Output) -> None:
    """What was guessed, what was taken, what was refused and why."""
    out.line(f"columns of {report.source}")
    for role, column in report.columns.items():
        out.line(f"  {role:<12} {column}{'   (guessed)' if role in report.guessed else ''}")
    for note in report.notes:
        out.line(f"note: {note}")
    out.line()
    counts = {
        "with a customer": report.interactions,
        "returns": report.returns,
        "without a customer": report.without_customer,
        "already known": report.already_known,
        "refused": report.rejected,
    }
    widest = len(f"{report.rows:,}")
    out.line(f"{report.rows:,} rows in {report.seconds:.1f} s")
    for name, count in counts.items():
        out.line(f"  {count:>{widest},}  {name}")
    if report.returns:
        out.line(f"{report.returns_linked:,} returns are tied to the purchase that they take back")
    out.line(f"{report.new_customers:,} new customers, {report.new_items:,} new items")
    if not report.rejected:
        return
    out.line()
    out.line("refused because of")
    for reason, count in sorted(report.rejected_by_reason.items(), key=lambda pair: (-pair[1], pair[0])):
        out.line(f"  {count:>{widest},}  {reason}")
    for row in report.samples[:_SAMPLES]:
        told = f": {row.field} is {row.value!r}" if row.field else ""
        out.line(f"  row {row.row:,}: {row.reason}{told}")
    if report.rejects_path:
        out.line(f"all refused rows are in {report.rejects_path}")


__all__ = ["ROLES", "add", "print_report", "run"]
