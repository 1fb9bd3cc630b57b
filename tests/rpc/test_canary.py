"""No key and nothing personal in any log line: a server at its most talkative, fed with words that must not return.

Each word stands in one place of one call: good ones, refused ones, malformed ones, ones that fail, also by plugins
that put what they know of a customer into their exceptions, warnings and logs.
"""

from __future__ import annotations

import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.cli.conftest import start_server
from tests.rpc.keyring import add_key

import visavis
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.client import Client, connect
from visavis.errors import StoreError, VisavisError
from visavis.model import AttributeFilter, Consent, Customer, Identifier, Interaction, Item
from visavis.rpc.logs import JsonLines
from visavis.store import Operation
from visavis.testing.server import serve

STRANGER = '''
import logging, threading, warnings
from visavis import Channel, Scorer, Segmenter, hookimpl

def tell(text):
    """All that a careless plugin does with what it knows."""
    logging.getLogger("stranger").error("it is %s", text)
    warnings.warn(f"it is {text}", stacklevel=2)
    thread = threading.Thread(target=lambda: int(f"it is {text}"))
    thread.start()
    thread.join()
    try:
        raise KeyError(f"inner {text}")
    except KeyError as error:
        raise RuntimeError(f"it is {text}") from error

class Careless(Scorer):
    name = "careless"
    def score(self, customers, candidates):
        tell("canary-scorer")

class Unfit(Scorer):
    name = "unfit"
    mode = "fitted"
    def fit(self, history):
        tell("canary-fit")
    def score(self, customers, candidates):
        raise ValueError("canary-unfit")

class Label(Segmenter):
    name = "label"
    def label(self, features):
        tell("canary-segmenter")

class Post(Channel):
    name = "post"
    purpose = ""
    def send(self, message):
        tell(f"canary-channel {message.to} {message}")

class Reply(Channel):
    name = "reply"
    purpose = ""
    def send(self, message):
        return "canary-reply"

@hookimpl
def visavis_scorers():
    return [Careless, Unfit]

@hookimpl
def visavis_segmenters():
    return [Label]

@hookimpl
def visavis_channels():
    return [Post, Reply]

@hookimpl
def visavis_interactions_recorded(context):
    tell(f"canary-observer {list(context.customer_ids)}")
'''
SALES = (
    "customer,item,time,quantity\n"
    "canary-import@example.com,canary-sku,2025-01-01,1\n"
    "canary-row@example.com,,not canary time,canary-quantity\n"
    ',,,"canary-open'
)


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "stranger.py").write_text(STRANGER)
    return folder


def attempt(call: Callable[[], object]) -> str:
    """How a call ended: its reason, or nothing."""
    try:
        call()
    except VisavisError as error:
        return error.reason
    except grpc.RpcError as error:
        code: Any = error
        return str(code.code().name)
    return ""


def say_everything(address: str, folder: Path) -> list[str]:
    """Put a canary into every place of every kind of call; answers how the calls ended."""
    sales = folder / "canary-file.csv"
    sales.write_text(SALES)
    nothing = folder / "canary-nothing.csv"
    nothing.write_bytes(b"canary \x00\xff\xfe canary" * 100)
    ends = []
    with connect(address, key="web.canary-secret") as client, grpc.insecure_channel(address) as channel:
        ends += [attempt(call) for call in calls(client, sales, nothing)]
        ends += [attempt(call) for call in raw_calls(channel)]
    for key in ("web.canary-wrong", "canary-id.canary-secret", "reader.canary-reader", "late.canary-late", "canary"):
        with connect(address, key=key) as stranger:
            ends += [attempt(stranger.fit), attempt(lambda one=stranger: one.recommend("canary-stranger"))]
    with connect(address, key="web.canary-secret", timeout=0.001) as hasty:
        ends.append(attempt(lambda: hasty.recommend("canary-hasty")))
    return ends


