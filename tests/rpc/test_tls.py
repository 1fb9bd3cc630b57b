"""Certificates of clients, and of the server when they are renewed while it runs; with real certificates."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.rpc.certificates import Authority
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin

from visavis.client import connect
from visavis.config import Settings
from visavis.errors import InvalidInput, Unauthenticated, Unavailable
from visavis.model import Interaction
from visavis.rpc.server import Server
from visavis.testing.server import serve


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def test_clients_show_a_certificate_and_a_key(shop: Standin, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("localhost")
    mine = dict(zip(("tls_cert", "tls_key"), authority.sign("client"), strict=True))
    theirs = dict(zip(("tls_cert", "tls_key"), Authority(tmp_path / "other").sign("client"), strict=True))
    web = add_key(tmp_path / "keys.json", "web", "secret")
    files: dict[str, Any] = {"tls_cert": cert, "tls_key": key, "tls_client_ca": authority.ca}
    with serve(shop, listen="0.0.0.0:0", keys_file=str(tmp_path / "keys.json"), **files) as server:
        address = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        with connect(address, key=web, tls_ca=authority.ca, **mine) as client:
            assert client.recommend("ann").customer_id == "ann"
        # A certificate takes no key's place, and a key takes no certificate's.
        with connect(address, tls_ca=authority.ca, **mine) as client, pytest.raises(Unauthenticated):
            client.recommend("ann")
        for shown in ({}, theirs):
            lost = connect(address, key=web, tls_ca=authority.ca, timeout=5, **shown)
            with lost, pytest.raises(Unavailable):
                lost.identify.record([Interaction("view")])
        with connect(server.owner_address, key=server.owner_key) as owner:
            assert owner.admin.status().sequence == 42
    assert not [one for one in shop.seen if one[0] == "record"]  # type: ignore[index]


def test_on_loopback_a_certificate_is_enough_while_there_are_no_keys(shop: Standin, authority: Authority) -> None:
    cert, key = authority.sign("localhost")
    mine = dict(zip(("tls_cert", "tls_key"), authority.sign("client"), strict=True))
    with serve(shop, tls_cert=cert, tls_key=key, tls_client_ca=authority.ca) as server:
        with connect(server.address, tls_ca=authority.ca, **mine) as client:
            assert client.recommend("ann").customer_id == "ann"
        with connect(server.address, tls_ca=authority.ca, timeout=5) as client, pytest.raises(Unavailable):
            client.identify.record([Interaction("view")])


def refusal(shop: Standin, **settings: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        Server(shop, Settings({**shop.settings.values, **settings}))  # type: ignore[arg-type, dict-item]
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_cannot_be_used_is_named(shop: Standin, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("localhost")
    other, _ = authority.sign("other")
    assert refusal(shop, tls_client_ca=authority.ca).startswith("tls_cert: is missing; TLS needs both")
    assert refusal(shop, tls_cert=cert, tls_client_ca=authority.ca).startswith("tls_key: is missing; TLS needs both")
    said = refusal(shop, tls_cert=other, tls_key=key)
    assert said.startswith(f"tls_cert: is {other!r}, and TLS could not be set up (key values mismatch); check that")
    assert "TLS could not be set up" in refusal(shop, tls_cert=key, tls_key=cert)
    empty = tmp_path / "empty.pem"
    for data in (b"", b"hello", b"\xff"):
        empty.write_bytes(data)
        said = refusal(shop, tls_cert=cert, tls_key=key, tls_client_ca=str(empty))
        assert said.startswith(f"tls_client_ca: is {str(empty)!r}, which holds no certificate in PEM form")
        assert "TLS could not be set up" in refusal(shop, tls_cert=str(empty), tls_key=key)
    missing = str(tmp_path / "none.pem")
    assert "cannot be read: No such file" in refusal(shop, tls_cert=cert, tls_key=key, tls_client_ca=missing)
    # No certificate opens a server to others without keys.
    open_to_others = refusal(shop, listen="0.0.0.0:0", tls_cert=cert, tls_key=key, tls_client_ca=authority.ca)
    assert "which other machines can reach, and there are no keys" in open_to_others


def test_a_key_under_a_password_is_refused_without_a_question(
    shop: Standin, authority: Authority, tmp_path: Path
) -> None:
    cert, key = authority.sign("localhost")
    private: Any = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    locked = tmp_path / "locked.pem"
    hidden = serialization.BestAvailableEncryption(b"password")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(private.private_bytes(pem, form, hidden))
    assert "the key without a password" in refusal(shop, tls_cert=cert, tls_key=str(locked))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tls_ca": "system", "tls_cert": "x"}, "tls_key: is missing; a client's certificate needs both"),
        ({"tls_ca": "system", "tls_key": "x"}, "tls_cert: is missing; a client's certificate needs both"),
        ({"tls_cert": "x", "tls_key": "x"}, "tls_ca: is missing; without TLS no certificate is shown"),
        ({"tls_ca": "system", "tls_cert": "none", "tls_key": "none"}, "tls_key: is 'none', which cannot be read"),
        ({"tls_ca": "none"}, "tls_ca: is 'none', which cannot be read"),
    ],
)
def test_a_client_says_what_is_missing(arguments: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect("127.0.0.1:1", **arguments)  # type: ignore[arg-type]
    assert caught.value.message.startswith(said)


def serial(address: str, ca: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


def test_an_authority_of_clients_can_be_exchanged(shop: Standin, authority: Authority, tmp_path: Path) -> None:
    """The withdrawn one is trusted no more, the new one is, from the next connection on."""
    cert, key = authority.sign("localhost")
    authorities = [Authority(tmp_path / name) for name in ("before", "after")]
    shown = [dict(zip(("tls_cert", "tls_key"), one.sign("client"), strict=True)) for one in authorities]
    ca = tmp_path / "clients.pem"

    def let_in(number: int) -> bool:
        with connect(server.address, tls_ca=authority.ca, timeout=5, **shown[number]) as client:
            try:
                return client.identify.record([Interaction("view")]).recorded == 1
            except Unavailable:
                return False

    ca.write_bytes(Path(authorities[0].ca).read_bytes())
    with serve(shop, tls_cert=cert, tls_key=key, tls_client_ca=str(ca)) as server:
        for good in (0, 1, 0):
            new = tmp_path / "new.pem"
            new.write_bytes(Path(authorities[good].ca).read_bytes())
            new.rename(ca)
            assert (let_in(good), let_in(1 - good)) == (True, False)


def test_a_key_goes_nowhere_in_the_clear_unless_that_is_said(authority: Authority) -> None:
    for address in ("shop.example:50051", "192.0.2.1:50051", "[2001:db8::1]:50051"):
        with pytest.raises(InvalidInput) as caught:
            connect(address, key="web.secret")
        assert caught.value.message == (
            f"tls_ca: is missing: without TLS the key would go to {address} for everybody on the way to read; "
            "give a PEM file or 'system', or say plaintext=True"
        )
        connect(address, key="web.secret", plaintext=True).close()
        connect(address, key="web.secret", tls_ca=authority.ca).close()
        connect(address).close()
    for address in ("127.0.0.1:50051", "localhost:50051", "[::1]:50051"):
        connect(address, key="web.secret").close()
    with pytest.raises(InvalidInput, match="plaintext: is said, and so is tls_ca"):
        connect("shop.example:50051", tls_ca="system", plaintext=True)


def test_a_renewed_certificate_counts_from_the_next_connection(
    shop: Standin, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = authority.sign("localhost", 10)
    with serve(shop, tls_cert=cert, tls_key=key) as server, connect(server.address, tls_ca=authority.ca) as client:
        assert client.recommend("ann").customer_id == "ann"
        assert serial(server.address, authority.ca) == 10
        authority.sign("localhost", 11)
        assert serial(server.address, authority.ca) == 11
        # Renewed by half, or taken away: the old one goes on, and the log says so, once.
        good = Path(key).read_bytes()
        _, strange = authority.sign("strange")
        Path(key).write_bytes(Path(strange).read_bytes())
        assert {serial(server.address, authority.ca) for _ in range(3)} == {11}
        assert sum("renewed certificate cannot be used" in record.message for record in caplog.records) == 1
        Path(key).unlink()
        assert serial(server.address, authority.ca) == 11
        Path(key).write_bytes(good)
        assert serial(server.address, authority.ca) == 11
        authority.sign("localhost", 12)
        assert serial(server.address, authority.ca) == 12
        assert client.recommend("bob").customer_id == "bob"  # the first connection was never broken
