"""`visavis keys`, with and without a store and a running server."""

from __future__ import annotations

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Command, start_server, stop_server

from visavis.client import connect
from visavis.errors import Forbidden, Unauthenticated


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that does not exist yet."""
    return tmp_path / "shop.duckdb"


def test_a_key_is_shown_once(run: Command, store: Path) -> None:
    made = run("keys", "create", "--scopes", "decide,ingest", "--id", "web-shop", "--note", "Käthe's", "--data", store)
    assert made.code == 0
    first, _, *rest = made.out.splitlines()
    key_id, _, secret = first.partition(".")
    assert (key_id, len(secret)) == ("web-shop", 43)
    assert rest == [
        "scopes   ingest,decide",
        "expires  never",
        f"kept in  {store}.d/keys.json",
        "keep it now: it is not shown again; clients send it as `authorization: Bearer …`",
    ]
    listed = run("keys", "list", "--data", store)
    assert listed.out.splitlines()[0].split() == ["id", "scopes", "state", "created", "expires", "note"]
    assert re.fullmatch(
        r"web-shop +ingest,decide +valid +[0-9]{4}-[0-9-]{5} [0-9:]{5} UTC +never +Käthe's", listed.out.splitlines()[1]
    )
    assert secret not in listed.out + run("keys", "list", "--data", store, "--format", "json").out
    assert secret not in Path(f"{store}.d", "keys.json").read_text()
    assert not store.exists()


def test_everything_as_json(run: Command, store: Path) -> None:
    made = run("keys", "create", "--scopes", "read", "--expires", "90d", "--data", store, "--format", "json").json
    assert re.fullmatch(r"key-[0-9a-f]{8}", made["id"])
    assert made["key"].startswith(f"{made['id']}.")
    assert (made["scopes"], made["state"], made["revoked_at"], made["note"]) == (["read"], "valid", None, "")
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    rotated = run("keys", "rotate", made["id"], "--overlap", "2h", "--data", store, "--format", "json").json
    assert rotated["key"] != made["key"]
    assert rotated["expires_at"] == made["expires_at"]
    left = datetime.fromisoformat(rotated["previous_secret_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=59) < left <= timedelta(hours=2)
    assert run("keys", "revoke", made["id"], "--data", store, "--format", "json").json["state"] == "revoked"
    listed = run("keys", "list", "--data", store, "--format", "json").json
    assert listed["keys_file"] == f"{store}.d/keys.json"
    assert [(one["id"], one["state"]) for one in listed["keys"]] == [(made["id"], "revoked")]


def test_a_file_of_ones_own(run: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "etc" / "keys.json"
    assert run("keys", "create", "--scopes", "read", "--keys-file", mine, "--data", store).code == 0
    assert mine.exists()
    assert not Path(f"{store}.d").exists()
    monkeypatch.setenv("VISAVIS_KEYS_FILE", str(mine))
    assert len(run("keys", "list", "--format", "json").json["keys"]) == 1


def test_no_keys_yet(run: Command, store: Path) -> None:
    assert run("keys", "list", "--data", store).out == (
        f"there are no keys in {store}.d/keys.json; `visavis keys create --scopes …` makes one\n"
    )
    assert run("keys", "list", "--data", store, "--format", "json").json["keys"] == []
    assert not Path(f"{store}.d").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: VERB"),
        (("create",), "the following arguments are required: --scopes"),
        (("create", "--scopes", ""), "--scopes: holds an empty scope"),
        (("create", "--scopes", "read,write"), "--scopes: holds 'write', which is no scope; give one or more of"),
        (("create", "--scopes", "read", "--id", "a.b"), "--id: is 'a.b'; give 1 to 64 of"),
        (("create", "--scopes", "read", "--id", ""), "--id: is ''; give 1 to 64 of"),
        (("create", "--scopes", "read", "--id", "owner"), "--id: is 'owner', which belongs to the commands"),
        (("create", "--scopes", "read", "--note", "a\nb"), "--note: is not 200 printable characters or less"),
        (("create", "--scopes", "read", "web"), "unrecognized arguments: web"),
        (("create", "--scopes", "read", "--overlap", "1h"), "unrecognized arguments: --overlap"),
        (("create", "--scopes", "read", "--expires", "0d"), "--expires: is '0d'; give a time that is not over yet"),
        (("create", "--scopes", "read", "--expires", "90"), "--expires: is '90'; give a number and a unit"),
        (("create", "--scopes", "read", "--expires=-1d"), "--expires: is '-1d'; give a number and a unit"),
        (("create", "--scopes", "read", "--expires", "1.5d"), "--expires: is '1.5d'; give a number"),
        (("create", "--scopes", "read", "--expires", "٣d"), "--expires: is '٣d'; give a number"),
        (("create", "--scopes", "read", "--expires", "999999999w"), "--expires: is '999999999w'; give a number"),
        (("list", "web"), "unrecognized arguments: web"),
        (("rotate",), "the following arguments are required: ID"),
        (("rotate", "web", "--scopes", "read"), "unrecognized arguments: --scopes"),
        (("rotate", "web", "--overlap", "soon"), "--overlap: is 'soon'; give a number and a unit"),
        (("rotate", "--overlap", "1h", "web"), "keys.json does not exist; is --data right?"),
        (("revoke",), "the following arguments are required: ID"),
        (("revoke", "web"), "keys.json does not exist; is --data right?"),
        (("revoke", "web", "--expires", "1d"), "unrecognized arguments: --expires"),
    ],
)
def test_slips_are_named_and_leave_nothing(run: Command, store: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = run("keys", *arguments, "--data", store)
    assert (ended.code in (1, 2), ended.out) == (True, "")
    assert said in ended.err
    assert ended.code == 2 or ended.err.count("\n") == 1
    assert list(store.parent.iterdir()) == []


def test_ids_that_are_there_and_ids_that_are_not(run: Command, store: Path) -> None:
    create = ("keys", "create", "--scopes", "read", "--id", "web", "--data", store)
    assert run(*create).code == 0
    assert run(*create).err == (
        "visavis: --id: the key 'web' exists already (valid); choose another id, or give it a new secret: "
        "visavis keys rotate web\n"
    )
    for verb in ("rotate", "revoke"):
        assert "there is no key 'till'; `visavis keys list`" in run("keys", verb, "till", "--data", store).err
    assert "the key web is revoked" in run("keys", "revoke", "web", "--data", store).out
    assert run("keys", "revoke", "web", "--data", store).code == 0
    assert "the key 'web' is revoked; make another key" in run("keys", "rotate", "web", "--data", store).err
    assert "exists already (revoked)" in run(*create).err


@pytest.mark.parametrize("verb", [("revoke", "web"), ("rotate", "web"), ("list",), ("create", "--scopes", "read")])
def test_a_file_with_a_name_too_long_is_one_clear_line(
    run_process: Command, store: Path, verb: tuple[str, ...]
) -> None:
    ended = run_process("keys", *verb, "--data", store, "--keys-file", "k" * 300)
    assert ended.code == 1
    assert "File name too long" in ended.err
    assert ended.err.count("\n") == 1


def test_a_file_that_others_read_is_refused(run: Command, store: Path) -> None:
    assert run("keys", "create", "--scopes", "read", "--id", "web", "--data", store).code == 0
    file = Path(f"{store}.d", "keys.json")
    file.chmod(0o644)
    for arguments in (("list",), ("revoke", "web"), ("create", "--scopes", "read")):
        assert f"chmod 600 {file}" in run("keys", *arguments, "--data", store).err


def test_many_commands_at_once_lose_nothing(run_process: Command, run: Command, store: Path) -> None:
    def create(number: int) -> int:
        return run_process("keys", "create", "--scopes", "read", "--id", f"k{number}", "--data", store).code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(create, range(8))) == {0}
    listed = run("keys", "list", "--data", store, "--format", "json").json["keys"]
    assert {one["id"] for one in listed} == {f"k{number}" for number in range(8)}


def test_a_running_server_sees_every_change(run: Command, data: Path) -> None:
    process = start_server(data)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(" at ")[1].split(";")[0]
        assert process.stdout.readline() == (
            "no keys: whoever reaches this address may do everything; `visavis keys create` ends that\n"
        )
        with connect(address) as anybody:
            assert anybody.recommend("10001").items
            made = run("keys", "create", "--scopes", "decide", "--id", "web", "--data", data, "--format", "json").json
            with pytest.raises(Unauthenticated):
                anybody.recommend("10001")
        with connect(address, key=made["key"]) as web:
            assert web.recommend("10001").items
            with pytest.raises(Forbidden, match="visavis keys create --scopes read"):
                web.profile("10001")
            assert run("keys", "rotate", "web", "--overlap", "0s", "--data", data).code == 0
            with pytest.raises(Unauthenticated):
                web.recommend("10001")
        # Commands on this machine go on without a key.
        assert run("recommend", "10001", "--data", data).code == 0
        assert run("status", "--data", data).code == 0
    finally:
        assert stop_server(process, signal.SIGTERM).code == 0
    process = start_server(data, "--format", "json")
    assert process.stdout is not None
    answer = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
    assert answer["asks_for_keys"] is True
    with connect(answer["address"], key=made["key"]) as web, pytest.raises(Unauthenticated):
        web.recommend("10001")
    assert stop_server(process, signal.SIGTERM).code == 0


def test_keys_may_be_made_before_the_store(run: Command, store: Path) -> None:
    made = run("keys", "create", "--scopes", "read", "--data", store, "--format", "json").json
    process = start_server(store, "--create")
    assert process.stdout is not None
    address = process.stdout.readline().split(" at ")[1].split(";")[0]
    with connect(address, key=made["key"]) as client:
        assert client.admin.status().interactions == 0
    ended = stop_server(process, signal.SIGTERM)
    assert (ended.code, ended.out) == (0, "stopped; everything is written\n")


def test_a_key_in_a_file_that_the_server_does_not_read_is_told(run: Command, data: Path, tmp_path: Path) -> None:
    own, other = Path(f"{data}.d", "keys.json"), tmp_path / "other.json"

    def create(*arguments: object) -> str:
        ended = run("keys", "create", "--scopes", "decide", "--data", data, *arguments)
        assert ended.code == 0
        return ended.err

    note = "visavis: note: the key is in {}; the running server reads the file that it was started with, which is that "
    process = start_server(data)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        assert create("--keys-file", other).startswith(note.format(other))  # while it asks for none
        assert create("--id", "web") == ""
        assert create("--keys-file", other).startswith(note.format(other))
        assert run("keys", "rotate", "web", "--data", data).err == ""
        assert f"that reads {own} refuses it" in run("keys", "revoke", "web", "--data", data).out
    finally:
        assert stop_server(process, signal.SIGTERM).code == 0
    assert create("--keys-file", other) == ""  # no server, nothing to mistake
    process = start_server(data, "--keys-file", str(other))
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        assert create().startswith(note.format(own))
        assert create("--keys-file", other) == ""
    finally:
        assert stop_server(process, signal.SIGTERM).code == 0