def calls(client: Client, sales: Path, nothing: Path) -> Iterator[Callable[[], object]]:
    ann = Identifier("email", "canary-ann@example.com")
    upsert, record = client.identify.upsert_customers, client.identify.record
    yield lambda: upsert(
        [Customer("canary-customer", (ann,), {"canary-name": "canary-value"})], request_id="canary-request"
    )
    yield lambda: upsert([Customer("canary-other", (ann,))])  # the address is taken
    yield lambda: upsert([Customer("canary-third")], request_id="canary-request")  # the request id, too
    yield lambda: upsert([Customer("canary\x00customer", (Identifier("canary kind", ""),), time_zone="canary/zone")])
    yield lambda: client.identify.upsert_items([Item("canary-item", "canary-name", attributes={"canary-a": "canary"})])
    yield lambda: client.identify.upsert_items([Item("")] * 3, update_mask=["canary.mask"])
    yield lambda: record(
        [Interaction("view", "canary-customer", "canary-item", "canary-interaction", touchpoint="canary")]
    )
    yield lambda: record([Interaction("view", ann, "canary-item", order_id="canary-order")] * 3)
    yield lambda: record([Interaction("purchase", "canary-bob", "canary-else")])
    yield lambda: record([Interaction("Canary kind", "canary-customer", quantity=-1)])
    yield lambda: record([Interaction("return", "canary-customer", "canary-item", reverses_id="canary-reverses")])
    yield lambda: client.identify.set_consent("canary-customer", Consent("marketing", True, "email", "canary-source"))
    yield lambda: client.identify.set_consent("canary-customer", Consent("canary-purpose", True))
    yield lambda: client.identify.get_item("canary-nothing")
    yield lambda: client.identify.list_items(page_token="canary-token")
    yield lambda: client.profile(ann)
    yield lambda: client.profile("canary-unknown")
    yield client.fit
    yield lambda: client.recommend("canary-customer")
    yield lambda: client.recommend(ann, scorer="canary-scorer")
    yield lambda: client.recommend(ann, scorer="careless")
    yield lambda: client.recommend(ann, scorer="unfit")
    yield lambda: client.recommend(ann, 0, filters=[AttributeFilter("canary-a", any_of=("canary",))])
    yield lambda: client.customize.recommend_many(["canary-customer", ann, "canary-many"])
    yield lambda: client.similar("canary-item")
    yield lambda: client.similar("canary-similar")
    yield lambda: client.differentiate.members("canary-segmentation", "canary-segment")
    for name in ("console", "post", "reply", "canary-channel"):
        yield lambda name=name: client.interact.send_test(name, ann, "canary-to@example.com")
    yield lambda: client.identify.import_file(sales, source="canary-source")
    yield lambda: client.identify.import_file(sales, columns={"canary-role": "canary-column"})
    yield lambda: client.identify.import_file(nothing, kind="canary kind", currency="canary", time_zone="canary")


def raw_calls(channel: grpc.Channel) -> Iterator[Callable[[], object]]:
    key = ("authorization", "Bearer web.canary-secret")
    stream: Any = channel.stream_stream(
        "/visavis.api.v1.InteractionService/StreamInteractions",
        request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
    )
    good = pb.StreamInteractionsRequest(batch_id="canary-batch", strings=["", "view", "canary-stream"])
    good.kind.append(1)
    good.customer_id.append(2)
    bad = pb.StreamInteractionsRequest(batch_id="canary-bad", strings=["", "Canary kind"], kind=[1, 99])
    yield lambda: list(stream(iter([good, bad, good]), metadata=[key]))
    yield lambda: list(stream(iter([b"\x08canary-malformed"]), metadata=[key]))
    for method in ("RecommendationService/Recommend", "CustomerService/GetProfile", "CatalogService/Canary"):
        call = channel.unary_unary(f"/visavis.api.v1.{method}")
        yield lambda call=call: call(b"\xff\xffcanary-malformed", metadata=[key, ("x-canary", "canary-header")])
        yield lambda call=call: call(b"", metadata=[("authorization", "Basic canary-basic")])
        yield lambda call=call: call(b"", metadata=[key, ("x-canary", "canary" * 10_000)])


