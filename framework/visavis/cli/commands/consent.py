"""`visavis consent CUSTOMER`: take down a customer's word on a purpose."""

from __future__ import annotations

import argparse
from typing import Any

from visavis.cli.options import add_command, add_customer, customer_of
from visavis.cli.output import Output
from visavis.cli.session import open_shop
from visavis.model import Consent


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "consent",
        run,
        help="take down a customer's word on personalization or marketing",
        description="Take down a customer's word; it holds from the next answer on. Personalization is allowed until\n"
        "it is denied, marketing is denied until it is granted.",
        example="visavis consent 17850 --purpose personalization --deny --data shop.duckdb",
        interrupted="it may have been recorded; say it again, that does no harm",
    )
    add_customer(parser)
    parser.add_argument("--purpose", required=True, choices=("personalization", "marketing"))
    word = parser.add_mutually_exclusive_group(required=True)
    word.add_argument("--grant", dest="granted", action="store_const", const=True, help="the customer agrees")
    word.add_argument("--deny", dest="granted", action="store_const", const=False, help="the customer objects")
    parser.add_argument("--channel", default="", metavar="NAME", help="for marketing: this channel only (default: all)")
    parser.add_argument("--source", default="command line", metavar="TEXT", help="where the word was given")


def run(args: argparse.Namespace, out: Output) -> int:
    """Store the word and repeat it."""
    customer = customer_of(args)
    consent = Consent(args.purpose, args.granted, channel=args.channel, source=args.source)
    with open_shop(args) as shop:
        shop.identify.set_consent(customer, consent)
    if out.as_json:
        out.json({"customer": args.customer, "purpose": args.purpose, "granted": args.granted, "channel": args.channel})
    else:
        word = "granted" if args.granted else "denied"
        by = f" by {args.channel}" if args.channel else ""
        out.line(f"noted: {args.customer} has {word} {args.purpose}{by}")
    return 0


__all__ = ["add", "run"]
