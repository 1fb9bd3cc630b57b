"""`visavis settings`: every setting, what it is set to and what it means."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import settings_of
from visavis.config import SETTINGS


def add(commands: Any) -> None:
    """Describe the command."""
    add_command(
        commands,
        "settings",
        run,
        help="every setting, what it is set to and what it means",
        example="VISAVIS_CURRENCY=GBP visavis settings",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """The settings as the other commands would find them, and the options of plugins."""
    settings = settings_of(args)
    if out.as_json:
        out.json({"settings": settings.values, "plugins": settings.plugins})
        return 0
    rows = [(one.name, settings[one.name], one.variable, one.help) for one in SETTINGS]
    out.table(("setting", "value", "variable", "meaning"), rows)
    for plugin, options in sorted(settings.plugins.items()):
        for name, value in sorted(options.items()):
            out.line(f"[plugins.{plugin}] {name} = {value!r}")
    return 0


__all__ = ["add", "run"]
