"""Calls over HTTP mean what they mean over gRPC: answers, errors, keys, limits, deadlines, the line in the log."""

from __future__ import annotations

import ast
import base64
import gzip
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from tests.rpc.http.talk import ANN, RECOMMEND, RECORD, Answer, ask, drain, head, post, raw
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin, until

import visavis
from visavis import errors
from visavis.api.v1 import (
    catalog_service_pb2 as catalog_pb,
)
from visavis.api.v1 import (
    customer_service_pb2 as customer_pb,
)
from visavis.api.v1 import (
    interaction_service_pb2 as interaction_pb,
)
from visavis.api.v1 import (
    message_service_pb2 as message_pb,
)
from visavis.api.v1 import (
    recommendation_service_pb2 as recommendation_pb,
)
from visavis.api.v1 import (
    segment_service_pb2 as segment_pb,
)
from visavis.rpc import edge as edge_module
from visavis.rpc.errors import CODES, to_status
from visavis.rpc.http.calls import Context
from visavis.rpc.http.errors import HTTP_STATUS, NAMES
from visavis.rpc.server import PACKAGE, SERVICES, Server
from visavis.rpc.servicers.recommendation import RecommendationServicer
from visavis.testing.server import serve

REF = {"customer_id": "ann"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def methods() -> Iterator[tuple[str, Any]]:
    """Path and descriptor of every call of the API."""
    for name, _, _ in SERVICES:
        stem = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        service = import_module(f"{PACKAGE}.{stem}_pb2").DESCRIPTOR.services_by_name[name]
        for method in service.methods:
            yield f"/{PACKAGE}.{name}/{method.name}", method


UNARY = {path: method for path, method in methods() if not (method.client_streaming or method.server_streaming)}
STREAMING = [path for path, method in methods() if method.client_streaming or method.server_streaming]

CONVERSATION: list[tuple[str, Message]] = [
    ("CatalogService/UpsertItems", catalog_pb.UpsertItemsRequest(
        items=[{"item_id": "tea", "name": "Tea ☕", "price": {"minor_units": 2**60, "currency": "EUR"},
                "attributes": {"organic": {"flag": True}, "kind": {"texts": {"values": ["green"]}}}}])),
    ("CatalogService/GetItem", catalog_pb.GetItemRequest(item_id="tea")),
    ("CatalogService/GetItem", catalog_pb.GetItemRequest(item_id="nosuch")),
    ("CatalogService/ListItems", catalog_pb.ListItemsRequest(page_size=1)),
    ("CustomerService/UpsertCustomers", customer_pb.UpsertCustomersRequest(customers=[{"customer_id": "ann"}])),
    ("CustomerService/GetProfile", customer_pb.GetProfileRequest(customer=REF)),
    ("CustomerService/GetProfile", customer_pb.GetProfileRequest()),
    ("CustomerService/SetConsent", customer_pb.SetConsentRequest(
        customer=REF, consent={"purpose": "marketing", "granted": True, "at": NOW})),
    ("CustomerService/SetConsent", customer_pb.SetConsentRequest(customer=REF)),
    ("InteractionService/RecordInteractions", interaction_pb.RecordInteractionsRequest(
        interactions=[{"kind": "view", "customer": REF, "item_id": "tea", "occurred_at": NOW, "quantity": 0.1}])),
    ("InteractionService/RecordInteractions", interaction_pb.RecordInteractionsRequest(
        interactions=[{"kind": "view"}, {"kind": "No such", "quantity": -1}])),
    ("MessageService/SendTestMessage", message_pb.SendTestMessageRequest(channel="console", customer=REF, to="x")),
    ("RecommendationService/Recommend", recommendation_pb.RecommendRequest(customer=REF)),
    ("RecommendationService/Recommend", recommendation_pb.RecommendRequest(customer=REF, n=0)),
    ("RecommendationService/Recommend", recommendation_pb.RecommendRequest(customer=REF, scorer="nosuch")),
    ("RecommendationService/BatchRecommend", recommendation_pb.BatchRecommendRequest(customers=[REF] * 100)),
    ("RecommendationService/ListSimilarItems", recommendation_pb.ListSimilarItemsRequest(item_id="tea")),
    ("SegmentService/ListSegments", segment_pb.ListSegmentsRequest(page_size=2000)),
    ("SegmentService/ListSegmentMembers", segment_pb.ListSegmentMembersRequest(segmentation="rfm", segment="1")),
    ("SegmentService/ListSegmentMembers", segment_pb.ListSegmentMembersRequest(segmentation="x", segment="1")),
]  # fmt: skip


def by_grpc(channel: grpc.Channel, path: str, request: Message) -> Message | status_pb2.Status:
    """The answer, or the status of the error."""
    make: Any = UNARY[path].output_type._concrete_class
    method: Any = channel.unary_unary(
        path, request_serializer=type(request).SerializeToString, response_deserializer=make.FromString
    )
    try:
        answer: Message = method(request, timeout=20)
    except grpc.RpcError as error:
        status: Any = rpc_status.from_call(error)
        return status_pb2.Status.FromString(status.SerializeToString())
    return answer


def by_http(address: str, path: str, request: Message, kind: str) -> Message | status_pb2.Status:
    """The same over HTTP, in JSON or in protobuf."""
    body = json_format.MessageToJson(request).encode() if kind == "json" else request.SerializeToString()
    answer = post(address, path, body, {"Content-Type": f"application/{kind}", "Connect-Protocol-Version": "1"})
    made: Any = UNARY[path].output_type._concrete_class()
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/json"
        return status_of(answer)
    assert answer.headers["content-type"] == f"application/{kind}"
    return json_format.Parse(answer.body, made) if kind == "json" else made.FromString(answer.body)


def comparable(told: Message | status_pb2.Status) -> object:
    """Statuses with their details unpacked: a map within has no order when it is packed."""
    if not isinstance(told, status_pb2.Status):
        return told
    details = []
    for detail in told.details:
        made = getattr(error_details_pb2, detail.TypeName().removeprefix("google.rpc."))()
        detail.Unpack(made)
        details.append(made)
    return told.code, told.message, details


def status_of(answer: Answer) -> status_pb2.Status:
    """The status that the JSON of an error says, from the binary form of its details; the readable form agrees."""
    number = next(number for number, name in NAMES.items() if name == answer.code)
    status = status_pb2.Status(code=number, message=answer.message)
    for detail in answer.json.get("details", ()):
        made = getattr(error_details_pb2, detail["type"].removeprefix("google.rpc."))()
        made.ParseFromString(base64.b64decode(detail["value"] + "=="))
        assert "=" not in detail["value"]
        assert json_format.ParseDict(detail["debug"], type(made)()) == made
        status.details.add().Pack(made)
    return status


@pytest.mark.parametrize("kind", ["json", "proto"])
def test_the_same_conversation_gives_the_same_answers(tmp_path: Path, kind: str) -> None:
    shops = [Standin(tmp_path / "a"), Standin(tmp_path / "b")]
    with (
        serve(shops[0]) as plain,
        serve(shops[1], http_listen="127.0.0.1:0") as other,
        grpc.insecure_channel(plain.address) as channel,
    ):
        for name, request in CONVERSATION:
            path = f"/{PACKAGE}.{name}"
            told = by_http(other.http_address, path, request, kind), by_grpc(channel, path, request)
            assert comparable(told[0]) == comparable(told[1]), name
    assert shops[0].seen == shops[1].seen  # the engine was asked the very same
    spoken = {f"/{PACKAGE}.{name}" for name, _ in CONVERSATION}
    assert {path for path in UNARY if "Admin" not in path and "Plugin" not in path} == spoken


def test_the_real_engine_answers_too(tmp_path: Path) -> None:
    with visavis.open(tmp_path / "shop.duckdb") as engine, serve(engine, http_listen="127.0.0.1:0") as server:
        address = server.http_address
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        bought = [
            {"kind": "purchase", "customer": {"customerId": f"c{c}"}, "itemId": f"i{i}", "occurredAt": yesterday}
            for c in range(8)
            for i in range(c % 2, 8, 2)
            if c != i
        ]
        recorded = post(address, RECORD, json.dumps({"interactions": bought, "requestId": "once"}))
        assert recorded.json == {"recordedCount": len(bought)}
        again = post(address, RECORD, json.dumps({"interactions": bought, "requestId": "once"}))
        assert again.json == recorded.json
        engine.fit()
        with visavis.connect(server.address) as client:
            wanted = client.recommend("c2", n=3)
        body = {"customer": {"customerId": "c2"}, "n": 3}
        got = post(address, RECOMMEND, json.dumps(body)).json["recommendation"]
        assert [item["itemId"] for item in got["items"]] == [item.item_id for item in wanted.items]
        assert [item["score"] for item in got["items"]] == [item.score for item in wanted.items]
        for path in UNARY:  # every call of the API is there, and nothing that is sent makes it fail inside
            answer = post(address, path, b"{}")
            assert answer.status in (200, 400, 404), (path, answer)
            assert post(address, path, b'{"nosuch": 1}').fields == ["nosuch"], path


@pytest.mark.parametrize("cls", list(CODES), ids=lambda cls: cls.__name__)
def test_every_error_of_the_table(shop: Standin, server: Server, address: str, cls: type[errors.VisavisError]) -> None:
    shop.fail = cls("☕ is not here; look there", metadata={"where": "…"})
    answer = post(address, RECOMMEND)
    wanted = to_status(shop.fail)
    name = NAMES[wanted.code]
    assert (answer.status, answer.code, answer.message) == (HTTP_STATUS[name], name, "☕ is not here; look there")
    got = status_of(answer)
    assert got.details[0] == wanted.details[0]
    with grpc.insecure_channel(server.address) as channel:
        told = by_grpc(channel, RECOMMEND, recommendation_pb.RecommendRequest(customer=REF))
    assert isinstance(told, status_pb2.Status)
    assert (got.code, got.message, got.details[0]) == (told.code, told.message, told.details[0])
    assert ("retry-after" in answer.headers) == (cls is errors.Overloaded)


def test_codes_have_the_protocol_s_names_and_statuses() -> None:
    assert set(NAMES.values()) == set(HTTP_STATUS)
    assert len(NAMES) == 16
    assert (NAMES[1], NAMES[3], NAMES[16]) == ("canceled", "invalid_argument", "unauthenticated")


def test_a_fault_of_ours_tells_nothing(shop: Standin, address: str) -> None:
    shop.fail = ValueError("ann@example.com")
    answer = post(address, RECOMMEND)
    assert (answer.status, answer.code) == (500, "internal")
    assert answer.message == "an internal error; the server's log says more"


@pytest.mark.parametrize("path", STREAMING)
def test_streams_say_that_they_need_grpc(address: str, path: str) -> None:
    answer = post(address, path, b"{}")
    assert (answer.status, answer.code) == (501, "unimplemented")
    assert answer.message == f"{path} is a stream, which HTTP/1.1 does not carry; call it over gRPC"


def test_streams_say_so_to_clients_of_connect(address: str) -> None:
    answer = post(address, STREAMING[0], b"\0\0\0\0\2{}", {"Content-Type": "application/connect+json"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/connect+json")
    assert answer.body[:5] == b"\2" + (len(answer.body) - 5).to_bytes(4)
    error = json.loads(answer.body[5:])["error"]
    assert error["code"] == "unimplemented"
    assert error["message"].endswith("call it over gRPC")


def test_paths_verbs_and_types(address: str) -> None:
    missing = post(address, "/visavis.api.v1.RecommendationService/NoSuch")
    assert (missing.status, missing.code) == (404, "unimplemented")
    for path in ("/", "//", RECOMMEND + "/", RECOMMEND.lower(), "/visavis.api.v1.RecommendationService", "/%00"):
        assert post(address, path).status == 404
    for verb in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = ask(address, verb, RECOMMEND)
        assert (answer.status, answer.headers["allow"]) == (405, "POST"), verb
    assert ask(address, "POST", "/healthz").headers["allow"] == "GET, HEAD"
    refused = (
        "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/connect+json", "application/grpc", "application/json; charset=latin-1", "*/*", "json",
    )  # fmt: skip
    for kind in refused:
        answer = post(address, RECOMMEND, headers={"Content-Type": kind})
        assert (answer.status, answer.code) == (415, "invalid_argument"), kind
        assert answer.headers["accept-post"] == "application/json, application/proto"
    for kind in ("application/json; charset=UTF-8", "Application/JSON"):
        assert post(address, RECOMMEND, headers={"Content-Type": kind}).status == 200


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("Connect-Protocol-Version", "2", 400, "invalid_argument"),
        ("Connect-Protocol-Version", "", 400, "invalid_argument"),
        ("Connect-Timeout-Ms", "1s", 400, "invalid_argument"),
        ("Connect-Timeout-Ms", "-1", 400, "invalid_argument"),
        ("Connect-Timeout-Ms", "12345678901", 400, "invalid_argument"),
        ("Connect-Timeout-Ms", "0", 504, "deadline_exceeded"),
        ("Connect-Timeout-Ms", "9999999999", 200, ""),
        ("Content-Encoding", "br", 501, "unimplemented"),
        ("Content-Encoding", "identity", 200, ""),
    ],
)
def test_headers_of_the_protocol(address: str, name: str, value: str, status: int, code: str) -> None:
    answer = post(address, RECOMMEND, headers={name: value})
    assert answer.status == status
    if code:
        assert answer.code == code


def test_what_every_answer_carries(address: str) -> None:
    good, bad, missing = post(address, RECOMMEND), post(address, RECOMMEND, b"x"), post(address, "/x")
    for answer in (good, bad, missing, ask(address, "GET", "/healthz")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Origin"
        assert answer.headers["server"] == "visavis"


def test_proto_that_is_none_is_refused(address: str) -> None:
    answer = post(address, RECOMMEND, b"\xff\xff", {"Content-Type": "application/proto"})
    assert (answer.code, answer.message) == (
        "invalid_argument", "the request is not a valid protobuf message for visavis.api.v1.RecommendRequest",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"x"', b"\x00", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"n": NaN}',
     b'{"n": 1, "n": 2}', b"[" * 1_000_000, b'{"n": ' * 100_000, b'{"n": ' + b"9" * 100_000 + b"}",
     b'{"\\ud800": 1}', b'{"scorer": "\\ud800"}', b'{"\\u0000\\n": 1}', b'{"filters": [{"atLeast": 1e999}]}',
     b'{"filters": [{"atLeast": "NaN", "name": 5}]}', b'{"n": 99999999999999999999}', b"{" + b'"x":' * 10 + b"1}"],
    ids=range(19),
)  # fmt: skip
def test_json_that_cannot_be_taken(shop: Standin, address: str, body: bytes) -> None:
    answer = post(address, RECOMMEND, body)
    assert (answer.status, answer.code) == (400, "invalid_argument")
    assert answer.message.isprintable()
    assert shop.seen == []


def test_packed_bodies(address: str) -> None:
    packed = gzip.compress(ANN)
    assert post(address, RECOMMEND, packed, {"Content-Encoding": "gzip"}).status == 200
    for wrong in (b"", b"x", packed[:-1], packed + b"x", packed + packed, ANN):
        answer = post(address, RECOMMEND, wrong, {"Content-Encoding": "gzip"})
        assert (answer.status, answer.code) == (400, "invalid_argument")
        assert "gzip" in answer.message


def test_bodies_and_answers_have_a_limit(shop: Standin) -> None:
    with serve(shop, http_listen="127.0.0.1:0", max_message_mb=1) as server:
        address = server.http_address
        padding = b" " * ((1 << 20) - len(ANN))
        assert post(address, RECOMMEND, ANN + padding).status == 200
        chunks = [b" " * 65536] * 17
        bomb = gzip.compress(b" " * (64 << 20))
        assert len(bomb) < 1 << 17
        for body, headers in ((ANN + padding + b" ", {}), (iter(chunks), {}), (bomb, {"Content-Encoding": "gzip"})):
            answer = post(address, RECOMMEND, body, headers)
            assert (answer.status, answer.code, answer.reason) == (413, "resource_exhausted", "MESSAGE_TOO_LARGE")
            assert "is larger than 1 MiB (max_message_mb)" in answer.message
            assert "retry-after" not in answer.headers
        large = {"customers": [REF] * 100, "n": 1000}
        answer = post(address, RECOMMEND.replace("/Recommend", "/BatchRecommend"), json.dumps(large))
        assert (answer.status, answer.reason) == (413, "MESSAGE_TOO_LARGE")
        assert answer.message.startswith("the answer is larger than 1 MiB")
        assert post(address, RECOMMEND).status == 200


def test_json_has_a_limit_of_its_own(address: str) -> None:
    padding = b" " * ((4 << 20) - len(ANN))
    assert post(address, RECOMMEND, ANN + padding).status == 200
    answer = post(address, RECOMMEND, ANN + padding + b" ")
    assert (answer.status, answer.reason) == (413, "MESSAGE_TOO_LARGE")
    wanted = "the body is larger than 4 MiB, the most that JSON may have; send less at once, or application/proto"
    assert answer.message == wanted
    request = recommendation_pb.RecommendRequest(customer=REF, n=1).SerializeToString()
    same_again = request * ((5 << 20) // len(request))
    assert post(address, RECOMMEND, same_again, {"Content-Type": "application/proto"}).status == 200


def test_a_body_must_not_unpack_to_very_much_more(address: str) -> None:
    request = recommendation_pb.RecommendRequest(customer=REF, n=1).SerializeToString()
    for kind, plain in (("json", ANN + b" " * (4 << 20)), ("proto", request * ((8 << 20) // len(request)))):
        headers = {"Content-Type": f"application/{kind}", "Content-Encoding": "gzip"}
        answer = post(address, RECOMMEND, gzip.compress(plain), headers)
        assert (answer.status, answer.code) == (400, "invalid_argument")
        assert answer.message == "the body unpacks to more than 100 times its size; send it without content-encoding"
        few = gzip.compress(plain[: 4095 * len(request)])  # up to 64 KiB nobody counts
        assert post(address, RECOMMEND, few, headers).status == 200


def test_a_health_check_is_small_and_plain(server: Server, address: str) -> None:
    check = "/grpc.health.v1.Health/Check"
    assert post(address, check, b"{}" + b" " * 4094).status == 200
    for body in (b"{}" + b" " * 4095, iter([b" " * 4000] * 3)):
        answer = post(address, check, body)
        assert (answer.status, answer.reason) == (413, "MESSAGE_TOO_LARGE")
        assert answer.message == "the body is larger than 4 KiB; send {}, or the name of a service"
    answer = post(address, check, gzip.compress(b"{}"), {"Content-Encoding": "gzip"})
    assert (answer.status, answer.code, answer.headers["accept-encoding"]) == (501, "unimplemented", "identity")
    with raw(address) as one:
        one.sendall(head(check, 1 << 20))  # and no more
        assert one.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", [100, 1 << 20])
def test_who_has_no_key_is_refused_before_his_body_comes(shop: Standin, tmp_path: Path, length: int) -> None:
    path = tmp_path / "keys.json"
    other = add_key(path, "till", "s3cret", "ingest")
    with serve(shop, http_listen="127.0.0.1:0", keys_file=str(path)) as server:
        for status, key in ((401, {}), (401, {"Authorization": "Bearer x.y"}), (403, {"Authorization": other})):
            key = {name: f"Bearer {value}" if value == other else value for name, value in key.items()}
            with raw(server.http_address) as one:
                one.settimeout(5)  # less than a body may take
                one.sendall(head(length=length, **key))
                assert one.recv(65536).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "name",
    ["Host", "Origin", "Authorization", "Content-Type", "Content-Encoding", "Expect", "Connect-Timeout-Ms",
     "Connect-Protocol-Version"],
)  # fmt: skip
def test_headers_that_are_there_twice_are_refused(shop: Standin, address: str, name: str) -> None:
    values = {"Host": "localhost", "Content-Type": "application/json", "Content-Encoding": "identity",
              "Expect": "100-continue", "Connect-Timeout-Ms": "9000", "Connect-Protocol-Version": "1"}  # fmt: skip
    value = values.get(name, "x")
    with raw(address) as one:
        begin = head(Connection="close", **{name: value}).removesuffix(b"\r\n")
        one.sendall(begin + f"{name.lower()}: {value}\r\n\r\n".encode() + ANN)
        answer = drain(one)
    assert answer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.0 400 "), answer  # aiohttp itself refuses some, as HTTP/1.0
    assert b'"code": "invalid_argument"' in answer
    assert shop.seen == []


def test_bodies_are_chunked_or_have_a_length(shop: Standin, address: str) -> None:
    for coding in ("gzip, chunked", "identity, chunked", "chunked, chunked", "gzip"):
        with raw(address) as one:
            one.sendall(head(length=None, Transfer_Encoding=coding) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANN), ANN))
            answer = drain(one)  # and the connection ends
        assert answer[9:12] in (b"400", b"501"), (coding, answer)
    assert shop.seen == []


def test_paths_are_taken_as_they_are_sent(shop: Standin, address: str) -> None:
    for path in (RECOMMEND.replace("/Recommend", "%2FRecommend"), RECOMMEND.replace("/Rec", "/%52ec"),
                 RECOMMEND.replace("/Recommend", "/x/../Recommend"), "/" + RECOMMEND, RECOMMEND + "/"):  # fmt: skip
        assert post(address, path).status == 404, path
    assert ask(address, "GET", "/%68ealthz").status == 404
    assert ask(address, "GET", "/healthz?from=probe").status == 200
    assert shop.seen == []


def test_a_deadline_that_passes(shop: Standin, address: str, server: Server) -> None:
    shop.hold.clear()
    answer = post(address, RECORD, b'{"interactions": [{"kind": "view"}]}', {"Connect-Timeout-Ms": "100"})
    assert (answer.status, answer.code, answer.reason) == (504, "deadline_exceeded", "DEADLINE_EXCEEDED")
    assert server.running == 0
    shop.hold.set()
    until(lambda: len(shop.identify.interactions) == 1)  # what was handed in is not taken back


def test_too_many_calls(shop: Standin) -> None:
    shop.hold.clear()
    record = b'{"interactions": [{"kind": "view"}]}'
    with (
        serve(shop, http_listen="127.0.0.1:0", max_concurrent_rpcs=1) as server,
        ThreadPoolExecutor(1) as threads,
    ):
        held = threads.submit(post, server.http_address, RECORD, record)
        until(lambda: server.running == 1)
        answer = post(server.http_address, RECOMMEND)
        assert (answer.status, answer.code, answer.reason) == (429, "resource_exhausted", "OVERLOADED")
        assert int(answer.headers["retry-after"]) >= 1
        assert ask(server.http_address, "GET", "/readyz").status == 200
        shop.hold.set()
        assert held.result().json == {"recordedCount": 1}
        assert post(server.http_address, RECOMMEND).status == 200


def test_a_server_that_warms_up_is_not_ready(shop: Standin) -> None:
    shop.warm.clear()
    states: list[tuple[int, int, int]] = []
    server = Server.start

    async def look(self: Server) -> None:
        threading.Thread(target=watch, args=(self,)).start()
        await server(self)

    def watch(starting: Server) -> None:
        until(lambda: bool(starting.http_address))
        address = starting.http_address
        healthy, ready = (ask(address, "GET", path).status for path in ("/healthz", "/readyz"))
        states.append((healthy, ready, post(address, RECOMMEND).status))
        shop.warm.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Server, "start", look)
        with serve(shop, http_listen="127.0.0.1:0") as started:
            assert states == [(200, 503, 503)]
            assert ask(started.http_address, "GET", "/readyz").json == {"status": "SERVING"}
            shop.writer.failure = OSError("disk full")
            assert ask(started.http_address, "GET", "/readyz").status == 503


def test_health_over_http(address: str) -> None:
    check = "/grpc.health.v1.Health/Check"
    assert post(address, check, b"{}").json == {"status": "SERVING"}
    assert post(address, check, b'{"service": "nosuch"}').status == 404
    assert ask(address, "GET", "/healthz").json == {"status": "UP"}
    head = ask(address, "HEAD", "/readyz")
    assert (head.status, head.body) == (200, b"")


def test_keys_and_scopes(shop: Standin, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    good, other = add_key(path, "web", "s3cret", "decide"), add_key(path, "till", "s3cret", "ingest")
    with serve(shop, http_listen="127.0.0.1:0", keys_file=str(path)) as server:
        address = server.http_address

        def call(key: str, body: bytes = ANN) -> Answer:
            return post(address, RECOMMEND, body, {"Authorization": key})

        assert call(f"Bearer {good}").status == 200
        assert call(f"bearer {good}").status == 200
        letters = "Bearer web.zwölf ☕".encode().decode("latin-1")
        wrongs = (
            "", f"Basic {good}", "Bearer", "Bearer web.wrong", "Bearer nobody.s3cret", server.owner_key,
            f"Bearer {server.owner_key}", "Bearer web.zw\xf6lf", letters,
        )  # fmt: skip
        for wrong in wrongs:
            answer = call(wrong, b"not looked at")
            assert (answer.status, answer.code) == (401, "unauthenticated"), wrong
        refused = call(f"Bearer {other}", b"not looked at")
        assert (refused.status, refused.code) == (403, "permission_denied")
        for open_to_all in ("/healthz", "/readyz", "/openapi.json"):
            assert ask(address, "GET", open_to_all).status == 200
        assert post(address, "/grpc.health.v1.Health/Check", b"{}").status == 200


def test_one_line_in_the_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        post(address, RECOMMEND, b'{"customer": {"customerId": "canary"}, "n": 1}')
        post(address, RECOMMEND, b'{"canary": 1}')
        post(address, "/canary", b"{}", {"Origin": "http://canary.example"})
    calls = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "call"]
    assert [(one["rpc"], one["code"], one["received_bytes"]) for one in calls] == [
        (RECOMMEND, "OK", 46), (RECOMMEND, "INVALID_ARGUMENT", 13),
    ]  # fmt: skip
    assert not [record for record in caplog.records if "canary" in str(vars(record))]


def test_the_context_has_what_is_asked_of_it() -> None:
    rpc = Path(edge_module.__file__).parent
    asked: set[str] = set()
    for path in (rpc / "edge.py", rpc / "gate.py", rpc / "health.py", *(rpc / "servicers").glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            nodes = list(ast.walk(function))
            if any(isinstance(node, ast.Yield) for node in nodes) and path.name not in {"edge.py", "gate.py"}:
                continue  # a stream, which is gRPC's alone
            asked |= {
                node.attr
                for node in nodes
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "context"
            }
    assert asked >= {"abort", "time_remaining"}
    assert not {name for name in asked if not hasattr(Context, name)}


def test_calls_at_once_over_one_port(address: str) -> None:
    def call(number: int) -> bool:
        body = {"customer": {"customerId": f"c{number}"}, "n": number % 7 + 1}
        got = post(address, RECOMMEND, json.dumps(body)).json["recommendation"]
        return got["customerId"] == f"c{number}" and len(got["items"]) == number % 7 + 1

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(call, range(200)))


def test_both_doors_share_one_limit(shop: Standin) -> None:
    shop.hold.clear()
    with (
        serve(shop, http_listen="127.0.0.1:0", max_concurrent_rpcs=1) as server,
        visavis.connect(server.address) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        held = threads.submit(client.identify.record, [visavis.Interaction("view")])
        until(lambda: server.running == 1)
        assert post(server.http_address, RECOMMEND).status == 429
        shop.hold.set()
        assert held.result().recorded == 1


def test_answers_that_a_servicer_wrote_itself_are_read_where_json_is_wanted(
    shop: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = recommendation_pb.RecommendResponse(recommendation={"customer_id": "ännchen", "decision_id": "d-1"})
    written = message.SerializeToString()

    async def recommend(self: object, request: object, context: object) -> bytes:
        return written

    monkeypatch.setattr(RecommendationServicer, "Recommend", recommend)
    with serve(shop, http_listen="127.0.0.1:0") as server, grpc.insecure_channel(server.address) as channel:
        assert channel.unary_unary(RECOMMEND)(b"") == written
        in_json = post(server.http_address, RECOMMEND)
        assert json_format.Parse(in_json.body, recommendation_pb.RecommendResponse()) == message
        assert post(server.http_address, RECOMMEND, b"", {"Content-Type": "application/proto"}).body == written
