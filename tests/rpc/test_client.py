"""The client: the Engine's verbs, repeats, clear refusals."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.standin import Standin
from tests.rpc.test_server import free_port

from visavis.client import Client, connect
from visavis.engine import Engine
from visavis.errors import InvalidInput, NotFound, Unavailable
from visavis.model import Consent, Interaction, Item, RecordResult
from visavis.testing.server import serve

ROOMS = ("identify", "differentiate", "customize", "interact", "admin")


OF_THE_OWNER = ("warm_up", "answer", "flush", "close", "gathering")


def verbs(room: object) -> dict[str, inspect.Signature]:
    """Public methods with their signatures, without those for the process that owns the store."""
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(type(room), inspect.isfunction)
        if not name.startswith("_") and not name.endswith("_soon") and name not in OF_THE_OWNER
    }


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    from visavis.engine import open_engine

    with open_engine(tmp_path / "shop.duckdb") as engine:
        yield engine


def plain(signature: inspect.Signature) -> list[tuple[str, Any, Any, str]]:
    """A signature with its annotations as text, under one name for the same type."""
    known = {"Report | None": "Callable[[Progress], None] | None"}
    return [
        (one.name, one.kind, one.default, known.get(str(one.annotation), str(one.annotation)))
        for one in signature.parameters.values()
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_have_the_engines_verbs(engine: Engine, shop: Standin, room: str) -> None:
    with connect("127.0.0.1:1") as client:
        there = verbs(getattr(engine, room))
        here = verbs(getattr(client, room))
        standin = verbs(getattr(shop, room))
    assert here.keys() == there.keys() == standin.keys()
    for name, signature in there.items():
        assert plain(here[name]) == plain(signature) == plain(standin[name]), f"{room}.{name}"
        assert here[name].return_annotation == signature.return_annotation, f"{room}.{name}"


def test_shortcuts_are_the_engines(engine: Engine) -> None:
    with connect("127.0.0.1:1") as client:
        for name in ("recommend", "similar", "profile", "fit"):
            assert plain(inspect.signature(getattr(client, name))) == plain(inspect.signature(getattr(engine, name)))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"address": "nowhere"}, "address"),
        ({"address": "http://localhost:1"}, "address"),
        ({"address": ""}, "address"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"key": "a.b\n"}, "key"),
        ({"key": "a.ü"}, "key"),
        ({"tls_ca": "nosuch.pem"}, "tls_ca"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect(**{"address": "127.0.0.1:1", **arguments})
    assert [violation.field for violation in caught.value.violations] == [field]


def test_no_server_is_one_clear_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    with connect(address, timeout=2) as client:
        for call in (lambda: client.recommend("ann"), lambda: client.fit()):
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.message.startswith(f"no answer from a server at {address}; is it running?")
            assert "\n" not in caught.value.message


class Down:
    """Stands in for a call that finds no server `times` times."""

    def __init__(self, times: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.left = times
        self.calls = 0
        self.code = code

    def __call__(self, request: object, timeout: float, metadata: object) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise Failed(self.code)
        return "answer"


class Failed(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "gone"

    def trailing_metadata(self) -> tuple[()]:
        return ()


def test_harmless_calls_are_repeated() -> None:
    with connect("127.0.0.1:1") as client:
        caller = client._caller
        method = Down(2)
        assert caller.call(method, None, again=True) == "answer"
        assert method.calls == 3
        for method, again, calls in (
            (Down(9), True, 4),
            (Down(9), False, 1),
            (Down(9, grpc.StatusCode.INTERNAL), True, 1),
            (Down(9, grpc.StatusCode.RESOURCE_EXHAUSTED), True, 1),
        ):
            with pytest.raises(Exception, match="gone"):
                caller.call(method, None, again=again)
            assert method.calls == calls


def test_only_calls_with_ids_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, bool] = {}

    def call(method: Any, request: Any, *, again: bool) -> Any:
        asked[request.DESCRIPTOR.name] = again
        raise NotFound("enough")

    with connect("127.0.0.1:1") as client:
        monkeypatch.setattr(client._caller, "call", call)
        identify = client.identify
        for attempt, again in (
            (lambda: identify.record([Interaction("view")]), False),
            (lambda: identify.record([Interaction("view", interaction_id="e"), Interaction("view")]), False),
            (lambda: identify.record([Interaction("view", interaction_id="e")]), True),
            (lambda: identify.record([Interaction("view")], request_id="r"), True),
            (lambda: identify.upsert_items([Item("tea")]), False),
            (lambda: identify.upsert_items([Item("tea")], request_id="r"), True),
            (lambda: identify.set_consent("ann", Consent("marketing", True)), False),
            (lambda: identify.set_consent("ann", Consent("marketing", True), request_id="r"), True),
            (lambda: client.interact.send_test("console", "ann", "me"), False),
            (lambda: client.recommend("ann"), True),
            (lambda: client.admin.status(), True),
        ):
            asked.clear()
            with pytest.raises(NotFound, match="enough"):
                attempt()
            assert list(asked.values()) == [again]


def test_one_client_serves_many_threads(client: Client, shop: Standin) -> None:
    results: list[RecordResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(client.identify.record([Interaction("view")])))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [RecordResult(1, 0)] * 20


def test_a_closed_client_can_be_closed_again(shop: Standin) -> None:
    with serve(shop) as server:
        client = connect(server.address)
        client.recommend("ann")
        client.close()
        client.close()
        shop.seen.clear()
        for call in (lambda: client.recommend("ann"), lambda: client.fit()):
            with pytest.raises(Unavailable, match=f"this client of {server.address} is closed; make another"):
                call()
        assert not shop.seen
