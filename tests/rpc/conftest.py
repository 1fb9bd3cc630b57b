"""A served stand-in engine and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tests.rpc.standin import Standin

from visavis.client import Client, connect
from visavis.rpc.server import Server
from visavis.testing.server import serve


@pytest.fixture
def shop(tmp_path: Path) -> Standin:
    return Standin(tmp_path)


@pytest.fixture
def server(shop: Standin) -> Iterator[Server]:
    with serve(shop, grace=0.2) as server:
        yield server
        shop.hold.set()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with connect(server.address) as client:
        yield client


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel
