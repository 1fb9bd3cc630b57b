"""Clients that stall, flood, vanish or talk nonsense; and how the port is closed."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rpc.http.talk import ANN, RECOMMEND, RECORD, ask, drain, head, post, raw
from tests.rpc.standin import Standin, until

from visavis.api.v1 import recommendation_service_pb2 as recommendation_pb
from visavis.rpc import patience as patience_module
from visavis.rpc.http import body as body_module
from visavis.rpc.http import connections as connections_module
from visavis.rpc.http import site as site_module
from visavis.rpc.server import Server
from visavis.testing.server import serve

VIEW = b'{"interactions": [{"kind": "view"}]}'


def test_a_connection_serves_one_call_after_another(address: str) -> None:
    with raw(address) as one:
        for _ in range(3):
            one.sendall(head() + ANN)
            assert one.recv(65536).startswith(b"HTTP/1.1 200 OK")
        one.sendall((head() + ANN) * 50 + head(Connection="close") + ANN)  # without waiting for answers
        assert drain(one).count(b"HTTP/1.1 200 OK") == 51


def test_a_body_in_pieces(address: str) -> None:
    with raw(address) as one:
        for part in (head(Connection="close"), *(bytes([byte]) for byte in ANN)):
            one.sendall(part)
        assert drain(one).startswith(b"HTTP/1.1 200 OK")
    with raw(address) as one:
        one.sendall(head(length=None, Transfer_Encoding="chunked", Connection="close"))
        for byte in ANN:
            one.sendall(b"1\r\n%c\r\n" % byte)
        one.sendall(b"0\r\n\r\n")
        assert drain(one).startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_waits_to_be_asked_for(address: str, shop: Standin) -> None:
    items = {"items": [{"itemId": f"item-{n:05}", "name": "x" * 20} for n in range(2000)]}
    body = json.dumps(items).encode()
    with raw(address) as one:
        one.sendall(head("/visavis.api.v1.CatalogService/UpsertItems", len(body), Expect="100-continue"))
        assert one.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(body)
        assert b'{"createdCount":2000}' in one.recv(65536)


@pytest.mark.parametrize("length", [100, 1 << 20])
def test_a_body_that_trickles_is_given_up(
    server: Server, address: str, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(body_module, "PATIENCE_S", 0.3)
    monkeypatch.setattr(connections_module, "_LINGER_S", 0.1)
    with raw(address) as one:
        one.sendall(head(length=length))
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.02):
                try:
                    one.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = drain(one)
        stop.set()
        thread.join()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b"the body came more slowly than 32 KiB a second" in answer
    assert server.running == 0
    assert post(address, RECOMMEND).status == 200


def test_a_short_body_that_does_not_come_holds_no_call(server: Server, address: str) -> None:
    waiting = [raw(address) for _ in range(5)]
    for one in waiting:
        one.sendall(head())
    assert post(address, RECOMMEND).status == 200
    assert server.running == 0
    for one in waiting:
        one.close()


def test_a_head_that_does_not_end_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "IDLE_S", 0.3)
    with raw(address) as silent, raw(address) as slow, raw(address) as idle:
        slow.sendall(head()[:30])
        idle.sendall(head() + ANN)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        while time.monotonic() < began + 0.2:
            slow.sendall(b"x")
            time.sleep(0.02)
        assert [drain(one) for one in (silent, slow, idle)] == [b"", b"", b""]


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"POST / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n"],
    ids=range(11),
)  # fmt: skip
def test_nonsense_is_refused(address: str, nonsense: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with raw(address) as one:
        one.sendall(nonsense)
        status, _, rest = drain(one).partition(b"\r\n")
    assert status.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), status
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["code"] == "invalid_argument"
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert post(address, RECOMMEND).status == 200


def test_many_headers_are_refused(address: str) -> None:
    answer = post(address, RECOMMEND, headers={f"X-{n}": "y" * 4000 for n in range(5)})
    assert (answer.status, answer.code) == (431, "resource_exhausted")


def test_a_body_that_ends_too_soon_or_is_badly_framed(
    address: str, shop: Standin, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for length in (len(ANN) + 5, 1 << 20):
        with raw(address) as one:
            one.sendall(head(length=length) + ANN)
    with raw(address) as one:
        one.sendall(head(length=None, Transfer_Encoding="chunked") + b"zz\r\nxx\r\n")
        assert b" 400 " in drain(one)
    until(lambda: server.running == 0)
    assert shop.seen == []
    assert post(address, RECOMMEND).status == 200
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_who_leaves_cancels_a_read(
    shop: Standin, server: Server, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop.hold.clear()
    batch = RECOMMEND.replace("/Recommend", "/BatchRecommend")
    body = b'{"customers": [{"customerId": "ann"}]}'
    with caplog.at_level(logging.INFO), raw(address) as one:
        one.sendall(head(batch, len(body)) + body)
        until(lambda: server.running == 1)
        one.close()
        until(lambda: server.running == 0)
    fields = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "call"]
    assert [(one["rpc"], one["code"]) for one in fields] == [(batch, "CANCELLED")]


def test_who_leaves_takes_no_write_back(shop: Standin, server: Server, address: str) -> None:
    shop.hold.clear()
    with raw(address) as one:
        one.sendall(head(RECORD, len(VIEW)) + VIEW)
        until(lambda: server.running == 1)
    until(lambda: server.running == 0)
    shop.hold.set()
    assert len(shop.identify.interactions) == 1


def test_only_so_many_connections(shop: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "_SPARE_CONNECTIONS", 0)
    with serve(shop, http_listen="127.0.0.1:0", max_concurrent_rpcs=2) as server:
        address = server.http_address
        held = [raw(address) for _ in range(4)]
        for one in held:
            one.sendall(head(Expect="100-continue"))
            assert one.recv(65536).startswith(b"HTTP/1.1 100")  # it has begun, and lacks its body
        with raw(address) as one:
            refused = drain(one)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["code"] == "unavailable"
        held.pop().close()

        def room() -> bool:
            with raw(address) as one:
                one.sendall(head(Connection="close") + ANN)
                return drain(one).startswith(b"HTTP/1.1 200")

        until(room)
        for one in held:
            one.close()


LAST = head(Connection="close") + ANN
CHECK = head("/grpc.health.v1.Health/Check", 2, Connection="close") + b"{}"


@pytest.mark.parametrize(("whole", "said"), [(LAST, 0), (LAST, 30), (CHECK, len(CHECK) - 1)])
def test_who_has_no_call_makes_room_for_others(
    shop: Standin, monkeypatch: pytest.MonkeyPatch, whole: bytes, said: int
) -> None:
    monkeypatch.setattr(site_module, "_SPARE_CONNECTIONS", 0)
    with serve(shop, http_listen="127.0.0.1:0", max_concurrent_rpcs=2) as server:
        address = server.http_address
        busy = raw(address)
        busy.sendall(head(Expect="100-continue"))
        assert busy.recv(65536).startswith(b"HTTP/1.1 100")
        silent = [raw(address) for _ in range(3)]
        for one in silent:
            one.sendall(whole[:said])
        for path in ("/healthz", "/readyz"):
            assert ask(address, "GET", path).status == 200
        assert drain(silent[0]) == b""  # who waited longest went
        for one in silent[1:]:
            one.sendall(whole[said:])
            assert drain(one).startswith(b"HTTP/1.1 200")
        busy.sendall(ANN)
        assert busy.recv(65536).startswith(b"HTTP/1.1 200")
        for one in (busy, *silent):
            one.close()


def test_a_first_request_must_come_soon(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "FIRST_S", 0.3)
    with raw(address) as silent, raw(address) as slow, raw(address) as idle:
        idle.sendall(head() + ANN)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(head()[:30])
        assert [drain(one) for one in (silent, slow)] == [b"", b""]
        idle.sendall(head(Connection="close") + ANN)  # it has shown that it means it, and may wait longer
        assert drain(idle).startswith(b"HTTP/1.1 200")


def test_who_reads_slowly_gets_the_whole_answer(shop: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "LONGEST_S", 0.2)  # what gRPC's callers have; these have their own
    monkeypatch.setattr(site_module, "_SWEEP_S", 0.1)
    request = recommendation_pb.BatchRecommendRequest(customers=[{"customer_id": "ann"}] * 120, n=1000)
    body = request.SerializeToString()
    with serve(shop, http_listen="127.0.0.1:0") as server, socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        one.connect(("127.0.0.1", int(server.http_address.rpartition(":")[2])))
        one.settimeout(20)
        path = RECOMMEND.replace("/Recommend", "/BatchRecommend")
        one.sendall(head(path, len(body), Content_Type="application/proto") + body)
        top, _, begun = one.recv(4096).partition(b"\r\n\r\n")
        found = re.search(rb"Content-Length: ([0-9]+)", top)
        assert found is not None
        left = int(found[1]) - len(begun)
        assert left > 12 << 20  # more than the system takes off the server's hands
        time.sleep(1)
        while left:
            part = one.recv(65536)
            assert part
            left -= len(part)


def test_who_does_not_read_is_cut_off(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "_READER_PATIENCE_S", 0.2)
    monkeypatch.setattr(site_module, "_SLOWEST_READER", 1 << 30)
    size = len(ask(address, "GET", "/openapi.json").body)
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", int(address.rpartition(":")[2])))
        one.settimeout(20)
        asked = 400
        one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * asked)
        time.sleep(1)
        got = drain(one)
    assert 0 < len(got) < asked * size
    assert post(address, RECOMMEND).status == 200


class Transport:
    """One that is closing for as long as somebody leaves what it has unread."""

    def __init__(self, closing: bool, peer: str = "127.0.0.1") -> None:
        self.closing = closing
        self.aborted = False
        self.peer = peer

    def get_extra_info(self, name: str) -> tuple[str, int]:
        assert name == "peername"
        return self.peer, 1

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


def test_who_was_told_to_go_and_does_not_read_is_cut_off() -> None:
    connections = connections_module.Connections(None, 9)
    transports = [Transport(False), Transport(True), Transport(True)]
    for number, transport in enumerate(transports):
        assert connections.enter(number, transport)
    connections.sweep()
    assert not any(transport.aborted for transport in transports)
    connections.leave(2)
    transports[0].closing = True
    connections.sweep()
    assert [transport.aborted for transport in transports] == [False, True, False]


def test_a_crowd_makes_room_before_others() -> None:
    connections = connections_module.Connections(None, 4)
    transports = [Transport(False, peer) for peer in ("::1", "::2", "::2", "::2", "::3", "::3", "::4")]
    for number, transport in enumerate(transports[:4]):
        assert connections.enter(number, transport)
    connections.work(1)
    assert connections.enter(4, transports[4])
    assert [transport.aborted for transport in transports] == [False, False, True, False, False, False, False]
    for number in (0, 3, 4):
        connections.work(number)
    assert not connections.enter(5, transports[5])  # all have work
    connections.wait(4)
    assert connections.enter(6, transports[6])
    assert transports[4].aborted
    connections.leave(4)  # as asyncio says later
    connections.wait(4)
    assert len(connections) == 4


def test_running_calls_get_their_grace(shop: Standin) -> None:
    shop.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        with serve(shop, grace=5, http_listen="127.0.0.1:0") as server:
            address = server.http_address
            idle = raw(address)
            idle.sendall(head() + ANN)
            assert idle.recv(65536).startswith(b"HTTP/1.1 200")
            waiting = threads.submit(post, address, RECORD, VIEW)
            until(lambda: server.running == 1)
            threading.Timer(0.2, shop.hold.set).start()
        assert waiting.result().json == {"recordedCount": 1}
    assert drain(idle) == b""
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        ask(address, "GET", "/healthz")


def test_calls_that_outlive_the_grace_are_ended(shop: Standin) -> None:
    shop.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        with serve(shop, grace=0.1, http_listen="127.0.0.1:0") as server:
            waiting = threads.submit(post, server.http_address, RECORD, VIEW)
            until(lambda: server.running == 1)
        assert server.running == 0
        with pytest.raises(ConnectionError):
            waiting.result()
    shop.hold.set()


def test_a_server_can_be_started_again(shop: Standin) -> None:
    address = "127.0.0.1:0"
    for _ in range(3):
        with serve(shop, http_listen=address) as server:
            assert post(server.http_address, RECOMMEND).status == 200
            address = server.http_address.removeprefix("http://")  # the same port, at once
