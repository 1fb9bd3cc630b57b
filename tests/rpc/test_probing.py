"""Mistakes about TLS between a client and a server: each told apart, with the way out; with real certificates."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from tests.rpc.certificates import Authority
from tests.rpc.standin import Standin
from tests.rpc.test_server import free_port

from visavis.client import connect
from visavis.errors import Unavailable
from visavis.rpc.probing import Trust, why_no_answer
from visavis.testing.server import serve


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def said(address: str, **tls: Any) -> str:
    """What a client is told after `no answer from the server at …`, by a call and by a stream."""
    told = set()
    with connect(address, timeout=10, **tls) as client:
        for call in (lambda: client.recommend("ann"), lambda: client.fit()):
            with pytest.raises(Unavailable) as caught:
                call()
            told.add(caught.value.message)
    (message,) = told
    assert "\n" not in message
    head, _, why = message.partition(f"no answer from the server at {address}: ")
    assert head == ""
    return why


def test_plaintext_to_tls(shop: Standin, authority: Authority) -> None:
    cert, key = authority.sign("localhost")
    for more in ({}, {"tls_client_ca": authority.ca}):
        with serve(shop, tls_cert=cert, tls_key=key, **more) as server:
            assert said(server.address).startswith("it speaks TLS; give tls_ca: the PEM file")


def test_tls_to_plaintext(shop: Standin, authority: Authority) -> None:
    with serve(shop) as server:
        why = said(server.address, tls_ca=authority.ca)
        assert why == f"it speaks no TLS; leave out tls_ca={authority.ca!r}, or ask for its TLS address"


def test_whom_the_client_does_not_trust(shop: Standin, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("localhost")
    other = Authority(tmp_path / "other", "other").ca
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    with serve(shop, tls_cert=cert, tls_key=key) as server:
        why = said(server.address, tls_ca=other)
        assert why.startswith(f"its certificate is signed by nobody in tls_ca={other!r} (")
        why = said(server.address, tls_ca="system")
        assert why.startswith("its certificate is signed by nobody whom this machine trusts (")
        assert said(server.address, tls_ca=str(junk)).startswith("the files of TLS cannot be used (")


def test_another_name(shop: Standin, authority: Authority) -> None:
    cert, key = authority.sign("localhost")
    with serve(shop, listen="127.0.0.2:0", tls_cert=cert, tls_key=key) as server:
        why = said(server.address, tls_ca=authority.ca)
        assert why.startswith("its certificate is not for '127.0.0.2'; connect by a name that stands in it")


def test_whom_the_server_does_not_trust(shop: Standin, authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.sign("localhost")
    theirs = dict(zip(("tls_cert", "tls_key"), Authority(tmp_path / "other", "other").sign("client"), strict=True))
    with serve(shop, tls_cert=cert, tls_key=key, tls_client_ca=authority.ca) as server:
        assert said(server.address, tls_ca=authority.ca).endswith("give tls_cert and tls_key")
        assert "it refuses the client's certificate" in said(server.address, tls_ca=authority.ca, **theirs)
        mine = dict(zip(("certificate", "private_key"), authority.sign("client"), strict=True))
        host, _, port = server.address.rpartition(":")
        assert why_no_answer(host, int(port), Trust(authority.ca, **mine)) == ""


def test_nothing_is_said_of_what_is_not_seen(authority: Authority) -> None:
    closed = free_port()
    for trust in (Trust(), Trust(authority.ca)):
        assert why_no_answer("127.0.0.1", closed, trust) == ""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            assert why_no_answer("127.0.0.1", silent.getsockname()[1], trust) == ""
            assert time.monotonic() - began < 30  # it ends at all
