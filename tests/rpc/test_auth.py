"""Who is let in: headers, the owner's key, keys that change while a server runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin

import visavis
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.api.v1 import interaction_service_pb2_grpc
from visavis.client import connect
from visavis.errors import Forbidden, Unauthenticated, Unavailable
from visavis.rpc import auth, edge
from visavis.rpc.auth import by_keys, owner_key
from visavis.rpc.key_file import KeyWatch, change_keys, now
from visavis.rpc.keys import Key, create, keep, revoke, rotate
from visavis.testing.server import serve

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
FIT = "/visavis.api.v1.AdminService/Fit"
WEB = Key("web", ("decide",), (keep("s3cret.with.dots", now()),), now())


def ask(*headers: str | bytes, method: str = RECOMMEND, keys: Iterable[Key] | None = (WEB,), owner: str = "") -> str:
    known = None if keys is None else {key.key_id: key for key in keys}
    metadata: list[tuple[str, str | bytes]] = [("x-other", "x"), *(("authorization", one) for one in headers)]
    return by_keys(lambda: known, owner_key(owner) if owner else None)(method, metadata)


def test_without_keys_everybody_is_welcome() -> None:
    for headers in ((), ("Bearer web.wrong",), ("nonsense",)):
        assert ask(*headers, keys=None) == ""
        assert ask(*headers, keys=None, owner="token", method=FIT) == ""


@pytest.mark.parametrize(
    "header", ["Bearer web.s3cret.with.dots", "bearer  web.s3cret.with.dots ", "BEARER web.s3cret.with.dots"]
)
def test_a_key_is_known_by_its_id(header: str) -> None:
    assert ask(header) == "web"


@pytest.mark.parametrize(
    "header",
    [
        "web.s3cret.with.dots", "Basic web.s3cret.with.dots", "Bearer", "Bearer ", "Bearer web", "Bearer web.",
        "Bearer .s3cret.with.dots", "Bearer web.s3cret", "Bearer web.s3cret.with.dots.", "bearerweb.s3cret.with.dots",
        "Bearer web.s3cret.with.dot\udcff", "Bearer w\u0435b.s3cret.with.dots", "Bearer owner.s3cret.with.dots",
        b"Bearer web.s3cret.with.dots", "Bearer web.s3cret.with.dots x",
    ],
)  # fmt: skip
def test_other_headers_are_no_keys(header: str | bytes) -> None:
    with pytest.raises(Unauthenticated, match="the key of this call is not valid; ask who runs"):
        ask(header)


def test_no_header_and_no_key_in_the_file() -> None:
    with pytest.raises(Unauthenticated, match="the key of this call is missing"):
        ask()
    with pytest.raises(Unauthenticated, match="is not valid"):
        ask("Bearer web.s3cret.with.dots", keys=())  # a file without keys lets nobody in


def test_the_first_header_counts() -> None:
    assert ask("Bearer web.s3cret.with.dots", "Bearer x.y") == "web"
    with pytest.raises(Unauthenticated):
        ask("Bearer x.y", "Bearer web.s3cret.with.dots")


def test_the_owner_has_every_scope() -> None:
    for method in (RECOMMEND, FIT):
        assert ask("Bearer owner.token", method=method, owner="token") == "owner"
    assert ask("Bearer web.s3cret.with.dots", owner="token") == "web"
    with pytest.raises(Forbidden, match="the key 'web' lacks the scope 'admin'"):
        ask("Bearer web.s3cret.with.dots", method=FIT, owner="token")
    with pytest.raises(Unauthenticated):
        ask("Bearer owner.guess", owner="token")


def test_changes_count_from_the_next_call(shop: Standin, tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb.d" / "keys.json"
    with serve(shop) as server, connect(server.address) as open_door:
        assert not server.asks_for_keys
        assert open_door.recommend("ann").customer_id == "ann"

        first = add_key(path, "web", "one", "decide")
        with pytest.raises(Unauthenticated):
            open_door.recommend("ann")
        assert server.asks_for_keys
        with connect(server.address, key=first) as client:
            assert client.recommend("ann").customer_id == "ann"
            with pytest.raises(Forbidden) as caught:
                client.fit()
            assert caught.value.metadata == {"scope": "admin", "key_id": "web"}

            secret = ""

            def rotated(keys: dict[str, Key]) -> Key:
                nonlocal secret
                key, secret = rotate(keys, "web", now(), overlap=timedelta(hours=1))
                return key

            change_keys(path, rotated)
            with connect(server.address, key=f"web.{secret}") as renewed:
                assert renewed.recommend("ann").customer_id == "ann"
            assert client.recommend("ann").customer_id == "ann"  # the secret before is good for an hour
            change_keys(path, lambda keys: revoke(keys, "web", now()))
            with pytest.raises(Unauthenticated, match="the key 'web' of this call is revoked; ask who runs"):
                client.recommend("ann")

        # The commands of this machine do not depend on the file; everybody else waits until it is good again.
        path.write_text("{")
        with connect(server.owner_address, key=server.owner_key) as owner:
            assert owner.admin.status().sequence == 42
        with connect(server.address, key=first, timeout=1) as client, pytest.raises(Unavailable, match="cannot read"):
            client.identify.record([])
        path.unlink()
        with connect(server.address, timeout=1) as client, pytest.raises(Unavailable, match="cannot read its keys"):
            client.identify.record([])


def test_a_watch_is_what_by_keys_asks(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "web", "one")
    authenticate = by_keys(KeyWatch(path).current)
    assert authenticate(FIT, [("authorization", "Bearer web.one")]) == "web"
    change_keys(path, lambda keys: revoke(keys, "web", now()))
    with pytest.raises(Unauthenticated, match="is revoked"):
        authenticate(FIT, [("authorization", "Bearer web.one")])


def test_a_key_that_was_seen_ends_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = now()
    key, secret = create({}, begun, scopes=("decide",), key_id="web", expires_at=begun + timedelta(hours=2), note="")
    first = f"Bearer web.{secret}"
    key, secret = rotate({"web": key}, "web", begun, overlap=timedelta(hours=1))
    second = f"Bearer web.{secret}"
    authenticate = by_keys(lambda keys={"web": key}: keys, owner_key("token"))
    clock = begun

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return clock

    monkeypatch.setattr(auth, "datetime", Clock)
    monkeypatch.setattr(auth.time, "time", lambda: clock.timestamp())

    def good(header: str) -> bool:
        try:
            return authenticate(RECOMMEND, [("authorization", header)]) == "web"
        except Unauthenticated:
            return False

    assert [good(header) for header in (first, second) * 2] == [True] * 4
    clock = begun + timedelta(minutes=59, seconds=59)
    assert [good(header) for header in (first, second)] == [True, True]
    clock = begun + timedelta(hours=1)
    assert [good(header) for header in (first, second) * 2] == [False, True] * 2
    clock = begun + timedelta(hours=2)
    assert [good(header) for header in (first, second)] == [False, False]
    clock = begun  # a clock that is set back
    assert [good(header) for header in (first, second)] == [True, True]


def test_headers_that_were_seen_are_kept_by_their_hash_and_are_few() -> None:
    seen, keys = auth._Seen(), {"web": WEB}
    headers = [f"Bearer {' ' * blanks}web.s3cret.with.dots" for blanks in range(3000)]
    for header in headers:
        assert seen.good(keys, header) is WEB
        assert seen.good(keys, header) is WEB
        assert seen.good(keys, header + "x") is None
    assert 0 < len(seen._known) <= 1024
    assert all(isinstance(name, bytes) and len(name) == 32 for name in seen._known)
    assert seen.good({}, headers[-1]) is None
    assert not seen._known


def test_nothing_of_a_strangers_request_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A message of some megabytes may take gigabytes once it is parsed."""
    path = tmp_path / "keys.json"
    good = add_key(path, "web", "s3cret")
    parsed: list[int] = []
    real = edge._parser

    def counted(parse: Any) -> Any:
        inner: Any = real(parse)
        return lambda data: parsed.append(len(data)) or inner(data)

    monkeypatch.setattr(edge, "_parser", counted)
    with (
        caplog.at_level("INFO", "visavis.rpc"),
        serve(Standin(tmp_path), keys_file=str(path)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        record = channel.unary_unary("/visavis.api.v1.InteractionService/RecordInteractions")
        for header in ((), (("authorization", "Bearer web.wrong"),)):
            with pytest.raises(grpc.RpcError) as caught:
                record(b"\n\0" * 100_000, metadata=header)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert parsed == []
        with pytest.raises(grpc.RpcError) as caught:
            record(b"\n\0" * 1_001, metadata=(("authorization", f"Bearer {good}"),))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert parsed == [2_002]
        time.sleep(1.1)
    told = [one.fields for one in caplog.records if one.getMessage() == "refused"]  # type: ignore[attr-defined]
    assert [(one["reason"], one["calls"]) for one in told] == [("UNAUTHENTICATED", 2)], "strangers do not fill the log"


def test_a_stream_does_not_outlive_its_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    good = add_key(path, "till", "s3cret")
    go_on = threading.Event()
    with (
        visavis.open(tmp_path / "shop.duckdb") as shop,
        serve(shop, keys_file=str(path)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):

        def batches() -> Iterator[Any]:
            for number in range(2):
                yield interaction_pb.StreamInteractionsRequest(
                    batch_id=f"b{number}", strings=["", "view", "ann", "tea"], kind=[1], customer_id=[2], item_id=[3]
                )
                assert go_on.wait(10)

        stub: Any = interaction_service_pb2_grpc.InteractionServiceStub(channel)
        answers = stub.StreamInteractions(batches(), metadata=(("authorization", f"Bearer {good}"),), timeout=20)
        next(answers)
        change_keys(path, lambda keys: revoke(keys, "till", now()))
        go_on.set()
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
