"""`visavis similar ITEM`: the items most like one."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command, add_ranking, ranking_of
from visavis.cli.output import Output
from visavis.cli.session import open_shop


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "similar",
        run,
        help="the items most like one",
        example="visavis similar 85123A -n 5 --data shop.duckdb",
    )
    parser.add_argument("item", metavar="ITEM", help="an item id")
    add_ranking(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask for one item's neighbours and print them."""
    ranking = ranking_of(args)
    with open_shop(args) as shop:
        answer = shop.customize.similar(args.item, **ranking)
    if out.as_json:
        out.json(answer)
        return 0
    out.line(f"like {answer.item_id} {answer.name} by {answer.scorer}")
    if not answer.items:
        out.line("nothing fits what was asked for")
        return 0
    rows = [(one.rank, one.item_id, one.name, f"{one.score:.4f}") for one in answer.items]
    out.table(("rank", "item", "name", "score"), rows, right=("rank", "score"))
    return 0


__all__ = ["add", "run"]