def say_over_http(address: str) -> list[int]:
    """The same over HTTP, with requests that are none; answers the status codes."""
    host = address.removeprefix("http://")
    good, json_type = {"Authorization": "Bearer web.canary-secret"}, {"Content-Type": "application/json"}
    recommend = "/visavis.api.v1.RecommendationService/Recommend"
    ends = []
    for path, body, headers in (
        (recommend, b'{"customer": {"customerId": "canary-http"}}', {**good, **json_type}),
        (
            recommend,
            b'{"customer": {"customerId": "canary-http"}}',
            {"Authorization": "Bearer web.canary", **json_type},
        ),
        (recommend, b'{"canary-field": "canary"}', {**good, **json_type}),
        (recommend, b'{"customer": "canary', {**good, **json_type}),
        (recommend, b"canary", {**good, "Content-Type": "text/canary", "Origin": "https://canary.example"}),
        ("/canary-path?canary=canary", b"", {**good, "X-Canary": "canary"}),
        (
            "/visavis.api.v1.MessageService/SendTestMessage",
            b'{"channel": "post", "to": "canary"}',
            {**good, **json_type},
        ),
    ):
        with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
            connection.request("POST", path, body, headers)
            with connection.getresponse() as answer:
                ends.append(answer.status)
    name, _, port = host.rpartition(":")
    for data in (
        b"canary canary canary\r\n\r\n",
        b"POST /canary HTTP/1.1\r\nHost: canary\r\nContent-Length: canary\r\n\r\n",
        b"POST /canary HTTP/1.1\r\nHost: canary\r\ncanary\x00: \xff\r\n\r\n",
        f"POST {recommend} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n".encode(),
        b"GET /" + b"canary" * 10_000,
    ):
        with socket.create_connection((name, int(port)), timeout=20) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                plain.recv(1000)
    return ends


def keys_for(path: Path) -> None:
    from visavis.rpc.key_file import now

    add_key(path, "web", "canary-secret")
    add_key(path, "reader", "canary-reader", "read")
    add_key(path, "late", "canary-late", revoked_at=now())


def check(lines: list[str], ends: list[str]) -> None:
    """Something of every kind happened and was logged, and not one line sings."""
    assert {"", "INVALID_FIELD", "UNKNOWN_CUSTOMER", "IDENTIFIER_TAKEN", "REQUEST_ID_REUSED", "UNAUTHENTICATED"} <= set(
        ends
    )
    assert ends.count("PLUGIN_FAILED") == 3  # the scorer and two channels
    assert {"FORBIDDEN", "UNKNOWN_PLUGIN", "UNKNOWN_ITEM", "INVALID_ARGUMENT"} <= set(ends)
    singing = [line for line in lines if "canary" in line.lower()]
    assert not singing
    entries = [json.loads(line) for line in lines]
    assert {entry["level"] for entry in entries} >= {"debug", "info", "warning", "error"}
    assert {entry.get("exception") for entry in entries} >= {"RuntimeError"}
    assert {entry.get("key") for entry in entries} >= {"web", "reader"}
    assert sum(entry["event"] == "call" for entry in entries) > 40


def test_a_server_in_a_process_of_its_own(tmp_path: Path, plugins: Path) -> None:
    data = tmp_path / "shop.duckdb"
    keys_for(Path(f"{data}.d", "keys.json"))
    http_too = ("--http", "127.0.0.1:0") if find_spec("aiohttp") else ()
    process = start_server(data, "--create", "--log-level", "debug", "--plugins-dir", str(plugins), *http_too)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
    reader.start()
    try:
        assert process.stdout is not None
        address, _, web = process.stdout.readline().split(" at ")[1].split(";")[0].partition(" and ")
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        ends = say_everything(address, tmp_path)
        if web:
            assert {200, 400, 401, 404, 415} <= set(say_over_http(web))
    finally:
        process.send_signal(signal.SIGTERM)
        reader.join()
    drain.join()
    with process:
        assert process.wait(30) == 0
    lines = [line.rstrip("\n") for line in said]
    check(lines, ends)
    events = {json.loads(line)["event"] for line in lines}
    assert events >= {"message of another library", "warning of Python", "nobody caught an exception"}


