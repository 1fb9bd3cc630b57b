"""`visavis doctor`: what is the matter with a store, and the two repairs that need a person's word."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.commands.plugins import plugins_here
from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import settings_of
from visavis.errors import VisavisError
from visavis.model import PluginInfo


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "doctor",
        run,
        help="what is the matter with a store, also with one that cannot be opened",
        description="Say what is the matter with a store, also with one that cannot be opened. It only looks,\n"
        "unless a repair is asked for; nothing is ever deleted.",
        example="visavis doctor --data shop.duckdb",
        interrupted="a repair is done or not done, never half; look again with `visavis doctor`",
    )
    parser.add_argument(
        "--move-aside-wal", action="store_true", help="move a write-ahead log that cannot be replayed out of the way"
    )
    parser.add_argument(
        "--accept-restore", action="store_true", help="go on with a store whose last commits are missing"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Do the repairs that were asked for, then look; 1 if something is wrong."""
    from visavis.store.doctor import Finding, examine
    from visavis.store.repair import accept_restore, move_aside_wal

    settings = settings_of(args)
    repairs = []
    if args.move_aside_wal:
        repairs.append(f"the write-ahead log was moved to {move_aside_wal(settings.data)}")
    if args.accept_restore:
        mark = accept_restore(settings.data)
        repairs.append(f"accepted: the store goes on after commit {mark.sequence:,}, in lineage {mark.lineage}")
    plugins: tuple[PluginInfo, ...] = ()
    findings: tuple[Finding, ...] = ()
    try:
        plugins = plugins_here(settings)
    except VisavisError as error:
        findings = (Finding("error", "plugins", error.message),)
    findings += examine(settings, plugins)
    if out.as_json:
        out.json({"repairs": repairs, "findings": findings})
    else:
        for repair in repairs:
            out.line(repair)
        for finding in findings:
            advice = f"; {finding.advice}" if finding.advice else ""
            out.line(f"{finding.level:<8} {finding.what:<11} {finding.detail}{advice}")
    return 1 if any(finding.level == "error" for finding in findings) else 0


__all__ = ["add", "run"]
