"""`console`: prints messages, to see what would be sent."""

from __future__ import annotations

import sys
import threading
from typing import ClassVar

from visavis import Channel, Delivery, Message, hookimpl

_REMEMBERED = 100_000


class Console(Channel):
    """Prints each message to standard output.

    The last 100,000 message ids are remembered, so that a repeat prints nothing; not beyond the process, since
    paper that has gone by cannot be asked.
    """

    name: ClassVar[str] = "console"

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._lock = threading.Lock()
        self._sent: dict[str, None] = {}

    def send(self, message: Message) -> Delivery:
        """Print the message unless its id was printed already."""
        with self._lock:
            if message.message_id in self._sent:
                return Delivery(message.message_id, True, "printed already")
            print(_page(message, sys.stdout.encoding or "utf-8"), flush=True)
            self._sent[message.message_id] = None
            if len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]
        return Delivery(message.message_id, True)


def _page(message: Message, encoding: str) -> str:
    receiver = f"{message.customer_id} <{message.address}>" if message.address else message.customer_id
    text = f"--- message {message.message_id} to {receiver}\n{message.subject}\n{message.text}"
    # a name with control characters must not steer the terminal, nor one it cannot print end the process
    visible = "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return visible.encode(encoding, "backslashreplace").decode(encoding)


@hookimpl
def visavis_channels() -> list[type[Channel]]:
    """The channel of this module."""
    return [Console]


__all__ = ["Console", "visavis_channels"]
