"""Imports through a real server: several at once, beside other calls, and callers or servers that go away meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.standin import until

import visavis
from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.api.v1.interaction_service_pb2_grpc import InteractionServiceStub
from visavis.client import connect
from visavis.engine import Engine
from visavis.errors import InvalidInput, Unavailable
from visavis.identify import storing
from visavis.model import ImportReport, Interaction, Progress
from visavis.rpc.server import Server
from visavis.testing.server import serve

CUSTOMERS = 20
BOUGHT = 25
WHEN = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(storing, "CHUNK_ROWS", 300)
    with visavis.open(tmp_path / "shop.duckdb") as engine:
        yield engine


@pytest.fixture
def server(engine: Engine) -> Iterator[Server]:
    with serve(engine, grace=0.1) as server:
        yield server


def write(path: Path, rows: int, *, first: int = 0) -> Path:
    """A file of sales with ids of its own: `n0`, `n1` …"""
    lines = []
    for n in range(first, first + rows):
        customer = n % CUSTOMERS
        item = n // CUSTOMERS % BOUGHT + customer % 3 * 20
        lines.append(f"n{n},c{customer},i{item},2025-01-{n % 28 + 1:02d},1,2.50")
    path.write_text("\n".join(["row_id,customer,item,time,quantity,price", *lines]) + "\n")
    return path


def bought(customer: int) -> set[str]:
    """The items that a customer has bought in files of 500 rows or more; nobody buys all."""
    return {f"i{number + customer % 3 * 20}" for number in range(BOUGHT)}


def load(server: Server, file: Path, **options: Any) -> ImportReport:
    with connect(server.address) as client:
        return client.identify.import_file(file, columns={"id": "row_id"}, **options)


def left(engine: Engine) -> list[Path]:
    """Short-lived files beside the store."""
    return [path for name in ("uploads", "imports") for path in engine.store.scratch(name).iterdir()]


def counted(engine: Engine) -> int:
    """Interactions as memory has them; the store must agree."""
    in_memory = sum(engine.differentiate.profile(f"c{n}").interaction_count for n in range(CUSTOMERS))
    assert in_memory == engine.admin.status().interactions
    return in_memory


def test_different_files_and_the_same_file_at_once(engine: Engine, server: Server, tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", 2_000)
    two = write(tmp_path / "two.csv", 2_000, first=1_500)  # a quarter of its rows are in the other file
    files = [one, two, one, two, one]
    with ThreadPoolExecutor(len(files)) as threads:
        reports = list(threads.map(lambda file: load(server, file, source="till"), files))
    assert [(report.rows, report.rejected) for report in reports] == [(2_000, 0)] * 5
    assert all(report.interactions + report.already_known == 2_000 for report in reports)
    assert sum(report.interactions for report in reports) == counted(engine) == 3_500
    assert sum(report.new_customers for report in reports) == CUSTOMERS
    until(lambda: not left(engine))


def test_imports_beside_records_questions_and_a_fit(engine: Engine, server: Server, tmp_path: Path) -> None:
    load(server, write(tmp_path / "before.csv", 600))
    ended = threading.Event()

    def record() -> tuple[int, int]:
        """Single interactions, every other of which is a row of the file that is imported meanwhile.

        Answers how many were recorded, and how many were no rows of the file.
        """
        recorded = known = number = 0
        with connect(server.address) as client:
            while number < 50 or not ended.is_set():
                name = f"n{1_000 + number % 4_000}" if number % 2 else f"own-{number}"
                one = Interaction("purchase", f"c{number % CUSTOMERS}", "i1", name, WHEN)
                result = client.identify.record([one])
                recorded += result.recorded
                known += result.already_known
                number += 1
        assert recorded + known == number
        return recorded, (number + 1) // 2

    def ask() -> int:
        asked = 0
        with connect(server.address) as client:
            while asked < 20 or not ended.is_set():
                customer = asked % CUSTOMERS
                answer = client.recommend(f"c{customer}", 5)
                assert (answer.customer_id, len(answer.items)) == (f"c{customer}", 5)
                assert not bought(customer) & {item.item_id for item in answer.items}
                asked += 1
        return asked

    with connect(server.address) as client, ThreadPoolExecutor(4) as threads:
        client.fit()
        records = threads.submit(record)
        questions = [threads.submit(ask), threads.submit(ask)]
        fitting = threads.submit(client.fit)
        try:
            report = load(server, write(tmp_path / "more.csv", 6_000, first=600))
        finally:
            ended.set()
        recorded, own = records.result()
        assert fitting.result().generation == 2
        assert all(asked.result() >= 20 for asked in questions)
    assert report.interactions + report.already_known == report.rows == 6_000
    assert counted(engine) == 600 + report.interactions + recorded == 6_600 + own
    again = load(server, tmp_path / "more.csv")
    assert (again.interactions, again.already_known) == (0, 6_000)
    assert counted(engine) == 6_600 + own


@pytest.mark.parametrize("way", ["cancel", "disconnect"])
def test_a_caller_that_goes_away_in_the_middle_of_the_upload(
    engine: Engine, server: Server, tmp_path: Path, way: str
) -> None:
    file = write(tmp_path / "sales.csv", 1_000)
    gone = threading.Event()

    def parts() -> Iterator[pb.ImportFileRequest]:
        yield pb.ImportFileRequest(options={"file_name": "sales.csv"})
        yield pb.ImportFileRequest(chunk=file.read_bytes()[:20_000])
        gone.wait(10)

    with grpc.insecure_channel(server.address) as channel:
        call = InteractionServiceStub(channel).ImportFile(parts())
        until(lambda: len(left(engine)) == 1)
        if way == "cancel":
            call.cancel()
        else:
            channel.close()
        gone.set()
    until(lambda: server.running == 0 and not left(engine))
    assert engine.admin.status().interactions == 0
    assert load(server, file).interactions == counted(engine) == 1_000


def test_a_server_that_stops_while_a_file_is_sent(engine: Engine) -> None:
    gone = threading.Event()

    def parts() -> Iterator[pb.ImportFileRequest]:
        yield pb.ImportFileRequest(options={"file_name": "sales.csv"})
        yield pb.ImportFileRequest(chunk=b"customer,item,time\n")
        gone.wait(10)

    with serve(engine, grace=0.05) as server:
        channel = grpc.insecure_channel(server.address)
        call = InteractionServiceStub(channel).ImportFile(parts())
        until(lambda: len(left(engine)) == 1)
    with channel, pytest.raises(grpc.RpcError) as caught:
        next(call)
    gone.set()
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)  # type: ignore[attr-defined]
    until(lambda: not left(engine))
    assert engine.admin.status().interactions == 0


def test_what_is_no_file_is_not_sent_nor_waited_for(engine: Engine, server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (("pipe.csv", "is no regular file"), (".", "is a folder"), ("x" * 300, "File name too long")):
        with pytest.raises(InvalidInput, match=said):
            load(server, tmp_path / name)
    assert not left(engine)


@pytest.mark.parametrize("step", ["read", "store"])
def test_an_import_goes_on_when_its_caller_goes_away(
    engine: Engine, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = write(tmp_path / "sales.csv", 1_000)
    gone = threading.Event()
    hold(monkeypatch, gone, after=1)

    def parts() -> Iterator[pb.ImportFileRequest]:
        yield pb.ImportFileRequest(options={"file_name": file.name, "columns": {"id": "row_id"}})
        yield pb.ImportFileRequest(chunk=file.read_bytes())

    with grpc.insecure_channel(server.address) as channel:
        answers = InteractionServiceStub(channel).ImportFile(parts())
        while next(answers).progress.step != step:
            pass
    until(lambda: server.running == 0)
    gone.set()
    until(lambda: not left(engine))
    again = load(server, file)
    assert (again.already_known, counted(engine)) == (1_000, 1_000)


def test_a_server_that_stops_in_the_middle(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "sales.csv", 3_000)
    stopped, told = threading.Event(), threading.Event()
    hold(monkeypatch, stopped, after=2)

    def progress(how_far: Progress) -> None:
        if how_far.step == "store":
            told.set()

    def caught(server: Server) -> Unavailable:
        try:
            with pytest.raises(Unavailable) as caught:
                load(server, file, progress=progress)
        finally:
            stopped.set()
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        with serve(engine, grace=0.05) as server:
            waiting = threads.submit(caught, server)
            assert told.wait(10)
        message = str(waiting.result())
    assert message.startswith("the import broke off (")
    assert "import the file again when the server runs" in message
    assert not left(engine)
    stored = counted(engine)
    assert 0 < stored < 3_000, "whole chunks are stored, and the rest was given up"
    path = engine.store.path
    engine.close()
    with visavis.open(path) as reopened, serve(reopened) as server:
        assert counted(reopened) == stored
        rest = load(server, file)
        assert (rest.already_known, rest.interactions) == (stored, 3_000 - stored)
        assert counted(reopened) == 3_000


def test_a_file_that_changes_while_it_is_sent_is_not_imported(engine: Engine, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    for change in ("grows", "shrinks"):
        write(file, 60_000)  # more than one message

        def meddle(how_far: Progress, change: str = change) -> None:
            if how_far.step == "upload" and file.stat().st_size == how_far.total:
                os.truncate(file, how_far.total // 2 if change == "shrinks" else how_far.total + 10)

        with pytest.raises(InvalidInput, match=r"sales\.csv changed while it was read; import it when nobody writes"):
            load(server, file, progress=meddle)
    until(lambda: not left(engine))
    assert engine.admin.status().interactions == 0


def test_rows_are_known_by_the_name_of_the_file_on_either_way(engine: Engine, server: Server, tmp_path: Path) -> None:
    for name in (b"back\\slash.csv", b"two\nlines.csv", b"no\xfftext.csv", "☕\u202f“a*b”.csv".encode()):
        file = write(tmp_path / os.fsdecode(name), 5)
        before = engine.admin.status().interactions
        with connect(server.address) as client:
            # No column of ids: a row's id is made of the source.
            columns = {"id": "", "order": ""}
            sent = client.identify.import_file(file, columns=columns)
        here = engine.identify.import_file(file, columns=columns)
        assert (sent.source, sent.interactions, here.already_known) == (here.source, 5, 5)
        assert sent.source.isprintable() or "\u202f" in sent.source
        assert engine.admin.status().interactions == before + 5
    until(lambda: not left(engine))


def test_memory_has_all_that_is_stored_though_telling_of_it_fails(engine: Engine, tmp_path: Path) -> None:
    def raising(how_far: Progress) -> None:
        if how_far.step == "build":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        engine.identify.import_file(write(tmp_path / "sales.csv", 1_000), progress=raising)
    assert counted(engine) == 1_000


def hold(monkeypatch: pytest.MonkeyPatch, until_set: threading.Event, *, after: int) -> None:
    """Have imports wait for the event when `after` chunks are stored."""
    load_chunk = storing.load_chunk
    stored = [0]

    def waiting(*arguments: Any, **named: Any) -> storing.Loaded:
        if stored[0] == after:
            assert until_set.wait(10)
        stored[0] += 1
        return load_chunk(*arguments, **named)

    monkeypatch.setattr(storing, "load_chunk", waiting)
