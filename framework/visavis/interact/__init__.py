"""Whether, where and when to speak. Today: trying a channel out, with an address of one's own."""

from __future__ import annotations

import uuid

from visavis.customize import Customize
from visavis.errors import InvalidInput, PluginError, VisavisError
from visavis.identify.checks import Violations, check_id
from visavis.model import CustomerRef, Delivery, Message, Recommendation
from visavis.plugin import Registry


class Interact:
    """The room of contacts. A store is muted: the only messages that leave it are tests."""

    def __init__(self, customize: Customize, registry: Registry) -> None:
        self._customize = customize
        self._registry = registry

    def send_test(self, channel: str, customer: CustomerRef, to: str, *, n: int = 5) -> Delivery:
        """Send what a customer would be recommended through a channel, to an address of your own.

        The customer is not contacted: the message goes to `to` alone. Raises `NotFound` for an unknown channel,
        `PluginError` when the channel fails.
        """
        bad = Violations()
        check_id(bad, "to", to)
        bad.check()
        plugin = self._registry.build_channel(channel)
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
        return delivery


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
