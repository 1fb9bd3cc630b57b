"""The contract of channels as tests: subclass, set `plugin`, define `effects`, run under pytest."""

from __future__ import annotations

from typing import ClassVar

from visavis.model import Delivery, Message
from visavis.plugin.channel import Channel
from visavis.testing.plugins import PluginContract


class ChannelContract(PluginContract):
    """Subclass, set `plugin` and define `effects`; `options` is optional (a fixture may set it on `self`).

    `remembers_after_restart = False` says that a new process may repeat what an earlier one sent: fit for trying
    things out, not for customers.
    """

    plugin: ClassVar[type[Channel]]
    remembers_after_restart: ClassVar[bool] = True

    def effects(self) -> int:
        """How many messages have arrived at the far end since the test began; the author defines it."""
        raise NotImplementedError("define effects() to count the messages that arrived")

    def message(self, message_id: str = "m-1") -> Message:
        """A message with signs that break careless code; override to give it an address that the channel can use."""
        return Message(
            message_id=message_id,
            channel=self.plugin.name,
            customer_id="customer ü/☃",
            address="someone@example.org",
            subject="Für Sie: 10 % auf „Tassen“",
            text="Hello,\n\nsomething for you.\x00",
            html="<p>something for you</p>",
        )

    def test_declares_what_it_needs(self) -> None:
        assert self.plugin.purpose in ("", "marketing", "service"), f"purpose is {self.plugin.purpose!r}"
        assert isinstance(self.plugin.address_kind, str)

    def test_sends(self) -> None:
        channel: Channel = self.make()
        delivery = channel.send(self.message())
        assert delivery == Delivery("m-1", True, delivery.detail), "the answer names the message and accepts it"
        assert self.effects() == 1

    def test_the_same_message_twice_has_one_effect(self) -> None:
        channel: Channel = self.make()
        first, second = channel.send(self.message()), channel.send(self.message())
        assert first.accepted
        assert second.accepted, "a repeat is no failure"
        assert self.effects() == 1

    def test_different_messages_are_all_sent(self) -> None:
        channel: Channel = self.make()
        # ids that differ only in what a careless file name or key would lose
        ids = ("m-1", "M-1", "m/1", "m 1", "../m-1", "x" * 300, "x" * 299)
        assert all(channel.send(self.message(message_id)).accepted for message_id in ids)
        assert self.effects() == len(ids)

    def test_a_repeat_after_a_restart_has_one_effect(self) -> None:
        if not self.remembers_after_restart:
            import pytest  # the kit works without pytest until a test runs

            pytest.skip("the channel declares `remembers_after_restart = False`")
        first: Channel = self.make()
        first.send(self.message())
        second: Channel = self.make()
        assert second.send(self.message()).accepted
        assert self.effects() == 1


__all__ = ["ChannelContract"]
