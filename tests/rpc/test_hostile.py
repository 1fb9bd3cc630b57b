"""Callers that break rules, vanish or do not listen. Each test ends with the server's right answers."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from tests.rpc.frames import PING, RST_STREAM, Wire, frame
from tests.rpc.standin import until
from tests.soak.serving import make_store

import visavis
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.engine import Engine
from visavis.errors import Overloaded
from visavis.rpc import patience
from visavis.rpc import server as server_module
from visavis.rpc.server import Server
from visavis.testing.server import serve

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
BATCH = "/visavis.api.v1.RecommendationService/BatchRecommend"
RECORD = "/visavis.api.v1.InteractionService/RecordInteractions"
STREAM = "/visavis.api.v1.InteractionService/StreamInteractions"
IMPORT = "/visavis.api.v1.InteractionService/ImportFile"
SNAPSHOT = "/visavis.api.v1.AdminService/CreateSnapshot"
WATCH = "/grpc.health.v1.Health/Watch"
CUSTOMER = "10001"
ASK = recommendation_pb.RecommendRequest(customer={"customer_id": CUSTOMER}).SerializeToString()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = make_store(tmp_path_factory.mktemp("hostile"), customers=40, items=40, days=60, seed=1)
    with visavis.open(path, linger_ms=0, refresh_ms=0) as engine:
        yield engine


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of this test wait a fraction of a second where others wait a minute."""
    short = {
        "grpc.keepalive_time_ms": 200,
        "grpc.keepalive_timeout_ms": 200,
        "grpc.http2.ping_timeout_ms": 200,
        "grpc.server_handshake_timeout_ms": 300,
    }
    monkeypatch.setattr(server_module, "PATIENCE", {**server_module.PATIENCE, **short})


@pytest.fixture
def server(engine: Engine) -> Iterator[Server]:
    """A server that is looked at afterwards: it answers as before, counts as before, and has nothing under way."""
    with serve(engine, max_message_mb=1) as server:
        yield from looked_at(server, engine)


@pytest.fixture
def impatient_server(impatient: None, engine: Engine) -> Iterator[Server]:
    with serve(engine, max_message_mb=1) as server:
        yield from looked_at(server, engine)


def looked_at(server: Server, engine: Engine) -> Iterator[Server]:
    before, counted = shown(server), engine.admin.status().interactions
    yield server
    until(lambda: server.running == 0)
    assert shown(server) == before
    with visavis.connect(server.address) as client:
        view = visavis.Interaction("view", "somebody", "thing")
        # The first comes behind all that cancelled calls left to be written.
        assert client.identify.record([view]).recorded == 1
        known = client.admin.status().interactions
        assert client.identify.record([view]).recorded == 1
        assert client.admin.status().interactions == known + 1 > counted + 1


def shown(server: Server) -> list[tuple[str, float]]:
    with visavis.connect(server.address) as client:
        return [(one.item_id, one.score) for one in client.recommend(CUSTOMER).items]


def batch_of(customers: int) -> bytes:
    request = recommendation_pb.BatchRecommendRequest(n=40)
    for number in range(customers):
        request.customers.add(customer_id=str(10001 + number % 40))
    return request.SerializeToString()


def test_clients_that_do_not_read_their_answers_keep_nobody_else_waiting(server: Server) -> None:
    # Not a byte of an answer may be sent; forty calls answer as much as they can and then wait.
    with Wire(server.address, window=0) as wire:
        for path, message in ((BATCH, batch_of(20)), (RECOMMEND, ASK), (SNAPSHOT, b""), (WATCH, b"")):
            for _ in range(10):
                wire.begin(path, message)
        for _ in range(5):
            assert shown(server)


