"""`visavis status`: the state of the store and of whoever serves it."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import open_shop
from visavis.model import Status


def add(commands: Any) -> None:
    """Describe the command."""
    add_command(
        commands,
        "status",
        run,
        help="what the store holds and what is served",
        example="visavis status --data shop.duckdb",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Print the state."""
    with open_shop(args) as shop:
        status = shop.admin.status()
        server = getattr(shop, "address", "")
    if out.as_json:
        out.json(status)
        return 0
    out.pairs(_pairs(status, server))
    for warning in status.warnings:
        out.line(f"warning: {warning}")
    return 0


def _pairs(status: Status, server: str) -> dict[str, object]:
    generation = "none yet; run `visavis fit`"
    if status.fitted_at is not None:
        generation = (
            f"{status.generation}, fitted {status.fitted_at:%Y-%m-%d %H:%M} UTC, "
            f"{status.unfitted_interactions:,} interactions ago"
        )
    # A fit's own commits hold nothing to learn: after it, there is nothing to refresh to.
    refreshed = f", refreshed to {status.refreshed_sequence:,}" if status.unfitted_interactions else ""
    return {
        "store": status.path,
        "served at": server or "nowhere",
        "customers": f"{status.customers:,}",
        "items": f"{status.items:,}",
        "interactions": f"{status.interactions:,}",
        "generation": generation,
        "sending": "muted, tests only" if status.muted else "live",
        "file": f"{status.file_bytes:,} bytes, log {status.wal_bytes:,} bytes",
        "last commit": f"{status.sequence:,}{refreshed}",
        "version": f"Visavis {status.version}, schema {status.schema_version}, store {status.store_id}",
    }


__all__ = ["add", "run"]
