"""The commands backup, restore and compact, with and without a server."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cli.conftest import Command, Served, start_server, stop_server


def test_backup_verify_restore(run: Command, data: Path, tmp_path: Path) -> None:
    made = run("backup", "b.duckdb", "--data", data)
    assert made.code == 0
    assert made.out.startswith("b.duckdb: ")
    before = run("recommend", "10001", "--data", data, "--format", "json").json
    verified = run("backup", "--verify", "b.duckdb")
    assert verified.code == 0
    assert "b.duckdb: whole; " in verified.out
    assert "counts and checksums agree" in verified.out
    told = run("backup", "--verify", "b.duckdb", "--format", "json").json
    assert (told["by_checksum"], told["rows"]["customers"]) == (True, 60)
    assert run("backup", "b.duckdb", "--data", data).code == 1
    refused = run("restore", "b.duckdb", "--data", data)
    assert (refused.code, "--replace" in refused.err) == (1, True)
    replaced = run("restore", "b.duckdb", "--replace", "--data", data)
    assert replaced.code == 0
    lines = replaced.out.splitlines()
    assert lines[0].startswith(f"{data}: 60 customers, 40 items and ")
    assert lines[0].endswith("; muted")
    assert lines[1].startswith("the store that was there is now ")
    assert lines[2].startswith("missing: 1 commit after the backup; send again")  # the answer above was recorded
    aside = lines[1].removeprefix("the store that was there is now ")
    assert run("status", "--data", aside).code == 0
    after = run("recommend", "10001", "--data", data, "--format", "json").json
    assert after["items"] == before["items"]
    assert run("doctor", "--data", data).code == 0
    new = run("restore", "b.duckdb", "--data", tmp_path / "new.duckdb", "--format", "json").json
    assert (new["aside"], new["missing_commits"], new["lineage"]) == ("", None, 2)


def test_damage_is_one_line(run: Command, data: Path) -> None:
    assert run("backup", "b.duckdb", "--data", data).code == 0
    content = bytearray(Path("b.duckdb").read_bytes())
    for place in range(12288, len(content), 50_000):
        content[place] ^= 255
    Path("b.duckdb").write_bytes(content)
    for arguments in (("backup", "--verify", "b.duckdb"), ("restore", "b.duckdb", "--data", "new.duckdb")):
        ended = run(*arguments)
        assert ended.code == 1
        assert ended.out == ""
        assert ended.err.splitlines()[-1].startswith("visavis: b.duckdb")
        assert "take another backup" in ended.err
    assert not Path("new.duckdb").exists()


def test_compact(run: Command, data: Path) -> None:
    ended = run("compact", "--data", data)
    assert ended.code == 0
    assert " bytes before, " in ended.out
    report = run("compact", "--data", data, "--format", "json").json
    assert report["bytes_after"] == data.stat().st_size
    assert report["pause_seconds"] <= report["seconds"]
    missing = run("compact", "--data", "nowhere.duckdb")
    assert (missing.code, "there is no store at" in missing.err) == (1, True)


def test_a_server_does_the_work(run: Command, data: Path) -> None:
    process = start_server(data)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert run("compact", "--data", data, "--format", "json").json["bytes_after"] == data.stat().st_size
        assert run("backup", "b.duckdb", "--data", data).code == 0
        refused = run("restore", "b.duckdb", "--replace", "--data", data)
        assert (refused.code, "is in use by process" in refused.err) == (1, True)
        assert run("recommend", "10001", "--data", data).code == 0
    finally:
        ended = stop_server(process, signal.SIGTERM)
    assert ended.code == 0
    assert run("backup", "--verify", "b.duckdb").code == 0
    assert run("restore", "b.duckdb", "--replace", "--data", data).code == 0


def test_backups_go_through_the_server(run: Command, served: Served) -> None:
    assert run("backup", "served.duckdb", "--data", served.data).code == 0
    assert Path("served.duckdb").stat().st_mode & 0o777 == 0o600