def test_answers_and_requests_that_nobody_takes_on_give_up_their_place(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_S", 0.5)
    with serve(engine, max_concurrent_rpcs=4) as server:
        before = shown(server)
        for message in (ASK, None):  # answers that are not read, requests that are not sent
            with Wire(server.address, window=0) as one, Wire(server.address, window=0) as other:
                for wire in (one, other):
                    for _ in range(60):
                        wire.begin(RECOMMEND, message)
                until(lambda: in_time(server) == before)
        assert server.running == 0


def in_time(server: Server) -> list[tuple[str, float]]:
    """The answer, or nothing while all places are taken."""
    try:
        return shown(server)
    except Overloaded:
        return []


def test_clients_that_stop_in_the_middle_of_a_request_keep_nobody_else_waiting(server: Server) -> None:
    with Wire(server.address) as wire:
        for path in (RECOMMEND, BATCH, RECORD, STREAM, IMPORT, SNAPSHOT):
            for _ in range(20):
                wire.begin(path)
        for _ in range(5):
            assert shown(server)


def test_half_open_connections_are_ended(impatient_server: Server) -> None:
    # The stream waits for messages, and nobody answers the server's pings.
    with Wire(impatient_server.address) as wire:
        wire.begin(STREAM)
        until(lambda: impatient_server.running == 1)
        assert wire.closed_within(10)
        until(lambda: impatient_server.running == 0)
    with Wire(impatient_server.address) as idle:
        assert idle.closed_within(10)


def test_connections_that_say_nothing_are_ended(impatient_server: Server) -> None:
    host, _, port = impatient_server.address.rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
    try:
        assert shown(impatient_server)
        assert ended(silent[0])
        assert ended(silent[-1])
    finally:
        for one in silent:
            one.close()


def ended(connection: socket.socket) -> bool:
    """Whether the server ends it before the time-out of the socket, which raises."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


def test_what_is_not_http2_is_turned_away(server: Server) -> None:
    host, _, port = server.address.rpartition(":")
    for said in (b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", bytes(range(256)) * 20):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            assert ended(connection)


def test_streams_opened_and_reset_at_once_leave_the_server_responsive(server: Server) -> None:
    def flood(_: int) -> None:
        with Wire(server.address) as wire:
            try:
                for stream in range(1, 4001, 2):
                    reset = frame(RST_STREAM, 0, stream, b"\x00\x00\x00\x08")
                    wire.socket.sendall(wire.call(stream, RECOMMEND, ASK) + reset)
            except (ConnectionError, TimeoutError):
                pass  # the server ends what goes too far

    with ThreadPoolExecutor(2) as threads:
        floods = [threads.submit(flood, number) for number in range(2)]
        assert shown(server)
        for one in floods:
            one.result()


def test_a_flood_of_pings_ends_the_connection_and_no_other(server: Server) -> None:
    with Wire(server.address) as wire:
        try:
            for _ in range(10_000):
                wire.socket.sendall(frame(PING, 0, 0, b"whatever"))
        except (ConnectionError, TimeoutError):
            pass
        assert wire.closed_within(10)


def test_header_bombs_are_refused(server: Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(RECOMMEND)
        for bomb in ([("x-note", "x" * 100_000)], [(f"x-{number}", "y" * 20) for number in range(2000)]):
            with pytest.raises(grpc.RpcError) as caught:
                call(ASK, metadata=bomb, timeout=10)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(ASK, timeout=10)


@pytest.mark.parametrize(
    "compression", [grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression]
)
def test_messages_count_as_large_as_they_are_when_unpacked(server: Server, compression: grpc.Compression) -> None:
    bomb = pb.RecordInteractionsRequest(request_id="0" * (64 << 20)).SerializeToString()
    assert len(gzip.compress(bomb)) < len(bomb) / 500
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.address, options, compression) as one:
        for call in (lambda: one.unary_unary(RECORD)(bomb), lambda: list(one.stream_stream(STREAM)(iter([bomb])))):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_cancelled_calls_record_whole_batches_or_nothing(server: Server, engine: Engine) -> None:
    chance = random.Random(5)
    acknowledged: set[int] = set()

    def one(number: int) -> None:
        request = pb.RecordInteractionsRequest()
        for row in range(3):
            name = f"cut-{number}-{row}"
            request.interactions.add(kind="view", customer={"customer_id": "cut"}, interaction_id=name)
        call = stub.future(request.SerializeToString(), timeout=30)
        time.sleep(chance.uniform(0, 0.02))
        call.cancel()
        if not call.cancelled() and call.code() is grpc.StatusCode.OK:
            acknowledged.add(number)

    with grpc.insecure_channel(server.address) as channel:
        stub = channel.unary_unary(RECORD)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(one, range(300)))
    until(lambda: server.running == 0)
    with visavis.connect(server.address) as client:
        for number in range(300):
            again = [visavis.Interaction("view", "cut", interaction_id=f"cut-{number}-{row}") for row in range(3)]
            result = client.identify.record(again)
            assert result.already_known in {0, 3}
            assert result.already_known == 3 or number not in acknowledged


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        (RECOMMEND, [ASK]),
        (BATCH, [batch_of(20)]),
        (STREAM, [pb.StreamInteractionsRequest(batch_id="b", strings=["", "view"], kind=[1]).SerializeToString()] * 5),
        (IMPORT, [pb.ImportFileRequest(options={"file_name": "a.csv"}).SerializeToString(), b"\x12\x04a,b\n"]),
        (SNAPSHOT, [b""]),
        (WATCH, [b""]),
    ],
)
def test_calls_cancelled_at_any_moment_leave_nothing_behind(server: Server, path: str, messages: list[bytes]) -> None:
    chance = random.Random(9)
    hold = threading.Event()

    def requests() -> Iterator[bytes]:
        yield from messages
        hold.wait(10)

    with grpc.insecure_channel(server.address) as channel:
        make: dict[str, Callable[[], Any]] = {
            RECOMMEND: lambda: channel.unary_unary(path).future(messages[0]),
            BATCH: lambda: channel.unary_unary(path).future(messages[0]),
            SNAPSHOT: lambda: channel.unary_stream(path)(messages[0]),
            WATCH: lambda: channel.unary_stream(path)(messages[0]),
        }
        for _ in range(12):
            call = make.get(path, lambda: channel.stream_stream(path)(requests()))()
            time.sleep(chance.uniform(0, 0.01))
            call.cancel()
        hold.set()
    until(lambda: server.running == 0)
