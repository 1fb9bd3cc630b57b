"""`visavis serve`, and the other commands while a server owns the store."""

from __future__ import annotations

import resource
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Command, Served, start_server, stop_server

import visavis
from visavis.model import Interaction


def _same(answer: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != "decision_id"}


def test_recommend_answers_the_same_through_the_server(run: Command, fitted: Path, served: Served) -> None:
    for question in (
        ("recommend", "10001", "--format", "json"),
        ("recommend", "nobody", "-n", 3, "--format", "json"),
        ("recommend", "10002", "--scorer", "repeat", "--include-bought", "--format", "json"),
    ):
        assert _same(run(*question, "--data", served.data).json) == _same(run(*question, "--data", fitted).json)
    by_server = run("recommend", "10003", "--data", served.data).out.splitlines()
    assert by_server[1:] == run("recommend", "10003", "--data", fitted).out.splitlines()[1:]


@pytest.mark.parametrize(
    "question",
    [
        ("similar", "COF100"),
        ("profile", "10001"),
        ("segments",),
        ("segments", "members", "rfm", "champions"),
        ("plugins",),
        ("plugins", "--format", "json"),
    ],
)
def test_other_questions_too(run: Command, fitted: Path, served: Served, question: tuple[str, ...]) -> None:
    assert run(*question, "--data", served.data) == run(*question, "--data", fitted)


def test_status_names_the_server(run: Command, served: Served) -> None:
    assert f"served at     {served.address}" in run("status", "--data", served.data).out


def test_a_running_server_takes_everything(run: Command, data: Path, sales: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("customer,item,time\nzoe,COF100,2025-03-01\nzoe,,2025-03-01\n")
    process = start_server(data)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"serving {data} at 127.0.0.1:")
        known = run("import", sales, "--data", data, "--format", "json")
        assert known.json["already_known"] == known.json["rows"]
        report = run("import", more, "--data", data, "--format", "json").json
        assert (report["rows"], report["new_customers"], report["rejected"]) == (2, 1, 1)
        assert run("fit", "--data", data, "--format", "json").json["generation"] == 2
        assert run("consent", "zoe", "--purpose", "personalization", "--deny", "--data", data).code == 0
        assert run("recommend", "zoe", "--data", data, "--format", "json").json["fallback_reason"] == "objected"
        assert run("snapshot", "copy.duckdb", "--data", data).code == 0
        assert run("status", "--data", "copy.duckdb").code == 0
        assert "in use by process" in run("doctor", "--data", data).out
        sent = run("send", "10001", "--channel", "console", "--test-to", "me", "--data", data)
        assert (sent.code, "<me>" in sent.out) == (0, False)
        noted = run("recommend", "10001", "--data", data, "--plugins-dir", tmp_path)
        assert (noted.code, "its own plugins count" in noted.err) == (0, True)
    finally:
        ended = stop_server(process, signal.SIGTERM)
    assert ended.code == 0
    assert "<me>" in ended.out
    assert ended.out.endswith("stopped; everything is written\n")
    assert run("profile", "zoe", "--data", data).code == 0


def test_an_interrupt_stops_it_gracefully(data: Path) -> None:
    process = start_server(data, "--format", "json")
    assert process.stdout is not None
    assert process.stdout.readline() == "{\n"
    assert stop_server(process, signal.SIGINT).code == 0


def test_two_servers_on_one_store(run: Command, served: Served) -> None:
    ended = run("serve", "--data", served.data, "--listen", "127.0.0.1:0")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert f"process {served.process.pid} " in ended.err
    assert served.address in ended.err


def test_a_store_in_use_by_one_that_serves_nobody(run: Command, data: Path) -> None:
    with visavis.open(data):
        ended = run("recommend", "10001", "--data", data)
    assert (ended.code, ended.out) == (1, "")
    assert "is in use by process" in ended.err
    assert ended.err.count("\n") == 1


def test_a_port_in_use(run_process: Command, data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run_process("serve", "--data", data, "--listen", address)
    assert (ended.code, ended.out) == (1, "")
    lines = [line for line in ended.err.splitlines() if line.startswith("visavis: ")]
    assert len(lines) == 1
    assert address in lines[0]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "0.0.0.0:0"), "--allow-plaintext"),
        (("--listen", "nowhere"), "host:port"),
        (("--tls-cert", "cert.pem"), "tls_key"),
        (("--max-message-mb", "0"), "max_message_mb"),
        (("--log-level", "loud"), "log_level"),
        (("--data", "none.duckdb"), "none.duckdb"),
    ],
)
def test_what_cannot_be_served(run_process: Command, data: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = run_process("serve", "--data", data, *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


def test_what_a_server_asks_of_the_machine(tmp_path: Path) -> None:
    """As many open files as it may have; and a log beside the store that nobody else reads."""
    data = tmp_path / "new.duckdb"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 200), hard))
    try:
        process = start_server(data, "--create")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert process.stdout is not None
    address = process.stdout.readline().partition(" at ")[2].partition(";")[0]
    with visavis.connect(address) as client:
        assert client.identify.record([Interaction("purchase", "c1", "i1")]).recorded == 1
    log = tmp_path / "new.duckdb.wal"
    assert {one.stat().st_mode & 0o777 for one in (data, log)} == {0o600}
    limits = Path(f"/proc/{process.pid}/limits")
    if limits.exists():
        line = next(one for one in limits.read_text().splitlines() if one.startswith("Max open files"))
        assert line.split()[3] == line.split()[4]
    assert stop_server(process, signal.SIGTERM).code == 0


def test_an_empty_store_is_made_on_demand(tmp_path: Path) -> None:
    process = start_server(tmp_path / "new.duckdb", "--create")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving ")
    assert stop_server(process, signal.SIGTERM).code == 0


def test_keys_of_which_none_is_good_any_more_are_told(run: Command, data: Path) -> None:
    assert run("keys", "create", "--scopes", "read", "--id", "old", "--expires", "1s", "--data", data).code == 0
    assert run("keys", "create", "--scopes", "read", "--id", "gone", "--data", data).code == 0
    assert run("keys", "revoke", "gone", "--data", data).code == 0
    time.sleep(1.1)
    told = f"visavis: warning: no key in {data}.d/keys.json is good any more, so every call is refused; `visavis keys"
    for listen in (["--listen", "0.0.0.0:0", "--allow-plaintext"], []):
        process = start_server(data, *listen)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        assert told in stop_server(process, signal.SIGTERM).err
    assert run("keys", "create", "--scopes", "read", "--data", data).code == 0
    process = start_server(data)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving ")
    assert "is good any more" not in stop_server(process, signal.SIGTERM).err
