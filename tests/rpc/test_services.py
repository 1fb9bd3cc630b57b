"""Every call, good and bad, through a real port."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from tests.rpc.standin import NOON, Standin, until

from visavis.api.v1 import catalog_service_pb2 as catalog_pb
from visavis.api.v1 import customer_service_pb2 as customer_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import message_service_pb2 as message_pb
from visavis.api.v1 import plugin_service_pb2 as plugin_pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.api.v1 import segment_service_pb2 as segment_pb
from visavis.api.v1.catalog_service_pb2_grpc import CatalogServiceStub
from visavis.api.v1.customer_service_pb2_grpc import CustomerServiceStub
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.api.v1.message_service_pb2_grpc import MessageServiceStub
from visavis.api.v1.plugin_service_pb2_grpc import PluginServiceStub
from visavis.api.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from visavis.api.v1.segment_service_pb2_grpc import SegmentServiceStub
from visavis.client import Client, connect
from visavis.errors import Conflict, InvalidInput, NotFound, StoreDamaged, VisavisError
from visavis.model import (
    AttributeFilter,
    Consent,
    Customer,
    Delivery,
    Identifier,
    Interaction,
    Item,
    Money,
    RecordResult,
    UpsertResult,
)
from visavis.rpc.errors import from_call
from visavis.testing.server import serve

TEA = Item(
    "tea", "Tea ☕", "g", "drinks", "Leaf", Money(250, "EUR"), False, {"organic": True, "kg": 0.5, "tags": ("a", "b")}
)


def fields(error: VisavisError) -> list[str]:
    assert isinstance(error, InvalidInput)
    return [violation.field for violation in error.violations]


def refused(call: Callable[[], Any]) -> VisavisError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return from_call(caught.value, "here")


def test_record(client: Client, shop: Standin) -> None:
    rows = [
        Interaction("purchase", "ann", "tea", "e1", NOON, 2.0, Money(-500, "EUR"), None, "o1", "web", "d1", ""),
        Interaction("view", Identifier("email", "b@x"), None),
        Interaction("purchase"),
    ]
    assert client.identify.record(rows, request_id="r1") == RecordResult(3, 0)
    assert shop.seen[-1] == ("record", tuple(rows), "r1")
    assert client.identify.record(rows[:1]) == RecordResult(0, 1)


def test_a_large_batch_is_recorded(client: Client, shop: Standin) -> None:
    assert client.identify.record([Interaction("view", "ann", f"i{k}") for k in range(10_000)]).recorded == 10_000


def test_bad_interactions_are_named(client: Client) -> None:
    rows = [Interaction("view"), Interaction("View!"), Interaction("view", quantity=float("nan")), Interaction("\x00")]
    with pytest.raises(InvalidInput) as caught:
        client.identify.record(rows)
    assert fields(caught.value) == ["interactions[1].kind", "interactions[3].kind", "interactions[2].quantity"]


@pytest.mark.parametrize("count", [0, 10_001])
def test_batches_are_bounded(client: Client, shop: Standin, count: int) -> None:
    with pytest.raises(InvalidInput, match=rf"interactions: has {count} entries; give 1 to 10000"):
        client.identify.record([Interaction("view")] * count)
    assert not shop.seen


def test_items(client: Client, shop: Standin) -> None:
    assert client.identify.upsert_items([TEA, Item("cup")], update_mask=["price"], request_id="r") == UpsertResult(2, 0)
    assert shop.seen[-1] == ("upsert_items", (TEA, Item("cup")), ("price",), "r")
    assert client.identify.get_item("tea") == TEA
    page = client.identify.list_items(page_size=1)
    assert (page.items, page.next_page_token) == ((TEA,), "1")
    page = client.identify.list_items(page_size=1, page_token=page.next_page_token)
    assert (page.items, page.next_page_token) == ((Item("cup"),), "")


def test_writes_that_wait_for_their_commit_hold_no_thread(shop: Standin) -> None:
    with serve(shop, executor_threads=1) as server, connect(server.address) as client:
        client.identify.upsert_items([TEA])
        shop.hold.clear()
        writes: list[Callable[[], object]] = [
            lambda: client.identify.upsert_items([TEA]),
            lambda: client.identify.upsert_items([Item(f"i{k}", "x" * 100) for k in range(1000)]),
            lambda: client.identify.upsert_customers([Customer("ann")]),
            lambda: client.identify.upsert_customers([Customer(f"c{k}") for k in range(1000)]),
            lambda: client.identify.set_consent("ann", Consent("marketing", True)),
        ]
        with ThreadPoolExecutor(len(writes)) as threads:
            waiting = [threads.submit(write) for write in writes]
            until(lambda: server.running == len(writes))
            assert client.identify.get_item("tea") == TEA
            assert client.admin.status().sequence == 42
            assert not any(one.done() for one in waiting)
            shop.hold.set()
            assert [one.result() for one in waiting] == [
                UpsertResult(0, 1), UpsertResult(1000, 0), UpsertResult(1, 0), UpsertResult(1000, 0), None,
            ]  # fmt: skip


@pytest.mark.parametrize("bad", ["", "x" * 10_000, "nul\x00", "line\nfeed"])
def test_bad_ids_are_named(client: Client, bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.identify.upsert_items([TEA, Item(bad)])
    assert fields(caught.value) == ["items[1].item_id"]
    with pytest.raises(InvalidInput) as caught:
        client.identify.upsert_customers([Customer("ann"), Customer(bad)])
    assert fields(caught.value) == ["customers[1].customer_id"]
    with pytest.raises(NotFound):
        client.identify.get_item(bad)


def test_an_unset_available_means_available(channel: grpc.Channel, shop: Standin) -> None:
    CatalogServiceStub(channel).UpsertItems(catalog_pb.UpsertItemsRequest(items=[catalog_pb.Item(item_id="tea")]))
    assert shop.identify.items["tea"] == Item("tea")


def test_an_attribute_without_a_value_is_refused(channel: grpc.Channel) -> None:
    item = catalog_pb.Item(item_id="tea")
    item.attributes["colour"].SetInParent()
    request = catalog_pb.UpsertItemsRequest(items=[item])
    error = refused(lambda: CatalogServiceStub(channel).UpsertItems(request))
    assert fields(error) == ["items[0].attributes['colour']"]


def test_customers(client: Client, shop: Standin) -> None:
    ann = Customer("ann", (Identifier("email", "a@x"),), {"vip": True}, "Europe/Berlin")
    assert client.identify.upsert_customers([ann], request_id="r") == UpsertResult(1, 0)
    assert shop.seen[-1] == ("upsert_customers", (ann,), (), "r")
    profile = client.differentiate.profile("ann")
    assert profile == shop.differentiate.profile("ann") == client.profile("ann")
    assert (profile.first_seen, profile.last_seen) == (NOON, None)
    with pytest.raises(NotFound) as caught:
        client.differentiate.profile(Identifier("email", "nobody"))
    assert caught.value.metadata == {"customer": "nobody"}


def test_consent(client: Client, shop: Standin) -> None:
    consent = Consent("marketing", True, "email", "till", NOON)
    client.identify.set_consent("ann", consent, request_id="r")
    assert shop.seen[-1] == ("set_consent", "ann", consent, "r")
    with pytest.raises(InvalidInput) as caught:
        client.identify.set_consent("ann", Consent("everything", True))
    assert fields(caught.value) == ["consent.purpose"]


def test_missing_messages_are_named(channel: grpc.Channel, shop: Standin) -> None:
    customers, recommendations = CustomerServiceStub(channel), RecommendationServiceStub(channel)
    ann = {"customer": {"customer_id": "ann"}}
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: customers.SetConsent(customer_pb.SetConsentRequest(**ann)), "consent"),
        (lambda: customers.SetConsent(customer_pb.SetConsentRequest(consent={"purpose": "marketing"})), "customer"),
        (lambda: customers.GetProfile(customer_pb.GetProfileRequest()), "customer"),
        (lambda: recommendations.Recommend(recommendation_pb.RecommendRequest()), "customer"),
        (lambda: recommendations.BatchRecommend(recommendation_pb.BatchRecommendRequest()), "customers"),
        (
            lambda: recommendations.BatchRecommend(
                recommendation_pb.BatchRecommendRequest(customers=[{"customer_id": "ann"}, {}])
            ),
            "customers[1]",
        ),
        (lambda: MessageServiceStub(channel).SendTestMessage(message_pb.SendTestMessageRequest()), "customer"),
        (
            lambda: InteractionServiceStub(channel).RecordInteractions(
                interaction_pb.RecordInteractionsRequest(interactions=[{"kind": "view", "customer": {}}])
            ),
            "interactions[0].customer",
        ),
    ]
    for call, field in calls:
        assert fields(refused(call)) == [field]
    assert not shop.seen


def test_recommend(client: Client, shop: Standin) -> None:
    filters = [AttributeFilter("brand", any_of=("a",)), AttributeFilter("price", at_least=0.0, at_most=9.5)]
    answer = client.customize.recommend(
        Identifier("email", "a@x"),
        3,
        scorer="popularity",
        filters=filters,
        exclude=["i9"],
        exclude_bought=False,
        available_only=False,
        one_per_group=False,
        most_reasons=0,
    )
    options = (3, "popularity", tuple(filters), ("i9",), False, False, False, 0)
    assert shop.seen == [("recommend", Identifier("email", "a@x"), *options)]
    assert answer == shop.customize.recommend(Identifier("email", "a@x"), 3)


def test_defaults_are_the_engines(channel: grpc.Channel, shop: Standin) -> None:
    stub = RecommendationServiceStub(channel)
    answer = stub.Recommend(recommendation_pb.RecommendRequest(customer={"customer_id": "ann"}))
    assert len(answer.recommendation.items) == 10
    stub.ListSimilarItems(recommendation_pb.ListSimilarItemsRequest(item_id="tea"))
    message = message_pb.SendTestMessageRequest(channel="console", customer={"customer_id": "ann"}, to="me")
    MessageServiceStub(channel).SendTestMessage(message)
    assert shop.seen == [
        ("recommend", "ann", 10, "", (), (), None, True, True, 3),
        ("similar", "tea", 10, "", (), (), True, True),
        ("send_test", "console", "ann", "me", 5),
    ]


def test_recommend_many(client: Client, shop: Standin) -> None:
    names = [f"c{k}" for k in range(1000)]
    answers = client.customize.recommend_many(names, 2)
    assert [answer.customer_id for answer in answers] == names
    assert answers[7] == client.recommend("c7", 2)
    for count in (0, 1001):
        with pytest.raises(InvalidInput, match=f"customers: has {count} entries; give 1 to 1000"):
            client.customize.recommend_many(["ann"] * count)


def test_bad_recommendations_are_named(client: Client) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.recommend("ann", 0)
    assert fields(caught.value) == ["n"]
    with pytest.raises(NotFound, match="scorer: there is no scorer 'nosuch'") as missing:
        client.recommend("ann", scorer="nosuch")
    assert missing.value.reason == "UNKNOWN_PLUGIN"
    assert missing.value.metadata == {"kind": "scorer", "name": "nosuch"}


def test_similar(client: Client, shop: Standin) -> None:
    answer = client.customize.similar("tea", 4, exclude=["x"])
    assert shop.seen == [("similar", "tea", 4, "", (), ("x",), True, True)]
    assert answer == shop.customize.similar("tea") == client.similar("tea")


def test_segments(client: Client, shop: Standin) -> None:
    assert client.differentiate.segments() == shop.differentiate.segments()
    page = client.differentiate.members("rfm", "555", page_size=2, page_token="t")
    assert (page.items, page.next_page_token) == (("ann", "bob"), "next")
    assert shop.seen[-1] == ("members", "rfm", "555", 2, "t")
    with pytest.raises(NotFound, match="segmentation"):
        client.differentiate.members("nosuch", "555")


def test_short_lists_page_too(channel: grpc.Channel) -> None:
    stub, plugins = SegmentServiceStub(channel), PluginServiceStub(channel)
    page = stub.ListSegments(segment_pb.ListSegmentsRequest(page_size=3, page_token="2498"))
    assert ([segment.name for segment in page.segments], page.next_page_token) == (["2498", "2499"], "")
    assert len(stub.ListSegments(segment_pb.ListSegmentsRequest()).segments) == 1000
    assert len(stub.ListSegments(segment_pb.ListSegmentsRequest(page_size=2**31 - 1)).segments) == 2500
    for request, field in (({"page_size": -1}, "page_size"), ({"page_token": "²"}, "page_token")):
        assert fields(refused(lambda r=request: stub.ListSegments(segment_pb.ListSegmentsRequest(**r)))) == [field]
        assert fields(refused(lambda r=request: plugins.ListPlugins(plugin_pb.ListPluginsRequest(**r)))) == [field]


def test_plugins_and_status(client: Client, shop: Standin) -> None:
    assert client.admin.plugins() == shop.admin.plugins()
    assert client.admin.status() == shop.admin.status()


def test_send_test(client: Client, channel: grpc.Channel, shop: Standin) -> None:
    assert client.interact.send_test("console", "ann", "me@x", n=3) == Delivery("m1", True, "printed")
    assert shop.seen == [("send_test", "console", "ann", "me@x", 3)]
    stub = MessageServiceStub(channel)
    request = message_pb.SendTestMessageRequest(
        channel="file", customer={"customer_id": "ann"}, to="me", request_id="once"
    )
    assert {stub.SendTestMessage(request).message_id for _ in range(3)} == {"m2"}
    request.to = "you"
    error = refused(lambda: stub.SendTestMessage(request))
    assert isinstance(error, Conflict)
    assert error.reason == "REQUEST_ID_REUSED"


def test_a_send_that_failed_may_be_repeated(channel: grpc.Channel, shop: Standin) -> None:
    stub = MessageServiceStub(channel)
    request = message_pb.SendTestMessageRequest(
        channel="console", customer={"customer_id": "ann"}, to="me", request_id="once"
    )
    shop.fail = StoreDamaged("the file cannot be read")
    assert isinstance(refused(lambda: stub.SendTestMessage(request)), StoreDamaged)
    shop.fail = None
    assert stub.SendTestMessage(request).accepted


def test_errors_of_rooms_keep_their_class(client: Client, shop: Standin) -> None:
    shop.fail = StoreDamaged("shop.duckdb: block 7 cannot be read; run visavis doctor", metadata={"path": "shop"})
    for call in (
        lambda: client.recommend("ann"),
        lambda: client.identify.record([Interaction("view")]),
        lambda: client.identify.record([Interaction("view")] * 500),
        lambda: client.fit(),
        lambda: client.admin.status(),
    ):
        with pytest.raises(StoreDamaged, match=r"^shop.duckdb: block 7 cannot be read; run visavis doctor$") as caught:
            call()
        assert caught.value.metadata == {"path": "shop"}


def test_faults_do_not_tell_their_secrets(client: Client, shop: Standin) -> None:
    shop.fail = RuntimeError("customer ann@example.com owes us")
    for call in (lambda: client.recommend("ann"), lambda: client.admin.status(), lambda: client.fit()):
        with pytest.raises(VisavisError, match="internal error; the server's log says more") as caught:
            call()
        assert type(caught.value) is VisavisError
        assert caught.value.reason == "INTERNAL"
