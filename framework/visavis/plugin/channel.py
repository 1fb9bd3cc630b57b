"""The base class of channels: how does a message reach a customer?"""

from __future__ import annotations

from typing import ClassVar

from visavis.model import Delivery, Message
from visavis.plugin.base import Plugin


class Channel(Plugin):
    """Carries messages. A working channel needs `name` and `send`.

    `address_kind` is the identifier kind that it sends to (`email`, `phone`); empty if it needs none.
    `purpose` is the consent that it needs: `marketing`, `service`, or empty.
    """

    kind: ClassVar[str] = "channel"
    address_kind: ClassVar[str] = ""
    purpose: ClassVar[str] = "marketing"

    def send(self, message: Message) -> Delivery:
        """Send once. The same `message_id` may come again after a crash and must have one effect.

        Answer `Delivery(accepted=False, detail=…)` when the receiver refused; raise when it could not be reached.
        """
        raise NotImplementedError


__all__ = ["Channel"]
