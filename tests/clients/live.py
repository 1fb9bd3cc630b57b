"""A live server for clients in any language: TLS, keys, and a small shop whose answers are always the same."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import visavis
from visavis.config import load_settings
from visavis.engine import Engine
from visavis.model import Customer, Identifier, Interaction, Item, Money
from visavis.testing.server import serve

CONVERSATION = Path(__file__).with_name("conversation.json")
_REFUSED_CONNECTIONS = 2


@contextmanager
def live_shop(folder: Path, *, listen: str = "127.0.0.1:0") -> Iterator[dict[str, str]]:
    """Serve the conversation's shop from a new store in `folder`; what a client needs, as environment variables."""
    # Not refreshed: what is recorded in a conversation would change what is recommended, sooner or later.
    overrides = {"data": str(folder / "shop.duckdb"), "linger_ms": 0, "refresh_ms": 0}
    settings = load_settings(overrides, environ={})
    ca, certificate, private_key = make_certificates(folder)
    keys, key = make_key(folder)
    with visavis.open(folder / "shop.duckdb", settings=settings) as engine:
        fill(engine, json.loads(CONVERSATION.read_text(encoding="utf-8"))["shop"])
        engine.fit()
        tls: dict[str, Any] = {"tls_cert": str(certificate), "tls_key": str(private_key)}
        with serve(engine, listen=listen, **tls, **keys) as server, flaky(server.address) as flaky_address:
            yield {
                "VISAVIS_ADDRESS": server.address,
                "VISAVIS_FLAKY_ADDRESS": flaky_address,
                "VISAVIS_KEY": key,
                "VISAVIS_CA": str(ca),
            }


def fill(engine: Engine, shop: dict[str, Any]) -> None:
    """Items, customers and their baskets; every time is given, so that nothing depends on today."""
    engine.identify.upsert_items(
        [Item(one, name, category=group, price=Money(price, "EUR")) for one, name, group, price in shop["items"]]
    )
    engine.identify.upsert_customers(
        [Customer(customer, (Identifier(kind, value),)) for customer, kind, value in shop["customers"]]
    )
    prices = {item_id: price for item_id, _, _, price in shop["items"]}
    engine.identify.record(
        [
            Interaction(
                "purchase",
                customer or None,
                item_id,
                interaction_id=f"basket-{number}-{item_id}",
                occurred_at=datetime.fromisoformat(at),
                amount=Money(prices[item_id], "EUR"),
                order_id=f"basket-{number}",
            )
            for number, (customer, at, basket) in enumerate(shop["baskets"])
            for item_id in basket
        ]
    )


def make_key(folder: Path) -> tuple[dict[str, Any], str]:
    """A key for the clients, made as one is made for any: the server's settings, and the key as `id.secret`."""
    keys = str(folder / "keys.json")
    command = ["keys", "create", "--id", "clients", "--scopes", "ingest,decide,read", "--keys-file", keys]
    made = subprocess.run(
        [sys.executable, "-m", "visavis", *command, "--format", "json"],
        env=without_settings(), cwd=folder, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return {"keys_file": keys}, str(json.loads(made.stdout)["key"])


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A throw-away authority, and a certificate by it for this machine: the PEM files of both and of the key."""
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Visavis test authority")])
    own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    signs = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root = (
        _begin(root_name, root_name, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        _begin(own_name, root_name, own.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(here, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = folder / "ca.pem", folder / "server.pem", folder / "server-key.pem"
    files[0].write_bytes(root.public_bytes(pem))
    files[1].write_bytes(leaf.public_bytes(pem))
    files[2].write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    files[2].chmod(0o600)
    return files


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


@contextmanager
def flaky(address: str) -> Iterator[str]:
    """An address that resets the first two connections and passes the later ones on to `address`."""
    host, _, port = address.rpartition(":")
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        worker = threading.Thread(target=_pass_on, args=(listener, (host, int(port)), stop), name="flaky")
        worker.start()
        try:
            yield f"127.0.0.1:{place[1]}"
        finally:
            stop.set()
            # Closing the listener would leave the worker waiting; a caller wakes it.
            socket.create_connection(place).close()
            worker.join()


def _pass_on(listener: socket.socket, to: tuple[str, int], stop: threading.Event) -> None:
    refused = 0
    pipes: list[tuple[socket.socket, socket.socket]] = []
    threads: list[threading.Thread] = []
    while True:
        caller, _ = listener.accept()
        if stop.is_set():
            caller.close()
            break
        if refused < _REFUSED_CONNECTIONS:
            refused += 1
            # Lingering for no time at all makes the close a reset.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()
            continue
        server = socket.create_connection(to)
        pipes.append((caller, server))
        for source, target in ((caller, server), (server, caller)):
            threads.append(threading.Thread(target=_pump, args=(source, target)))
            threads[-1].start()
    for pair in pipes:
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for pair in pipes:
        for end in pair:
            end.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may hang up at any time
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def without_settings() -> dict[str, str]:
    """This process's environment without what would steer a client elsewhere."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("VISAVIS_")}
    return {**env, "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}


__all__ = ["CONVERSATION", "fill", "flaky", "live_shop", "make_certificates", "make_key", "without_settings"]
