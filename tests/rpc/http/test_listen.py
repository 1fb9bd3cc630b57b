"""Where HTTP listens, with which certificates; and every setting that is refused."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.rpc.http.talk import RECOMMEND, ask, post
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin, until

from visavis.config import Settings
from visavis.errors import InvalidInput
from visavis.rpc.http import listen as listen_module
from visavis.rpc.http import site as site_module
from visavis.rpc.http.listen import open_sockets
from visavis.rpc.server import Server
from visavis.testing.server import serve

Pair = tuple[str, str]


def make_certificate(folder: Path, name: str) -> Pair:
    """A self-signed certificate for this machine and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(private)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


@pytest.fixture
def certificate(tmp_path: Path) -> Pair:
    return make_certificate(tmp_path, "server")


def trusting(path: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


def refusal(shop: Standin, **settings: object) -> str:
    values: dict[str, Any] = {**shop.settings.values, "listen": "127.0.0.1:0", **settings}
    with pytest.raises(InvalidInput) as caught:
        Server(shop, Settings(values))
    assert "\n" not in caught.value.message
    return caught.value.message


def test_off_unless_asked_for(shop: Standin) -> None:
    with serve(shop) as server:
        assert server.http_address == ""


def test_what_must_not_be_served_is_refused(shop: Standin, certificate: Pair, tmp_path: Path) -> None:
    cert, key = certificate
    open_to_others = (
        "http_listen: is '0.0.0.0:0', which other machines can reach; set tls_cert and tls_key, "
        "or say --allow-plaintext"
    )
    no_keys = (
        "http_listen: is '0.0.0.0:0', which other machines can reach, and there are no keys; "
        "make one: visavis keys create --scopes ingest,decide,read, or say --allow-no-keys"
    )
    keys = tmp_path / "keys.json"
    add_key(keys, "web", "s3cret")
    assert refusal(shop, http_listen="0.0.0.0:0") == open_to_others
    assert refusal(shop, http_listen="0.0.0.0:0", allow_no_keys=True) == open_to_others
    assert refusal(shop, http_listen="0.0.0.0:0", tls_cert=cert, tls_key=key) == no_keys
    assert refusal(shop, http_listen="0.0.0.0:0", allow_plaintext=True) == no_keys
    assert refusal(shop, http_listen="0.0.0.0:0", keys_file=str(keys)) == open_to_others
    for address in ("[::]:0", "shop.example:8080", "192.0.2.1:1"):
        assert "which other machines can reach" in refusal(shop, http_listen=address)
    for address in ("8080", ":8080", "127.0.0.1:x", "http://127.0.0.1:1"):
        assert refusal(shop, http_listen=address).startswith(f"http_listen: is {address!r}; give host:port")
    assert refusal(shop, http_listen="127.0.0.1:0", cors_origins="*").startswith("cors_origins: holds '*'")


def test_without_the_library_it_says_how_to_get_it(shop: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_module, "find_spec", lambda name: None)
    assert refusal(shop, http_listen="127.0.0.1:8080") == (
        "http_listen: is '127.0.0.1:8080', and HTTP needs aiohttp: pip install 'visavis[http]'"
    )


def test_the_library_is_loaded_only_where_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.rpc.standin import Standin\n"
        "from visavis.testing.server import serve\n"
        "with serve(Standin(Path(sys.argv[1]))): assert 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).resolve().parents[3])


def test_a_port_in_use_is_refused(shop: Standin, server: Server, tmp_path: Path) -> None:
    place = server.http_address.removeprefix("http://")
    other = Standin(tmp_path / "other")
    with pytest.raises(InvalidInput) as caught, serve(other, http_listen=place):
        raise NotImplementedError("it must not come to this")
    assert caught.value.message == (
        f"http_listen: is {place!r}, and that cannot be had (Address already in use); stop who uses it, "
        "or give another, e.g. 127.0.0.1:0 for a free port"
    )
    assert other.announced is None


def test_a_host_without_address_is_refused(shop: Standin) -> None:
    with (
        pytest.raises(InvalidInput, match=r"http_listen: is 'nosuch\.invalid:1', and that cannot be had"),
        serve(shop, http_listen="nosuch.invalid:1", allow_plaintext=True, allow_no_keys=True),
    ):
        raise NotImplementedError("it must not come to this")


def test_a_name_means_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(host: str, port: int, **_: object) -> list[Any]:
        places = [("127.0.0.1", port), ("127.0.0.2", port), ("127.0.0.1", port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    made = open_sockets("both.example", 0)
    places = [one.getsockname() for one in made]
    for one in made:
        one.close()
    assert [host for host, _ in places] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in places}) == 1


def test_localhost_and_ipv6(shop: Standin) -> None:
    with serve(shop, http_listen="localhost:0") as server:
        assert server.http_address.startswith("http://localhost:")
        assert post(server.http_address, RECOMMEND).status == 200
    try:
        with serve(shop, http_listen="[::1]:0") as server:
            assert post(server.http_address, RECOMMEND).status == 200
    except InvalidInput as error:
        pytest.skip(f"no IPv6 here: {error}")


def test_plaintext_for_others_needs_the_word(shop: Standin) -> None:
    with serve(shop, http_listen="0.0.0.0:0", allow_plaintext=True, allow_no_keys=True) as server:
        address = server.http_address.replace("0.0.0.0", "127.0.0.1")
        # Its names are not known here, so any will do.
        assert post(address, RECOMMEND, headers={"Host": "shop.example"}).status == 200


def test_tls_and_keys(shop: Standin, certificate: Pair, tmp_path: Path) -> None:
    cert, key = certificate
    keys = tmp_path / "keys.json"
    header = {"Authorization": f"Bearer {add_key(keys, 'web', 's3cret', 'decide')}"}
    with serve(shop, http_listen="0.0.0.0:0", tls_cert=cert, tls_key=key, keys_file=str(keys)) as server:
        assert server.http_address.startswith("https://0.0.0.0:")
        address = server.http_address.replace("0.0.0.0", "127.0.0.1")
        assert post(address, RECOMMEND, headers=header, tls=trusting(cert)).status == 200
        assert post(address, RECOMMEND, tls=trusting(cert)).code == "unauthenticated"
        with pytest.raises(ssl.SSLCertVerificationError):
            post(address, RECOMMEND, headers=header, tls=ssl.create_default_context())
        with pytest.raises(ConnectionError):
            ask(address.replace("https", "http"), "GET", "/healthz")


def test_certificates_of_clients(shop: Standin, certificate: Pair, tmp_path: Path) -> None:
    cert, key = certificate
    client = make_certificate(tmp_path, "client")
    stranger = make_certificate(tmp_path, "stranger")
    with serve(shop, http_listen="127.0.0.1:0", tls_cert=cert, tls_key=key, tls_client_ca=client[0]) as server:
        known, unknown = trusting(cert), trusting(cert)
        known.load_cert_chain(*client)
        unknown.load_cert_chain(*stranger)
        assert post(server.http_address, RECOMMEND, tls=known).status == 200
        for wrong in (unknown, trusting(cert)):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                post(server.http_address, RECOMMEND, tls=wrong)


def test_an_authority_of_clients_can_be_exchanged(
    shop: Standin, certificate: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawn one is trusted no more, the new one is; while the server runs."""
    monkeypatch.setattr(site_module, "_SWEEP_S", 0.02)
    cert, key = certificate
    before, after = make_certificate(tmp_path, "before"), make_certificate(tmp_path, "after")
    authority = tmp_path / "authority.pem"
    authority.write_bytes(Path(before[0]).read_bytes())
    with serve(shop, http_listen="127.0.0.1:0", tls_cert=cert, tls_key=key, tls_client_ca=str(authority)) as server:

        def let_in(pair: Pair) -> bool:
            shown = trusting(cert)
            shown.load_cert_chain(*pair)
            try:
                return post(server.http_address, RECOMMEND, tls=shown).status == 200
            except (ssl.SSLError, ConnectionError):
                return False

        assert (let_in(before), let_in(after)) == (True, False)
        authority.write_bytes(Path(after[0]).read_bytes())
        until(lambda: let_in(after))
        assert (let_in(before), let_in(after)) == (False, True)
        authority.write_bytes(Path(before[0]).read_bytes())
        until(lambda: let_in(before))
        assert (let_in(before), let_in(after)) == (True, False)


def serial(address: str) -> str:
    text = ssl.get_server_certificate(("127.0.0.1", int(address.rpartition(":")[2])))
    return str(x509.load_pem_x509_certificate(text.encode()).serial_number)


def test_a_renewed_certificate_is_used(
    shop: Standin, certificate: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site_module, "_SWEEP_S", 0.02)
    cert, key = certificate
    (tmp_path / "new").mkdir()
    with serve(shop, http_listen="127.0.0.1:0", tls_cert=cert, tls_key=key) as server:
        before = serial(server.http_address)
        renewed = make_certificate(tmp_path / "new", "server")
        Path(cert).write_bytes(Path(renewed[0]).read_bytes())  # the key does not match yet
        told: Callable[[], bool] = lambda: "renewed certificate cannot be used" in caplog.text  # noqa: E731
        until(told)
        assert serial(server.http_address) == before
        Path(key).write_bytes(Path(renewed[1]).read_bytes())
        until(lambda: serial(server.http_address) != before)
        Path(cert).unlink()
        assert ask(server.http_address, "GET", "/healthz", tls=trusting(renewed[0])).status == 200
