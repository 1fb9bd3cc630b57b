"""`visavis kinds`: what each kind of interaction means, by the table as it comes and by the settings."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import settings_of
from visavis.kinds import FOREVER, KIND_RULES, KindRule


def add(commands: Any) -> None:
    """Describe the command."""
    add_command(
        commands,
        "kinds",
        run,
        help="what each kind of interaction means: its weight, how it fades, how long it hides, whether it trains",
        example="visavis kinds",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """The table of kinds as the other commands would find it."""
    rules = settings_of(args).kinds
    if out.as_json:
        out.json({kind: asdict(rule) | {"hides_days": _hides(rule)} for kind, rule in rules.items()})
        return 0
    out.table(
        ("kind", "weight", "half_life_days", "hides_days", "trains", "set by"),
        [
            (
                kind,
                f"{rule.weight:g}",
                f"{rule.half_life_days:g}",
                _hides(rule) if rule.hides_days == FOREVER else f"{rule.hides_days:g}",
                "true" if rule.trains else "false",
                "default" if KIND_RULES.get(kind) == rule else f"[kinds.{kind}]",
            )
            for kind, rule in rules.items()
        ],
        right=("weight", "half_life_days", "hides_days"),
    )
    out.line()
    out.line("Other kinds weigh nothing, hide nothing and train. Purchases and returns hide only where what was bought")
    out.line(
        "is to be left out. Change it in visavis.toml: [kinds.view] weight = 0.3; learning follows at the next fit."
    )
    return 0


def _hides(rule: KindRule) -> float | str:
    # JSON knows no infinity.
    return "forever" if rule.hides_days == FOREVER else rule.hides_days


__all__ = ["add", "run"]
