"""Trying out a channel: to an address of one's own, with what would be shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from visavis import Consent, Customer, Identifier, Interaction, Item
from visavis.engine import Engine
from visavis.errors import InvalidInput, NotFound, PluginError
from visavis.interact import render_text
from visavis.model import Reason, Recommendation, RecommendedItem

CHANNELS = """
import visavis
from pathlib import Path

class Keeps(visavis.Channel):
    name = "keeps"
    def send(self, message):
        (Path(__file__).parent / "sent.txt").write_text(f"{message.address}|{message.customer_id}|{message.text}")
        return visavis.Delivery(message.message_id, True)

class Breaks(visavis.Channel):
    name = "breaks"
    def send(self, message):
        raise ConnectionError("no line")

class Mumbles(visavis.Channel):
    name = "mumbles"
    def send(self, message):
        return "sent"

class Mixes(visavis.Channel):
    name = "mixes"
    def send(self, message):
        return visavis.Delivery("another", True)

@visavis.hookimpl
def visavis_channels():
    return [Keeps, Breaks, Mumbles, Mixes]
"""


@pytest.fixture
def shop(open_shop: Callable[..., Engine], tmp_path: Path) -> Engine:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "channels.py").write_text(CHANNELS)
    shop = open_shop(plugins_dir=str(tmp_path / "plugins"))
    shop.identify.upsert_items([Item("tea", "Green tea"), Item("cup", "Cup")])
    shop.identify.record([Interaction("purchase", "ann", "tea"), Interaction("purchase", "bob", "cup")])
    shop.fit()
    return shop


def test_a_test_goes_to_the_address_given(shop: Engine, tmp_path: Path) -> None:
    delivery = shop.interact.send_test("keeps", "ann", "me@example.com", n=1)
    assert delivery.accepted
    address, customer, text = (tmp_path / "plugins" / "sent.txt").read_text().split("|")
    assert (address, customer) == ("me@example.com", "ann")
    assert text.startswith("1. Cup")


def test_a_channel_that_fails_is_named(shop: Engine) -> None:
    with pytest.raises(PluginError, match="channel breaks could not send: ConnectionError: no line"):
        shop.interact.send_test("breaks", "ann", "me")
    with pytest.raises(PluginError, match="channel mumbles answered str"):
        shop.interact.send_test("mumbles", "ann", "me")
    with pytest.raises(PluginError, match="channel mixes answered for message 'another'"):
        shop.interact.send_test("mixes", "ann", "me")
    with pytest.raises(NotFound, match="there is no channel 'post'"):
        shop.interact.send_test("post", "ann", "me")
    with pytest.raises(InvalidInput, match="to"):
        shop.interact.send_test("keeps", "ann", "")


@pytest.mark.parametrize("to", ["bob@example.com", " Bob@Example.COM ", "bob"])
def test_a_test_goes_to_no_customer_who_did_not_agree(shop: Engine, tmp_path: Path, to: str) -> None:
    shop.identify.upsert_customers([Customer("bob", (Identifier("email", "bob@example.com"),))])
    for said in (None, Consent("marketing", True, "post"), Consent("marketing", False)):
        if said is not None:
            shop.identify.set_consent("bob", said)
        with pytest.raises(InvalidInput, match="to: belongs to a customer who granted no marketing on channel keeps"):
            shop.interact.send_test("keeps", "ann", to)
        assert not (tmp_path / "plugins" / "sent.txt").exists()
    shop.identify.set_consent("bob", Consent("marketing", True, "keeps"))
    assert shop.interact.send_test("keeps", "ann", to).accepted


def test_one_of_two_who_share_an_address_is_enough_to_refuse(shop: Engine) -> None:
    shop.identify.upsert_customers(
        [
            Customer("ann", (Identifier("email", "us@example.com"),)),
            Customer("bob", (Identifier("login", "us@example.com"),)),
        ]
    )
    shop.identify.set_consent("ann", Consent("marketing", True))
    with pytest.raises(InvalidInput, match="to: belongs to a customer"):
        shop.interact.send_test("keeps", "ann", "us@example.com")
    shop.identify.set_consent("bob", Consent("marketing", True))
    assert shop.interact.send_test("keeps", "ann", "us@example.com").accepted


def test_a_message_reads_well() -> None:
    items = (
        RecommendedItem("a", "Tea", 1, 1.0, "s", (Reason("because_you_bought", "because you bought Cup", 1.0),)),
        RecommendedItem("b", "Pot", 2, 1.0, "s"),
    )
    assert (
        render_text(Recommendation("ann", "d", "s", False, "", 1, items)) == "1. Tea (because you bought Cup)\n2. Pot"
    )
    with pytest.raises(InvalidInput, match="nothing to recommend"):
        render_text(Recommendation("ann", "d", "s", False, "", 1, ()))
