"""One owner a store: between processes, within one, after a crash, with a damaged owner file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from visavis.errors import StoreInUse, StoreUnwritable
from visavis.store.owner import Owner, OwnerInfo, read_owner


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


@pytest.fixture
def folder(data: Path) -> Path:
    return data.with_name("shop.duckdb.d")


@contextmanager
def other_process(code: str, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said `ready`; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


HOLD = """
import sys
from pathlib import Path
from visavis.store.owner import Owner
owner = Owner.acquire(Path(sys.argv[1]), data=Path(sys.argv[2]), purpose="visavis serve")
owner.announce("127.0.0.1:50051", "secret")
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def no_privileges() -> Iterator[None]:
    """For root, whom permissions do not stop: go on as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_owner_says_who_it_is(data: Path, folder: Path) -> None:
    assert read_owner(folder) is None
    with Owner.acquire(folder, data=data, purpose="visavis fit") as owner:
        found = read_owner(folder)
        assert found == owner.info
        assert (found.pid, found.purpose, found.data) == (os.getpid(), "visavis fit", str(data))
        assert found.address == found.token == ""
        assert found.started_at.endswith("+00:00")
        owner.announce("127.0.0.1:7", "secret")
        found = read_owner(folder)
        assert found is not None
        assert (found.address, found.token) == ("127.0.0.1:7", "secret")
        assert "secret" not in repr(found) + str(found)
    assert read_owner(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == ["lock"]


def test_the_folder_and_its_files_are_private(data: Path, folder: Path) -> None:
    with Owner.acquire(folder, data=data, purpose="python"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "owner").stat().st_mode & 0o777 == 0o600


def test_the_same_process_cannot_own_a_store_twice(data: Path, folder: Path) -> None:
    with Owner.acquire(folder, data=data, purpose="python") as owner:
        with pytest.raises(StoreInUse, match=f"process {os.getpid()}.*this very process"):
            Owner.acquire(folder, data=data, purpose="python")
        assert read_owner(folder) == owner.info
    Owner.acquire(folder, data=data, purpose="python").release()


def test_another_process_is_named_with_its_server(data: Path, folder: Path) -> None:
    with other_process(HOLD, folder, data) as process:
        with pytest.raises(StoreInUse, match="visavis serve") as caught:
            Owner.acquire(folder, data=data, purpose="python")
        assert caught.value.metadata["pid"] == str(process.pid)
        assert caught.value.metadata["address"] == "127.0.0.1:50051"
        assert "127.0.0.1:50051" in caught.value.message
        assert "commands and clients reach it through that server" in caught.value.message
        assert "\n" not in caught.value.message
        assert "secret" not in caught.value.message + str(caught.value.metadata)


def test_what_a_killed_owner_leaves_is_replaced(data: Path, folder: Path) -> None:
    with other_process(HOLD, folder, data) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "owner").exists()
        assert read_owner(folder) is None
        with Owner.acquire(folder, data=data, purpose="python") as owner:
            assert read_owner(folder) == owner.info


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 7}', b"\xff\x00", b'{"pid": "x"}'])
def test_a_damaged_owner_file_hides_the_name_but_not_the_lock(data: Path, folder: Path, content: bytes) -> None:
    with Owner.acquire(folder, data=data, purpose="python"):
        (folder / "owner").write_bytes(content)
        assert read_owner(folder) == OwnerInfo(0, "", "", "", "")
        with pytest.raises(StoreInUse, match="a process that did not say who it is"):
            Owner.acquire(folder, data=data, purpose="python")


def test_release_is_idempotent_and_ends_the_hold(data: Path, folder: Path) -> None:
    first = Owner.acquire(folder, data=data, purpose="python")
    first.release()
    second = Owner.acquire(folder, data=data, purpose="python")
    first.release()
    assert read_owner(folder) == second.info
    with pytest.raises(ValueError, match="released"):
        first.announce("127.0.0.1:7", "")
    assert read_owner(folder) == second.info
    second.release()


def test_a_forked_child_holds_nothing_and_disturbs_nothing(data: Path, folder: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from visavis.store.owner import Owner, read_owner
folder, data = Path(sys.argv[1]), Path(sys.argv[2])
owner = Owner.acquire(folder, data=data, purpose="python")
read, write = os.pipe()
child = os.fork()
if child == 0:
    owner.release()
    os.write(write, b"x")
    os.read(0, 1)  # outlives its parent's hold
    os._exit(0)
os.read(read, 1)
assert read_owner(folder) == owner.info
owner.release()
Owner.acquire(folder, data=data, purpose="python").release()
print("ready", flush=True)
sys.stdin.read()
os.waitpid(child, 0)
"""
    with other_process(code, folder, data) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def test_probes_do_not_keep_an_owner_out(data: Path, folder: Path) -> None:
    Owner.acquire(folder, data=data, purpose="python").release()
    done = threading.Event()

    def probe() -> None:
        while not done.is_set():
            read_owner(folder)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        for _ in range(50):
            Owner.acquire(folder, data=data, purpose="python").release()
    finally:
        done.set()
        prober.join()


def test_a_crash_between_write_and_rename_is_no_obstacle(data: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "owner.new").write_text("half")
    with Owner.acquire(folder, data=data, purpose="python") as owner:
        assert json.loads((folder / "owner").read_text())["pid"] == owner.info.pid


def test_a_folder_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o555)
        try:
            with no_privileges(), pytest.raises(StoreUnwritable, match="Permission denied"):
                Owner.acquire(parent / "shop.duckdb.d", data=parent / "shop.duckdb", purpose="python")
        finally:
            parent.chmod(0o755)


def test_a_strangers_folder_is_not_taken_for_free() -> None:
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o755)
        folder = parent / "shop.duckdb.d"
        with Owner.acquire(folder, data=parent / "shop.duckdb", purpose="python"):
            folder.chmod(0o000)
            try:
                with no_privileges(), pytest.raises(StoreUnwritable, match="Permission denied"):
                    read_owner(folder)
            finally:
                folder.chmod(0o700)


@pytest.mark.parametrize("purpose", ["acquire", "read"])
def test_a_file_in_the_folders_place(data: Path, folder: Path, purpose: str) -> None:
    folder.write_text("not a folder")
    if purpose == "read":
        assert read_owner(folder) is None
    else:
        with pytest.raises(StoreUnwritable, match=r"shop\.duckdb\.d cannot be used"):
            Owner.acquire(folder, data=data, purpose="python")


def test_a_missing_parent_folder_is_named(tmp_path: Path) -> None:
    data = tmp_path / "missing" / "shop.duckdb"
    with pytest.raises(StoreUnwritable, match=r"make the folder .*missing first"):
        Owner.acquire(data.with_name("shop.duckdb.d"), data=data, purpose="python")
