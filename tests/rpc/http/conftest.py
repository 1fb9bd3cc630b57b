"""A served stand-in engine with an HTTP port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.rpc.standin import Standin

from visavis.rpc.server import Server
from visavis.testing.server import serve

ORIGIN = "https://shop.example"


@pytest.fixture
def server(shop: Standin) -> Iterator[Server]:
    with serve(shop, grace=0.2, http_listen="127.0.0.1:0", cors_origins=f"{ORIGIN}, http://localhost:3000") as server:
        yield server
        shop.hold.set()


@pytest.fixture
def address(server: Server) -> str:
    return server.http_address
