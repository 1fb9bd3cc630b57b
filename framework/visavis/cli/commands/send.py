"""`visavis send CUSTOMER`: try a channel out, with an address of one's own."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from visavis.cli.options import add_command, add_customer, customer_of
from visavis.cli.output import Output
from visavis.cli.session import open_shop


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "send",
        run,
        help="try a channel out: what a customer would get, sent to an address of your own",
        description="Send what a customer would get to an address of your own. The customer is not contacted.",
        example="visavis send 17850 --channel console --test-to me@example.com --data shop.duckdb",
        interrupted="the message may have been sent; look at the test address before you send it again",
    )
    add_customer(parser)
    parser.add_argument("--channel", required=True, metavar="NAME", help="a channel; `visavis plugins` lists them")
    parser.add_argument("--test-to", required=True, metavar="ADDRESS", help="where the message goes")
    parser.add_argument("-n", type=int, default=5, metavar="COUNT", help="how many items (default: 5)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Send one test message; 1 if the channel did not accept it."""
    customer = customer_of(args)
    # A channel may print what it sends; that is no part of a JSON answer.
    aside = contextlib.redirect_stdout(sys.stderr) if out.as_json else contextlib.nullcontext()
    with open_shop(args) as shop, aside:
        delivery = shop.interact.send_test(args.channel, customer, args.test_to, n=args.n)
    if out.as_json:
        out.json(delivery)
    else:
        detail = f": {delivery.detail}" if delivery.detail else ""
        word = "accepted" if delivery.accepted else "refused"
        out.line(f"{args.channel} {word} message {delivery.message_id}{detail}")
    return 0 if delivery.accepted else 1


__all__ = ["add", "run"]
