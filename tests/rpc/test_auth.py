"""Who is let in: headers, the owner's key, keys that change while a server runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin

from visavis.client import connect
from visavis.errors import Forbidden, Unauthenticated, Unavailable
from visavis.rpc.auth import by_keys, owner_key
from visavis.rpc.key_file import KeyWatch, change_keys, now
from visavis.rpc.keys import Key, keep, revoke, rotate
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
    with pytest.raises(Unauthenticated, match="the key of this call is not valid; send metadata"):
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
