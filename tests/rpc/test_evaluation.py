"""An evaluation through a real server: one at a time, and given up when nobody waits for it or the server stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from tests.rpc.standin import until

import visavis
from visavis import Interaction
from visavis.api.v1 import evaluation_service_pb2 as pb
from visavis.api.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from visavis.client import connect
from visavis.engine import Engine
from visavis.errors import Conflict, InvalidInput, NotFound
from visavis.testing.server import serve

START = datetime(2026, 1, 1, tzinfo=UTC)
SLOW = """
import time
import numpy as np
import visavis

class Slow(visavis.Scorer):
    name = "slow"

    def score(self, customers, candidates):
        time.sleep(0.02)
        return np.zeros((len(customers), len(candidates)))

@visavis.hookimpl
def visavis_scorers():
    return [Slow]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A filled shop with a scorer that takes its time over one customer after the other."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "slow.py").write_text(SLOW)
    monkeypatch.setattr("visavis.customize.evaluation.running._CELLS", 1)
    with visavis.open(tmp_path / "shop.duckdb", linger_ms=0, plugins_dir=str(tmp_path / "plugins")) as engine:
        engine.identify.record(
            [
                Interaction("purchase", f"c{n % 100}", f"i{n % 7}", f"p{n}", START + timedelta(days=n % 40))
                for n in range(2_000)
            ]
        )
        yield engine


def evaluating(shop: Engine) -> bool:
    return shop.customize._evaluating.locked()


def test_it_says_what_the_engine_says(shop: Engine) -> None:
    asked = {"days": 10, "end": START + timedelta(days=40)}
    with serve(shop) as server, connect(server.address) as client:
        there = client.customize.evaluate(["repeat"], **asked)
        with pytest.raises(NotFound, match="there is no scorer 'nosuch'"):
            client.customize.evaluate(["nosuch"])
        with pytest.raises(InvalidInput, match="days"):
            client.customize.evaluate(days=-1)
        with pytest.raises(InvalidInput, match="give a datetime with a time zone"):
            client.customize.evaluate(end=datetime(2026, 2, 1))  # noqa: DTZ001 - what is refused
    here = shop.customize.evaluate(["repeat"], **asked)
    assert [one.measures for one in there.judged] == [one.measures for one in here.judged]
    assert (there.compared, there.begin, there.items) == (here.compared, here.begin, here.items)


def test_one_at_a_time_and_given_up_when_nobody_waits(shop: Engine) -> None:
    with serve(shop) as server, grpc.insecure_channel(server.address) as channel, connect(server.address) as client:
        call = EvaluationServiceStub(channel).Evaluate(pb.EvaluateRequest(scorers=["slow"]))
        while not next(call).progress.step.startswith("judge slow"):
            pass
        with pytest.raises(Conflict, match="an evaluation is running"):
            client.customize.evaluate(["repeat"])
        call.cancel()
        until(lambda: not evaluating(shop))
        assert client.customize.evaluate(["repeat"]).judged


def test_a_server_that_stops_does_not_wait_for_it(shop: Engine) -> None:
    told = threading.Event()

    def ask(address: str) -> None:
        with connect(address) as client, pytest.raises(visavis.VisavisError):
            client.customize.evaluate(["slow"], progress=lambda one: told.set() if "judge slow" in one.step else None)

    with serve(shop) as server:
        asking = threading.Thread(target=ask, args=(server.address,))
        asking.start()
        assert told.wait(30)
    until(lambda: not evaluating(shop))
    asking.join(30)
    assert not asking.is_alive()
