"""Whether, where and when to speak. Today: trying a channel out, with an address of one's own."""

from __future__ import annotations

import uuid

from visavis.customize import Customize
from visavis.errors import InvalidInput, PluginError, VisavisError
from visavis.identify.checks import Violations, check_id, shorten
from visavis.live import Live
from visavis.model import CustomerRef, Delivery, Message, Recommendation
from visavis.plugin import Registry
from visavis.store import Store
from visavis.store.identities import read_owners


class Interact:
    """The room of contacts. A store is muted: the only messages that leave it are tests."""

    def __init__(self, store: Store, live: Live, customize: Customize, registry: Registry) -> None:
        self._store = store
        self._live = live
        self._customize = customize
        self._registry = registry

    def send_test(self, channel: str, customer: CustomerRef, to: str, *, n: int = 5) -> Delivery:
        """Send what a customer would be recommended through a channel, to an address of your own.

        The customer is not contacted: the message goes to `to` alone. Raises `InvalidInput` if `to` is the address of
        a customer who did not grant marketing on the channel, `NotFound` for an unknown channel, `PluginError` when
        the channel fails.
        """
        bad = Violations()
        check_id(bad, "to", to)
        bad.check()
        plugin = self._registry.build_channel(channel)
        self._check_address(to, channel)
        recommendation = self._customize.recommend(customer, n)
        message = Message(
            message_id=f"m-{uuid.uuid4().hex}",
            channel=channel,
            customer_id=recommendation.customer_id,
            address=to,
            subject="Chosen for you (test)",
            text=render_text(recommendation),
        )
        try:
            delivery = plugin.send(message)
        except Exception as error:
            detail = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
            raise PluginError(
                f"channel {channel} could not send: {detail}", metadata={"plugin": channel, "error": detail}
            ) from error
        if not isinstance(delivery, Delivery):
            raise PluginError(
                f"channel {channel} answered {type(delivery).__name__}; its send() must answer a Delivery",
                metadata={"plugin": channel},
            )
        if delivery.message_id != message.message_id:
            raise PluginError(
                f"channel {channel} answered for message {shorten(delivery.message_id)}, not for the one it was given; "
                "its send() must answer with that message's id",
                metadata={"plugin": channel},
            )
        return delivery

    def _check_address(self, to: str, channel: str) -> None:
        """A test must not become a contact that a customer never agreed to."""
        with self._store.cursor() as cursor:
            owners = read_owners(cursor, to)
        if not all(self._live.consents.may_market(owner, channel) for owner in owners):
            bad = Violations()
            bad.add(
                "to",
                f"belongs to a customer who granted no marketing on channel {channel}; give an address of your own",
            )
            bad.check()


def render_text(recommendation: Recommendation) -> str:
    """A plain-text message of a recommendation: one line an item, with its first reason."""
    if not recommendation.items:
        raise InvalidInput("there is nothing to recommend; import items that are available first")
    lines = []
    for item in recommendation.items:
        reason = f" ({item.reasons[0].text})" if item.reasons else ""
        lines.append(f"{item.rank}. {item.name}{reason}")
    return "\n".join(lines)


__all__ = ["Interact", "render_text"]
