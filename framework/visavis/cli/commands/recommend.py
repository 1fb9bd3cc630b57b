"""`visavis recommend CUSTOMER`: what suits one customer, and because of what."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command, add_customer, add_ranking, customer_of, ranking_of
from visavis.cli.output import Output
from visavis.cli.session import open_shop
from visavis.model import Recommendation, RecommendedItem


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "recommend",
        run,
        help="what suits one customer, and because of what",
        example="visavis recommend 17850 -n 5 --category garden --data shop.duckdb",
    )
    add_customer(parser)
    add_ranking(parser)
    parser.add_argument(
        "--reasons",
        type=int,
        default=3,
        metavar="N",
        help="reasons of each item, 0 to 100; the last one sums up those left out (default: 3)",
    )
    bought = parser.add_mutually_exclusive_group()
    bought.add_argument(
        "--exclude-bought", dest="exclude_bought", action="store_const", const=True, help="nothing bought before"
    )
    bought.add_argument(
        "--include-bought",
        dest="exclude_bought",
        action="store_const",
        const=False,
        help="also what was bought before (default: what fits the scorer)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask for one customer and print the answer."""
    customer, ranking = customer_of(args), ranking_of(args)
    with open_shop(args) as shop:
        answer = shop.customize.recommend(
            customer, exclude_bought=args.exclude_bought, most_reasons=args.reasons, **ranking
        )
    if out.as_json:
        out.json(answer)
    else:
        print_recommendation(answer, out)
    return 0


def print_recommendation(answer: Recommendation, out: Output) -> None:
    """One recommendation as a table: rank, item, name, score, reasons."""
    who = answer.customer_id or "somebody unknown"
    out.line(f"for {who} by {answer.scorer}, generation {answer.generation}, decision {answer.decision_id}")
    if answer.fallback:
        out.line(f"not personal, a fall-back: {answer.fallback_reason.replace('_', ' ')}")
    elif answer.fallback_reason:
        out.line(f"filled up by other scorers: {answer.fallback_reason.replace('_', ' ')}")
    if not answer.items:
        out.line("nothing fits what was asked for")
        return
    rows = [(one.rank, one.item_id, one.name, f"{one.score:.4f}", _because(one)) for one in answer.items]
    out.table(("rank", "item", "name", "score", "because"), rows, right=("rank", "score"))


def _because(item: RecommendedItem) -> str:
    return "; ".join(reason.text for reason in item.reasons)


__all__ = ["add", "print_recommendation", "run"]