@contextmanager
def listening() -> Iterator[list[str]]:
    """Every record of every logger, as the server's log would write it."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler, root, ours = Keep(logging.DEBUG), logging.getLogger(), logging.getLogger("visavis")
    handler.setFormatter(JsonLines())
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


def careless_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger's threads end in exceptions, which the test runner would report as its own."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)


@pytest.mark.filterwarnings("ignore:it is canary")
def test_all_loggers_of_a_server_in_this_process(
    tmp_path: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careless_threads(monkeypatch)
    keys_for(tmp_path / "shop.duckdb.d" / "keys.json")
    with (
        listening() as lines,
        visavis.open(tmp_path / "shop.duckdb", plugins_dir=str(plugins)) as engine,
        serve(engine) as server,
    ):
        ends = say_everything(server.address, tmp_path)
    check([line for line in lines if '"logger": "asyncio"' not in line or "canary" in line], ends)


def test_a_writer_that_stops_quotes_no_row(tmp_path: Path) -> None:
    def lose(_: object) -> None:
        raise RuntimeError("canary-row")

    def refuse(transaction: Any) -> None:
        transaction.cursor.execute("CREATE TEMP TABLE once (word VARCHAR PRIMARY KEY)")
        transaction.cursor.execute("INSERT INTO once VALUES ('canary-word'), ('canary-word')")

    with listening() as lines, visavis.open(tmp_path / "shop.duckdb") as engine:
        writer = engine.store.writer
        assert "canary-word" in str(writer.submit(Operation(refuse)).exception())
        assert isinstance(writer.submit(Operation(lambda _: None, committed=lose)).exception(), Exception)
        assert isinstance(writer.failure, StoreError)
        assert "canary-row" in writer.failure.message  # so that there was something to tell
    assert any("the writer stopped: STORE_FAILED" in line for line in lines)
    assert not [line for line in lines if "canary" in line]


SCRIPT = """
import asyncio, gc, logging, sys, threading, warnings
from visavis.rpc.logs import log_to_stderr

log_to_stderr("debug")
logging.getLogger("visavis.store").warning("ours %s", "is told")
logging.getLogger("other").error("canary %s", "canary", exc_info=ValueError("canary"))
logging.getLogger("other").info("canary")
logging.getLogger("visavis.store").error("%d is no number", "canary")
warnings.warn("canary")
threading.Thread(target=lambda: int("canary")).start()

class Unraisable:
    def __del__(self):
        raise ValueError("canary")

thing = Unraisable()
del thing

async def forget():
    asyncio.get_running_loop().create_task(fail())
    await asyncio.sleep(0.01)
    gc.collect()

async def fail():
    raise ValueError("canary")

asyncio.run(forget())
raise RuntimeError("canary")
"""


def test_python_itself_quotes_nobody() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "canary" not in done.stderr
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert [entry["event"] for entry in entries if entry["logger"] == "visavis.store"] == ["ours is told"]
    foreign = [entry for entry in entries if entry["logger"] in ("other", "asyncio")]
    assert [(one["logger"], one["exception"]) for one in foreign] == [
        ("other", "ValueError"),
        ("asyncio", "ValueError"),
    ]
    caught = [entry["exception"] for entry in entries if entry["event"] == "nobody caught an exception"]
    assert caught == ["ValueError", "ValueError", "RuntimeError"]
    (warned,) = [entry for entry in entries if entry["event"] == "warning of Python"]
    assert warned["category"] == "UserWarning"
