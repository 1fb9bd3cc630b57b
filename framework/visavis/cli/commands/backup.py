"""`visavis backup FILE`: the whole store in one file that can prove that it is whole."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.progress import ProgressReport
from visavis.cli.session import open_shop


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "backup",
        run,
        help="write the whole store to one file, also while it is served; or verify such a file",
        description="Write the whole store, as of one commit, to one new file, also while the store is served.\n"
        "Unlike a snapshot, which is for analysts, it is the store itself, for `visavis restore`.\n\n"
        "It holds personal data, and only you may read it. It does not hold the API keys: they lie in\n"
        "keys.json beside the store, and secrets are kept apart from data.",
        example="visavis backup shop-monday.duckdb --data shop.duckdb",
        interrupted="no backup was made, and the store is as it was",
    )
    parser.add_argument("file", metavar="FILE", help="the new file; with --verify, one that was made before")
    parser.add_argument(
        "--verify", action="store_true", help="compare every table of FILE with the counts and checksums in it"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Write or verify, and say what the backup holds."""
    if args.verify:
        return _verify(args, out)
    with open_shop(args) as shop, ProgressReport(sys.stderr) as progress:
        backup = shop.admin.backup(args.file, progress=progress)
    if out.as_json:
        out.json(backup)
    else:
        out.line(
            f"{backup.path}: {backup.bytes:,} bytes, {backup.rows:,} rows, everything up to commit "
            f"{backup.sequence:,}, in {backup.seconds:.1f} s"
        )
    return 0


def _verify(args: argparse.Namespace, out: Output) -> int:
    from visavis.store.backup import verify_backup

    with ProgressReport(sys.stderr) as progress:
        manifest = verify_backup(Path(args.file), progress)
    if out.as_json:
        out.json(manifest)
        return 0
    how = "counts and checksums agree"
    if not manifest.by_checksum:
        how = f"counts agree (checksums are those of DuckDB {manifest.duckdb}, and this is another version)"
    out.line(
        f"{manifest.path}: whole; {len(manifest.rows)} tables, {sum(manifest.rows.values()):,} rows, everything up to "
        f"commit {manifest.mark.sequence:,}, made {manifest.made_at:%Y-%m-%d %H:%M} UTC by Visavis {manifest.version}; "
        f"{how}"
    )
    return 0


__all__ = ["add", "run"]
