"""Options that commands share, and what their values mean."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from visavis.cli.output import Output
from visavis.errors import InvalidInput
from visavis.model import AttributeFilter, CustomerRef, Identifier

Run = Callable[[argparse.Namespace, Output], int]
"""What a command module's `run` is: arguments and output in, exit code out."""


def add_command(
    commands: Any,
    name: str,
    run: Run,
    *,
    help: str,
    description: str = "",
    example: str,
    interrupted: str = "nothing was changed",
) -> argparse.ArgumentParser:
    """Add a command with the options that all commands have; its help ends in `example`.

    `interrupted` says what stands, and how to go on, when Ctrl-C ended it.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=description or f"{help[0].upper()}{help[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, interrupted=interrupted)
    # Without defaults here, what stood before the command holds.
    add_everywhere(parser, defaults=False)
    return parser


def add_everywhere(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    """The options that may stand before and after the command."""
    nothing = None if defaults else argparse.SUPPRESS
    table = "table" if defaults else argparse.SUPPRESS
    every = parser.add_argument_group("options of every command")
    every.add_argument(
        "--data", default=nothing, metavar="FILE", help="the store (default: VISAVIS_DATA, then visavis.duckdb)"
    )
    every.add_argument("--format", default=table, choices=("table", "json"), help="what to print (default: table)")
    every.add_argument(
        "--plugins-dir", default=nothing, metavar="FOLDER", help="load the plugin modules of a folder, too"
    )
    every.add_argument(
        "--config", default=nothing, metavar="FILE", help="settings (default: VISAVIS_CONFIG, then visavis.toml)"
    )


def add_customer(parser: argparse.ArgumentParser) -> None:
    """The customer, by id or by identifier."""
    parser.add_argument("customer", metavar="CUSTOMER", help="a customer id")
    parser.add_argument(
        "--identifier", action="store_true", help="CUSTOMER is an identifier, kind:value, such as email:ann@example.com"
    )


def add_ranking(parser: argparse.ArgumentParser) -> None:
    """How many items, by which scorer, and which of them."""
    parser.add_argument("-n", type=int, default=10, metavar="COUNT", help="how many items, 1 to 1000 (default: 10)")
    parser.add_argument("--scorer", default="", metavar="NAME", help="the scorer (default: the setting `scorer`)")
    parser.add_argument(
        "--category", action="append", default=[], metavar="NAME", help="only this category; repeatable"
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only items whose attribute is VALUE; also NAME!=VALUE, and NAME>=NUMBER, NAME<=NUMBER in quotes; "
        "repeatable, several values of one name mean any of them",
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="ITEM", help="not this item; repeatable")
    parser.add_argument("--include-unavailable", action="store_true", help="also items that are not to be had now")
    parser.add_argument("--all-variants", action="store_true", help="also several variants of one group")


def customer_of(args: argparse.Namespace) -> CustomerRef:
    """The customer that the arguments name. Raises `InvalidInput`."""
    if not args.identifier:
        return str(args.customer)
    kind, colon, value = str(args.customer).partition(":")
    if not (kind and colon and value):
        raise InvalidInput(
            f"CUSTOMER is {args.customer!r}; with --identifier give kind:value, e.g. email:ann@example.com"
        )
    return Identifier(kind, value)


def ranking_of(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `add_ranking`, as `recommend` and `similar` of a shop take them. Raises `InvalidInput`."""
    return {
        "n": args.n,
        "scorer": args.scorer,
        "filters": _filters(args.category, args.filter),
        "exclude": args.exclude,
        "available_only": not args.include_unavailable,
        "one_per_group": not args.all_variants,
    }


def _filters(categories: list[str], texts: list[str]) -> list[AttributeFilter]:
    any_of: dict[str, list[str]] = {"category": list(categories)} if categories else {}
    none_of: dict[str, list[str]] = {}
    ranges = []
    for text in texts:
        head, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--filter is {text!r}; give NAME=VALUE, NAME!=VALUE, NAME>=NUMBER or NAME<=NUMBER")
        sign = head[-1:] if head[-1:] in ("!", "<", ">") else ""
        name = head.removesuffix(sign).strip()
        if not name:
            raise InvalidInput(f"--filter is {text!r}, which names no attribute; give NAME=VALUE")
        if sign == "!":
            none_of.setdefault(name, []).append(value)
        elif sign == ">":
            ranges.append(AttributeFilter(name, at_least=_number(text, value)))
        elif sign == "<":
            ranges.append(AttributeFilter(name, at_most=_number(text, value)))
        else:
            any_of.setdefault(name, []).append(value)
    return [
        *(AttributeFilter(name, any_of=tuple(values)) for name, values in any_of.items()),
        *(AttributeFilter(name, none_of=tuple(values)) for name, values in none_of.items()),
        *ranges,
    ]


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidInput(f"--filter is {text!r}, and {value!r} is no number") from None


__all__ = ["Run", "add_command", "add_customer", "add_everywhere", "add_ranking", "customer_of", "ranking_of"]
