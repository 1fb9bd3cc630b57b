"""`visavis import`: odd files and names, files that change meanwhile, and two imports at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Command, start_server, stop_server
from tests.rpc.standin import until

import visavis
from visavis.errors import InvalidInput
from visavis.model import Progress
from visavis.store.owner import read_owner, side_folder
from visavis.store.source_files import check_source

HEADER = "customer,item,time,quantity,price\n"


def write(path: Path, rows: int = 3, *, first: int = 0) -> Path:
    lines = "".join(
        f"c{n % 9},i{n % 7},2025-01-01 10:{n // 60 % 60:02d}:{n % 60:02d},1,{n}.50\n"
        for n in range(first, first + rows)
    )
    path.write_text(HEADER + lines)
    return path


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("two words.csv", "two words.csv"),
        ('it\'s "quoted".csv', 'it\'s "quoted".csv'),
        ("a*b?[c]{d,e}.csv", "a*b?[c]{d,e}.csv"),
        ("$HOME `x` %s {0} \\n.csv", "$HOME `x` %s {0} \\n.csv"),
        ("☕ é 東京.csv", "☕ é 東京.csv"),
        ("two\nlines\x1b[31m.csv", "two\\x0alines\\x1b[31m.csv"),
        ("./-dash.csv", "-dash.csv"),
        ("./-", "-"),
        (os.fsdecode(b"no\xfftext.csv"), "no\\xfftext.csv"),
        ("s3:x.csv", "s3:x.csv"),
        ("~.csv", "~.csv"),
    ],
)
def test_a_name_means_that_file_and_no_other(run: Command, tmp_path: Path, name: str, source: str) -> None:
    for other in ("axb.csv", "aXbYcd.csv", "two.csv", "x.csv"):
        write(tmp_path / other, 5, first=100)
    write(tmp_path / name)
    ended = run("import", name, "--data", "new.duckdb", "--format", "json")
    assert ended.code == 0, ended.err
    report = ended.json
    assert (report["source"], report["rows"], report["interactions"]) == (source, 3, 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("-", "visavis: the standard input is not read, "),
        ("", "visavis: . is a folder; name one file"),
        ("folder", "visavis: folder is a folder; name one file"),
        ("pipe", "visavis: pipe is no regular file; write its content to a file first"),
        (os.devnull, "visavis: null is no regular file; write its content to a file first"),
        ("nowhere.csv", "visavis: there is no file nowhere.csv; check the name"),
        ("to_nowhere.csv", "visavis: there is no file to_nowhere.csv; check the name"),
        ("to_itself.csv", "visavis: to_itself.csv cannot be read (Too many levels of symbolic links); check the name"),
        ("sales.csv/sales.csv", "visavis: there is no file sales.csv/sales.csv; check the name"),
        ("x" * 300, "cannot be read (File name too long); check the name"),
    ],
)
def test_what_is_no_file_is_refused_before_a_store_is_made(run: Command, tmp_path: Path, name: str, said: str) -> None:
    write(tmp_path / "sales.csv")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_nowhere.csv").symlink_to("nowhere")
    (tmp_path / "to_itself.csv").symlink_to("to_itself.csv")
    ended = run("import", name, "--data", "new.duckdb")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not Path("new.duckdb").exists()


def test_a_link_is_the_file_it_leads_to(run: Command, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(write(tmp_path / "sales.csv"))
    report = run("import", "link.csv", "--data", "new.duckdb", "--format", "json").json
    assert (report["source"], report["interactions"]) == ("link.csv", 3)


def test_a_pipe_is_refused_and_a_file_as_standard_input_is_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "visavis", "import", "/dev/stdin", "--data", "new.duckdb"]
    piped = subprocess.run(command, input=HEADER, capture_output=True, text=True, timeout=60, check=False)
    assert (piped.returncode, piped.stderr) == (
        1,
        "visavis: stdin is no regular file; write its content to a file first\n",
    )
    with write(tmp_path / "sales.csv").open() as stream:
        read = subprocess.run(command, stdin=stream, capture_output=True, text=True, timeout=60, check=False)
    assert read.returncode == 0, read.stderr
    assert "3 rows in " in read.stdout


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything; another user may not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv")
    file.chmod(0)
    with nobody(), pytest.raises(InvalidInput, match=r"^sales\.csv may not be read \(Permission denied\); change its"):
        check_source(file)


@pytest.mark.parametrize("change", ["grows", "shrinks", "replaced", "removed"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_file_that_changes_while_it_is_read_is_refused_whole(tmp_path: Path, change: str, kind: str) -> None:
    file = tmp_path / f"sales.{kind}"
    if kind == "csv":
        write(file, 60_000)
    else:
        file.write_text("".join(f'{{"customer":"c{n}","item":"i","time":"2025-01-01"}}\n' for n in range(40_000)))
    whole = file.read_bytes()
    changed: list[Progress] = []

    def meddle(how_far: Progress) -> None:
        if how_far.step != "read" or not how_far.done or changed:
            return
        changed.append(how_far)
        match change:
            case "grows":
                with file.open("ab") as stream:
                    stream.write(b"half a rec")
            case "shrinks":
                os.truncate(file, len(whole) // 2)
            case "replaced":
                (tmp_path / "other").write_bytes(whole)
                (tmp_path / "other").replace(file)
            case _:
                file.unlink()

    with visavis.open(tmp_path / "new.duckdb") as engine:
        with pytest.raises(InvalidInput, match=r"^sales\.\w+ changed while it was read; import it when nobody writes"):
            engine.identify.import_file(file, progress=meddle)
        assert changed
        assert engine.admin.status().interactions == 0
        assert not list((side_folder(tmp_path / "new.duckdb") / "imports").iterdir())
        file.write_bytes(whole)
        report = engine.identify.import_file(file)
        assert report.interactions == report.rows == whole.count(b"\n") - (kind == "csv")


def test_two_at_once_without_a_server(run_process: Command, tmp_path: Path) -> None:
    data = tmp_path / "new.duckdb"
    command = [sys.executable, "-m", "visavis", "import", str(write(tmp_path / "a.csv", 20_000)), "--data", str(data)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: read_owner(side_folder(data)) is not None, 30)
        first.send_signal(signal.SIGSTOP)
        second = run_process("import", write(tmp_path / "b.csv"), "--data", data)
    finally:
        first.send_signal(signal.SIGCONT)
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert "20,000 rows in " in out
    assert (second.code, second.out) == (1, "")
    assert f"is in use by process {first.pid} " in second.err
    assert "visavis import" in second.err
    assert second.err.count("\n") == 1
    again = run_process("import", tmp_path / "b.csv", "--data", data, "--format", "json")
    assert again.json["interactions"] == 3


def test_two_at_once_through_a_server(run_process: Command, tmp_path: Path) -> None:
    data = tmp_path / "new.duckdb"
    files = [write(tmp_path / "a.csv", 20_000), write(tmp_path / "b.csv", 10_000)]
    process = start_server(data, "--create")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with ThreadPoolExecutor(2) as threads:
            ended = list(
                threads.map(lambda file: run_process("import", file, "--data", data, "--format", "json"), files)
            )
        assert [(one.code, one.json["interactions"]) for one in ended] == [(0, 20_000), (0, 10_000)]
        assert all("upload: " in one.err for one in ended)
        status = run_process("status", "--data", data, "--format", "json").json
        assert status["interactions"] == 30_000
    finally:
        assert stop_server(process, signal.SIGTERM).code == 0


def test_progress_names_each_step_to_the_end(run: Command, tmp_path: Path) -> None:
    ended = run("import", write(tmp_path / "sales.csv", 2_000), "--data", "new.duckdb")
    told = dict.fromkeys(line.partition(":")[0] for line in ended.err.splitlines())
    now_and_then = {"compare", "list", "ids", "returns"}  # told of where they take long
    assert [step for step in told if step not in now_and_then] == ["read", "check", "store", "build"]
    assert "build: 2,000 of 2,000 (100 %)\n" in ended.err
