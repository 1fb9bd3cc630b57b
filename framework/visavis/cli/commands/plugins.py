"""`visavis plugins`: which plugins there are, from where, and whether they work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import connect_owner, server_of, settings_of
from visavis.config import Settings
from visavis.model import PluginInfo


def add(commands: Any) -> None:
    """Describe the command."""
    add_command(
        commands,
        "plugins",
        run,
        help="which plugins there are, from where, and whether they work",
        description="Which plugins there are, from where, and whether they work: those of the running server, or\n"
        "those that a command would load here. With --format json also each one's options, as a JSON schema.",
        example="visavis plugins --plugins-dir my_plugins",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """List the plugins."""
    settings = settings_of(args)
    # Whoever names a folder wants to know about that folder, and the server may not have it.
    owner = None if args.plugins_dir else server_of(settings)
    if owner is None:
        plugins = plugins_here(settings)
    else:
        with connect_owner(owner) as client:
            plugins = client.admin.plugins()
    if out.as_json:
        out.json({"plugins": plugins})
        return 0
    rows = [
        (one.kind, one.name, one.version, one.source, "on" if one.enabled else "off", one.error or "ok")
        for one in plugins
    ]
    out.table(("kind", "name", "version", "source", "on/off", "health"), rows)
    return 0


def plugins_here(settings: Settings) -> tuple[PluginInfo, ...]:
    """The plugins that a command would load, broken ones too. No store is needed."""
    from visavis.plugin import Registry

    registry = Registry.load(
        plugins_dir=Path(settings["plugins_dir"]) if settings["plugins_dir"] else None,
        disabled=settings.disabled_plugins,
        options=settings.plugins,
    )
    return registry.infos()


__all__ = ["add", "plugins_here", "run"]
