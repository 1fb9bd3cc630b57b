"""`visavis restore FILE`: a store made of a backup."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.progress import ProgressReport
from visavis.cli.session import settings_of


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "restore",
        run,
        help="make a store of a backup; a store that is there is moved aside, never deleted",
        description="Verify a backup and make a store of it. Stop the server first.\n\n"
        "The restored store is muted: nothing is sent except to test addresses. What was recorded after\n"
        "the backup is missing from it; senders that send it again get it recorded.",
        example="visavis restore shop-monday.duckdb --data shop.duckdb",
        interrupted="the store that was there is as it was, or lies whole in `aside` beside it; restore again",
    )
    parser.add_argument("file", metavar="FILE", help="what `visavis backup` wrote")
    parser.add_argument("--replace", action="store_true", help="move the store that is there aside")


def run(args: argparse.Namespace, out: Output) -> int:
    """Restore, and say what the store holds and what it lacks."""
    from visavis.store.restore import restore_backup

    with ProgressReport(sys.stderr) as progress:
        restored = restore_backup(Path(args.file), settings_of(args).data, replace=args.replace, progress=progress)
    if out.as_json:
        out.json(restored)
        return 0
    rows = restored.rows
    out.line(
        f"{restored.path}: {rows['customers']:,} customers, {rows['items']:,} items and {rows['interactions']:,} "
        f"interactions, as of {restored.made_at:%Y-%m-%d %H:%M} UTC, commit {restored.sequence:,}; muted"
    )
    if restored.aside:
        out.line(f"the store that was there is now {restored.aside}")
    if restored.missing_commits:
        commits = "1 commit" if restored.missing_commits == 1 else f"{restored.missing_commits:,} commits"
        out.line(
            f"missing: {commits} after the backup; send again what was recorded since "
            f"{restored.made_at:%Y-%m-%d %H:%M} UTC"
        )
    elif restored.missing_commits is None:
        out.line(f"what was recorded since {restored.made_at:%Y-%m-%d %H:%M} UTC, if anything, is missing")
    return 0


__all__ = ["add", "run"]
