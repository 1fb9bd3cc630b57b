"""`visavis profile CUSTOMER`: what is known of one customer."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from visavis.cli.options import add_command, add_customer, customer_of
from visavis.cli.output import Output
from visavis.cli.session import open_shop
from visavis.model import Consent, Profile


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "profile",
        run,
        help="what is known of one customer",
        example="visavis profile email:ann@example.com --identifier --data shop.duckdb",
    )
    add_customer(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Print one customer's profile."""
    customer = customer_of(args)
    with open_shop(args) as shop:
        profile = shop.differentiate.profile(customer)
    if out.as_json:
        out.json(profile)
        return 0
    out.pairs(_pairs(profile))
    return 0


def _pairs(profile: Profile) -> dict[str, object]:
    who = profile.customer
    return {
        "customer": who.customer_id,
        "identifiers": ", ".join(f"{one.kind}:{one.value}" for one in who.identifiers) or "none",
        "time zone": who.time_zone or "the shop's",
        "interactions": f"{profile.interaction_count:,}",
        "first seen": _moment(profile.first_seen),
        "last seen": _moment(profile.last_seen),
        "segments": ", ".join(f"{name} {segment}" for name, segment in sorted(profile.segments.items())) or "none",
        "personalization": "allowed" if profile.may_personalize else "objected to",
        "marketing": "granted" if profile.may_market else "not granted",
        "consents": "; ".join(_told(consent) for consent in profile.consents) or "none given",
        **{f"attribute {name}": value for name, value in sorted(who.attributes.items())},
    }


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"


def _told(consent: Consent) -> str:
    word = "granted" if consent.granted else "denied"
    channel = f" by {consent.channel}" if consent.channel else ""
    source = f" ({consent.source})" if consent.source else ""
    return f"{consent.purpose}{channel} {word} {_moment(consent.at)}{source}"


__all__ = ["add", "run"]
