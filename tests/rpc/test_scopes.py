"""Every call has its scope, and every call of the API meets every kind of key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin

from visavis import api
from visavis.errors import Forbidden, InvalidInput, Unauthenticated, VisavisError
from visavis.rpc.auth import by_keys
from visavis.rpc.errors import from_call
from visavis.rpc.key_file import now
from visavis.rpc.scopes import ANY_SCOPE, SCOPE_BY_METHOD, SCOPES, check_scopes
from visavis.rpc.server import PACKAGE, SERVICES
from visavis.testing.server import serve

SECRET = "correct-horse-battery-staple"


def methods() -> dict[str, MethodDescriptor]:
    """Every method of every service that the generated modules describe, by its path."""
    folder = Path(next(iter(api.__path__))) / "v1"
    modules = [import_module(f"{PACKAGE}.{path.stem}") for path in sorted(folder.glob("*_pb2.py"))]
    return {
        f"/{service.full_name}/{method.name}": method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


METHODS = methods()


def test_every_call_has_a_scope_and_no_scope_is_left_over() -> None:
    missing = sorted(METHODS.keys() - SCOPE_BY_METHOD.keys())
    assert not missing, f"give these calls a scope in visavis/rpc/scopes.py: {missing}"
    gone = sorted(SCOPE_BY_METHOD.keys() - METHODS.keys())
    assert not gone, f"these calls are gone, take them out of visavis/rpc/scopes.py: {gone}"
    assert set(SCOPE_BY_METHOD.values()) == SCOPES.keys() - {"erase"}
    assert {path.split("/")[1].rpartition(".")[2] for path in METHODS} == {name for name, _, _ in SERVICES}
    assert not ANY_SCOPE & METHODS.keys()


@pytest.mark.parametrize("name", sorted({path.rpartition("/")[2] for path in METHODS}))
def test_what_only_reads_needs_no_scope_to_write(name: str) -> None:
    scopes = {scope for path, scope in SCOPE_BY_METHOD.items() if path.endswith(f"/{name}")}
    if name.startswith(("Get", "List")) and name != "ListSimilarItems":
        assert scopes == {"read"}
    else:
        assert "read" not in scopes


@pytest.mark.parametrize(
    ("text", "scopes"),
    [("read", ("read",)), ("decide,ingest", ("ingest", "decide")), (" read , read", ("read",))],
)
def test_scopes_are_read(text: str, scopes: tuple[str, ...]) -> None:
    assert check_scopes(text, "--scopes") == scopes


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds an empty scope"),
        ("read,", "holds an empty scope"),
        ("READ", "'READ', which is no"),
        ("read;x", "'read;x'"),
    ],
)
def test_wrong_scopes_are_named(text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match="--scopes: ") as caught:
        check_scopes(text, "--scopes")
    assert what in caught.value.message
    assert caught.value.message.endswith("give one or more of ingest, decide, read, admin, erase")


class Served:
    """A served stand-in with a file of keys, and what answers each call of the API gives."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        past = now() - timedelta(seconds=1)
        for scope in SCOPES:
            add_key(self.file, f"only-{scope}", SECRET, scope)
            add_key(self.file, f"not-{scope}", SECRET, *(other for other in SCOPES if other != scope))
        add_key(self.file, "expired", SECRET, expires_at=past)
        add_key(self.file, "revoked", SECRET, revoked_at=past)
        self.shop = Standin(folder)

    def call(self, channel: grpc.Channel, path: str, *metadata: tuple[str, str]) -> VisavisError | None:
        """The error that an empty request meets; None if it met none. Nothing else hangs on the request."""
        method = METHODS[path]
        make: Any = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }[method.client_streaming, method.server_streaming]
        request: Any = iter([b""]) if method.client_streaming else b""
        try:
            answer = make(path)(request, metadata=metadata, timeout=20)
            if method.server_streaming:
                list(answer)
        except grpc.RpcError as error:
            return from_call(error, "here")
        return None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, grpc.Channel]]:
    made = Served(tmp_path_factory.mktemp("scopes"))
    with serve(made.shop, keys_file=str(made.file)) as server, grpc.insecure_channel(server.address) as channel:
        yield made, channel


