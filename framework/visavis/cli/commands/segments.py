"""`visavis segments`: the segments and who is in them."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import open_shop
from visavis.errors import InvalidInput

_PAGE = 1000


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "segments",
        run,
        help="the segments with their sizes, or who is in one of them",
        example="visavis segments members rfm champions --data shop.duckdb",
    )
    parser.add_argument("verb", nargs="?", choices=("list", "members"), default="list", help="default: list")
    parser.add_argument("segmentation", nargs="?", metavar="SEGMENTATION", help="for members: of which segmentation")
    parser.add_argument("segment", nargs="?", metavar="SEGMENT", help="for members: of which segment")


def run(args: argparse.Namespace, out: Output) -> int:
    """List the segments, or one segment's customers."""
    if args.verb == "members":
        return _members(args, out)
    if args.segmentation is not None:
        raise InvalidInput("`segments list` takes nothing more; for the customers of a segment say `segments members`")
    with open_shop(args) as shop:
        segments = shop.differentiate.segments()
    if out.as_json:
        out.json({"segments": segments})
    elif segments:
        rows = [(one.segmentation, one.name, f"{one.customers:,}") for one in segments]
        out.table(("segmentation", "segment", "customers"), rows, right=("customers",))
    else:
        out.line("there are no segments; `visavis fit` makes them")
    return 0


def _members(args: argparse.Namespace, out: Output) -> int:
    if args.segment is None:
        raise InvalidInput("`segments members` needs a segmentation and a segment; `visavis segments` lists them")
    ids: list[str] = []
    token = ""
    with open_shop(args) as shop:
        while True:
            page = shop.differentiate.members(args.segmentation, args.segment, page_size=_PAGE, page_token=token)
            ids += page.items
            token = page.next_page_token
            if not token:
                break
    if out.as_json:
        out.json({"segmentation": args.segmentation, "segment": args.segment, "customer_ids": ids})
    else:
        for one in ids:
            out.line(one)
    return 0


__all__ = ["add", "run"]
