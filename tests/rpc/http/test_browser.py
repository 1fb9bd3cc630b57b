"""What web pages may do: those of allowed origins everything, all others nothing."""

from __future__ import annotations

import pytest
from tests.rpc.http.conftest import ORIGIN
from tests.rpc.http.talk import RECOMMEND, ask, post
from tests.rpc.standin import Standin

from visavis.errors import InvalidInput
from visavis.rpc.http.cors import is_loopback_name, origins_from
from visavis.testing.server import serve

ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,authorization"}


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_pages_of_allowed_origins(address: str, origin: str) -> None:
    asked = ask(address, "OPTIONS", RECOMMEND, headers={"Origin": origin, **ASKS})
    assert (asked.status, asked.body) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == origin
    assert asked.headers["access-control-allow-methods"] == "POST, GET"
    allowed = {name.strip() for name in asked.headers["access-control-allow-headers"].lower().split(",")}
    assert allowed >= {"authorization", "content-type", "connect-protocol-version", "connect-timeout-ms"}
    assert int(asked.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in asked.headers
    # Errors, too: a page must be able to read what it did wrong.
    for answer in (
        post(address, RECOMMEND, headers={"Origin": origin}),
        post(address, RECOMMEND, b"x", {"Origin": origin}),
        post(address, "/nosuch", headers={"Origin": origin}),
        post(address, RECOMMEND, headers={"Origin": origin, "Content-Type": "text/plain"}),
        ask(address, "GET", "/openapi.json", headers={"Origin": origin}),
    ):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://shop.example", ORIGIN + ":8443", ORIGIN + ".evil.example", "https://x.shop.example",
     "null", "*", "", ORIGIN.upper(), f"{ORIGIN} http://localhost:3000"],
)  # fmt: skip
def test_pages_of_other_origins(address: str, origin: str) -> None:
    asked = ask(address, "OPTIONS", RECOMMEND, headers={"Origin": origin, **ASKS})
    assert (asked.status, asked.code) == (403, "permission_denied")
    for answer in (asked, post(address, RECOMMEND, headers={"Origin": origin})):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


def test_without_a_list_no_page_may_call(shop: Standin) -> None:
    with serve(shop, http_listen="127.0.0.1:0") as server:
        asked = ask(server.http_address, "OPTIONS", RECOMMEND, headers={"Origin": ORIGIN, **ASKS})
        assert asked.status == 403


def test_options_that_no_browser_asks(address: str) -> None:
    answer = ask(address, "OPTIONS", RECOMMEND)
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_page_sends_without_asking_changes_nothing(shop: Standin, address: str, kind: str) -> None:
    answer = post(address, RECOMMEND, headers={"Origin": "https://evil.example", "Content-Type": kind})
    assert answer.status == 415
    assert shop.seen == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[2001:db8::1]:80", "", "0.0.0.0",
             "localhost.evil.example:1"],
)  # fmt: skip
@pytest.mark.parametrize("path", [RECOMMEND, "/healthz"])
def test_a_name_that_was_made_to_point_here_is_refused(shop: Standin, address: str, host: str, path: str) -> None:
    answer = post(address, path, headers={"Host": host})
    assert (answer.status, answer.code) == (421, "permission_denied")
    assert shop.seen == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:9", "[::1]", "[::1]:8080"])
def test_own_names_are_taken(address: str, host: str) -> None:
    assert post(address, RECOMMEND, headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["::1", "localhost:", "localhost:1:2", "127.0.0.1@evil.example", "[::1", " localhost"])
def test_names_that_only_look_like_ours(host: str) -> None:
    assert not is_loopback_name(host)


def test_origins_are_read_as_browsers_write_them() -> None:
    text = " https://Shop.Example ,http://localhost:3000,, capacitor://localhost, http://[::1]:5173 "
    assert origins_from(text) == {
        "https://shop.example", "http://localhost:3000", "capacitor://localhost", "http://[::1]:5173",
    }  # fmt: skip
    assert origins_from("") == frozenset()


@pytest.mark.parametrize(
    "text", ["*", "https://*.shop.example", "https://shop.example/", "shop.example", "null", "https://shop.example:443",
             "http://shop.example:80", "https://a b", "https://shop.example https://x.example", "https://ü.example"],
)  # fmt: skip
def test_origins_that_no_browser_sends_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"cors_origins: holds '.*'; name each origin as browsers send it, e\.g\."):
        origins_from(f"https://fine.example,{text}")