def bearer(key: str) -> tuple[str, str]:
    return "authorization", f"Bearer {key}"


@pytest.mark.parametrize("path", sorted(METHODS))
def test_every_call_with_every_kind_of_key(served: tuple[Served, grpc.Channel], path: str) -> None:
    shop, channel = served
    scope = SCOPE_BY_METHOD[path]
    shop.shop.seen.clear()

    missing = shop.call(channel, path)
    assert isinstance(missing, Unauthenticated)
    assert missing.message == "the key of this call is missing; send metadata `authorization: Bearer id.secret`"
    wrong = [
        shop.call(channel, path, bearer(key))
        for key in (f"only-{scope}.wrong", f"nobody.{SECRET}", f"expired.{SECRET}x", "owner.guess", "")
    ]
    assert {type(error) for error in wrong} == {Unauthenticated}
    # One text for an id that is not there and for a wrong secret: it must not tell which ids exist.
    assert {error.message for error in wrong if error} == {
        "the key of this call is not valid; ask who runs the server for one"
    }
    for state in ("expired", "revoked"):
        ended = shop.call(channel, path, bearer(f"{state}.{SECRET}"))
        assert isinstance(ended, Unauthenticated)
        assert f"'{state}' of this call is {state}" in ended.message
    others = [f"only-{other}" for other in SCOPES if other != scope] + [f"not-{scope}"]
    for key in others:
        refused = shop.call(channel, path, bearer(f"{key}.{SECRET}"))
        assert isinstance(refused, Forbidden)
        assert (refused.reason, refused.metadata) == ("FORBIDDEN", {"scope": scope, "key_id": key})
        assert f"visavis keys create --scopes {scope}" in refused.message
    assert not shop.shop.seen  # no room was asked

    welcome = shop.call(channel, path, bearer(f"only-{scope}.{SECRET}"))
    assert not isinstance(welcome, Unauthenticated | Forbidden)


def test_a_refused_stream_is_not_read(served: tuple[Served, grpc.Channel]) -> None:
    shop, channel = served
    shop.shop.seen.clear()
    go_on = threading.Event()

    def batches() -> Iterator[bytes]:
        yield b"\xff\xff"  # not a message: read, it would be INVALID_ARGUMENT
        go_on.wait(10)

    method: Any = channel.stream_stream("/visavis.api.v1.InteractionService/StreamInteractions")
    with pytest.raises(grpc.RpcError) as caught:
        list(method(batches(), metadata=[bearer(f"only-read.{SECRET}")], timeout=10))
    go_on.set()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not shop.shop.seen


def test_a_malformed_message_without_a_key_is_not_looked_at(served: tuple[Served, grpc.Channel]) -> None:
    _, channel = served
    call = channel.unary_unary("/visavis.api.v1.RecommendationService/Recommend")
    for metadata, code in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ([bearer(f"only-read.{SECRET}")], grpc.StatusCode.PERMISSION_DENIED),
        ([bearer(f"only-decide.{SECRET}")], grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff", metadata=metadata)
        assert caught.value.code() is code


def test_reflection_needs_a_key_of_any_scope(served: tuple[Served, grpc.Channel]) -> None:
    _, channel = served
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(*metadata: tuple[str, str]) -> int:
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]), metadata=metadata)
        return len(answer.list_services_response.service)

    assert ask(bearer(f"only-erase.{SECRET}")) > 5
    with pytest.raises(grpc.RpcError) as caught:
        ask()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("keys", [None, {}])
def test_a_call_without_a_scope_is_refused_and_logged(keys: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "visavis.rpc"), pytest.raises(Forbidden, match="no key may call /shop/Call"):
        by_keys(lambda: keys)("/shop/Call", [])
    (record,) = caplog.records
    assert record.__dict__["fields"] == {"rpc": "/shop/Call"}


def test_a_server_that_learned_a_new_call_refuses_it(shop: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SCOPE_BY_METHOD, "/visavis.api.v1.AdminService/GetStatus")
    with serve(shop) as server, grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/visavis.api.v1.AdminService/GetStatus")(b"")
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert not shop.seen
