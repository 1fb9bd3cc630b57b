"""The file of keys: who may have it, two writers at once, and a watch that never opens the door by mistake."""

from __future__ import annotations

import logging
import os
import resource
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.rpc.keyring import add_key

from visavis.errors import InvalidInput, NotFound, StoreUnwritable, Unavailable
from visavis.rpc import key_file as module
from visavis.rpc.key_file import KeyWatch, change_keys, keys_path, now, read_keys
from visavis.rpc.keys import create, revoke


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb.d" / "keys.json"
    add_key(path, "web", "secret")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_keys(path)
    assert caught.value.violations[0].field == "keys_file"
    return caught.value.message


def test_the_place_follows_the_settings(tmp_path: Path) -> None:
    from visavis.config import load_settings

    data = str(tmp_path / "shop.duckdb")
    assert keys_path(load_settings({"data": data}, environ={})) == tmp_path / "shop.duckdb.d" / "keys.json"
    assert keys_path(load_settings({"data": data, "keys_file": "mine.json"}, environ={})) == Path("mine.json")


def test_a_new_file_is_for_its_owner_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(one.name for one in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]
    assert "secret" not in path.read_text().replace('"secrets"', "")
    assert list(read_keys(path) or ()) == ["web"]
    assert read_keys(path.with_name("none")) is None


def test_a_file_is_not_made_by_mistake(tmp_path: Path) -> None:
    missing = tmp_path / "typo.duckdb.d" / "keys.json"
    with pytest.raises(NotFound, match=r"there are no keys: .* does not exist; is --data right"):
        change_keys(missing, lambda keys: revoke(keys, "web", now()))
    assert not missing.parent.exists()
    with pytest.raises(StoreUnwritable, match=f"make the folder {tmp_path / 'a'} first"):
        add_key(tmp_path / "a" / "b" / "keys.json", "web", "secret")


def test_a_change_that_fails_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(NotFound):
        change_keys(path, lambda keys: revoke(keys, "nobody", now()))
    assert path.read_bytes() == before


def test_a_crash_before_the_rename_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    path.with_name("keys.json.new").write_text("left by an earlier crash")

    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", crash)
        with pytest.raises(StoreUnwritable, match=r"No space left on device.*free some space"):
            add_key(path, "till", "secret")
    assert path.read_bytes() == before
    assert not path.with_name("keys.json.new").exists()
    add_key(path, "till", "secret")
    assert list(read_keys(path) or ()) == ["web", "till"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    add_key(link, "till", "secret")
    assert link.is_symlink()
    assert list(read_keys(path) or ()) == list(read_keys(link) or ()) == ["web", "till"]


def test_two_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add_key(path, f"k{number}", "secret"), range(40)))
    assert read_keys(path).keys() == {"web", *(f"k{number}" for number in range(40))}  # type: ignore[union-attr]


def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.rpc.keyring import add_key\n"
        "for number in range(10): add_key(Path(sys.argv[1]), f'{sys.argv[2]}-{number}', 'secret')"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=Path(__file__).resolve().parents[2])
        for name in ("a", "b")
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    assert len(read_keys(path) or ()) == 21


def test_a_lock_that_is_never_let_go_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_WAIT_S", 0.05)
    with (
        module._locked(path.with_name("keys.json.lock")),
        pytest.raises(StoreUnwritable, match=r"another command has held .*keys\.json\.lock"),
    ):
        add_key(path, "till", "secret")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o606, 0o610, 0o644, 0o777])
def test_a_file_that_others_may_touch_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert refusal(path).endswith(f"which others may read or write (mode {mode:04o}); chmod 600 {path}")
    with pytest.raises(InvalidInput, match="chmod 600"):
        add_key(path, "till", "secret")  # nor is it mended behind the owner's back
    path.chmod(0o400)
    assert read_keys(path)


def owned_by(monkeypatch: pytest.MonkeyPatch, *, owner: int, us: int) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        about = list(real(descriptor))
        about[stat.ST_UID] = owner
        return os.stat_result(about)

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "geteuid", lambda: us)


@pytest.mark.parametrize(
    ("owner", "us", "mode", "said"),
    [
        (0, 1000, 0o440, ""),  # a secret that an orchestrator mounts
        (0, 1000, 0o640, ""),
        (0, 1000, 0o444, "set the mode of the mounted secret to 0440"),
        (0, 1000, 0o460, "set the mode of the mounted secret to 0440"),
        (1001, 1000, 0o400, "which belongs to another user, who could let himself in"),
        (1000, 1000, 0o440, "chmod 600"),
        (1000, 0, 0o600, ""),  # root looks after a server that is not root
        (1000, 0, 0o640, "chmod 600"),
    ],
)
def test_whose_file_it_may_be(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, us: int, mode: int, said: str
) -> None:
    path.chmod(mode)
    owned_by(monkeypatch, owner=owner, us=us)
    if said:
        assert said in refusal(path)
    else:
        assert read_keys(path)


def test_root_gives_what_it_makes_to_the_servers_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    lock = path.with_name("keys.json.lock")
    lock.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    add_key(path, "till", "secret")
    about = path.stat()
    assert given == [(about.st_uid, about.st_gid)] * 2  # the lock and the file
    add_key(path, "desk", "secret")
    assert len(given) == 3  # the lock was there, the file is a new one


def test_a_link_in_the_locks_place_is_not_followed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns the folder would be given any file of the system by root's next command."""
    given: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda *_: given.append(1))
    target, lock = path.parent / "shadow", path.with_name("keys.json.lock")
    target.write_text("of root")
    for plant in (lock.symlink_to, lock.hardlink_to):
        lock.unlink()
        given.clear()
        plant(target)
        if lock.is_symlink():
            with pytest.raises(StoreUnwritable, match="its lock or a folder on the way is a link; remove that"):
                add_key(path, "till", "secret")
            assert not given
        else:
            add_key(path, "till", "secret")
            assert len(given) == 1  # the new file of keys
    lock.unlink()
    lock.symlink_to(path.parent / "nothing")
    with pytest.raises(StoreUnwritable, match="is a link"):
        add_key(path, "till", "secret")
    assert not (path.parent / "nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_makes_nothing_that_the_servers_user_cannot_use(tmp_path: Path) -> None:
    """Root may make keys before the server's user has made the store."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    path = home / "shop.duckdb.d" / "keys.json"
    add_key(path, "web", "secret")
    for made in (path.parent, path, path.with_name("keys.json.lock")):
        assert (made.stat().st_uid, made.stat().st_gid) == (65534, 65534)
    os.chown(path.parent, 0, 0)
    add_key(path, "till", "secret")
    assert path.parent.stat().st_uid == 0  # a folder that was there stays whose it was


def test_names_that_no_file_has(path: Path, tmp_path: Path) -> None:
    for name in ("k" * 300, "k" * 252):
        for make in (True, False):
            with pytest.raises((StoreUnwritable, NotFound)) as caught:
                change_keys(tmp_path / name, lambda keys: revoke(keys, "web", now()), make=make)
            assert "\n" not in caught.value.message
    with pytest.raises(StoreUnwritable, match=r"File name too long.*give a shorter name"):
        change_keys(tmp_path / ("k" * 300), lambda keys: revoke(keys, "web", now()))
    for folder in (path.parent, Path("/")):
        with pytest.raises(InvalidInput, match="which is a folder; name a file"):
            add_key(folder, "till", "secret")
    from visavis.config import load_settings

    with pytest.raises(InvalidInput, match="which is no name of a file"):
        keys_path(load_settings({"keys_file": "a\0b"}, environ={}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "which is not JSON; restore it, or move it away and make keys anew"),
        (b"\xff\xfe", "which is not JSON"),
        (b"[" * 100_000, "which is not JSON"),
        (b"{}", "which is not a file of keys"),
        (b'{"version": 2, "keys": []}', "which is of another version of Visavis"),
        (b'{"version": 1, "keys": [{"id": "s3cret"}]}', "which is damaged: its keys[0] is not a key"),
        (b" " * ((16 << 20) + 1), "which is larger than 16 MiB"),
    ],
)
def test_damage_is_refused(path: Path, data: bytes, said: str) -> None:
    path.write_bytes(data)
    assert said in refusal(path)
    assert "s3cret" not in refusal(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "which cannot be read: Is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "which is no file" in refusal(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert "which is a link to nothing" in refusal(tmp_path / "link")
    assert "Not a directory" in refusal(tmp_path / "pipe" / "keys.json")


class TestWatch:
    def test_it_sees_every_change_at_once(self, path: Path) -> None:
        watch = KeyWatch(path)
        assert list(watch.current() or ()) == ["web"]
        for number in range(20):
            add_key(path, f"k{number}", "secret")
            assert len(watch.current() or ()) == number + 2
        change_keys(path, lambda keys: revoke(keys, "web", now()))
        assert (watch.current() or {})["web"].revoked_at

    def test_an_unchanged_file_is_not_read_again(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        watch = KeyWatch(path)
        first = watch.current()
        monkeypatch.setattr(module, "_read", lambda *_, **__: pytest.fail("read again"))
        assert watch.current() is first

    def test_the_first_key_closes_an_open_server(self, tmp_path: Path) -> None:
        path = tmp_path / "shop.duckdb.d" / "keys.json"
        watch = KeyWatch(path)
        assert watch.current() is None
        assert not watch.asked
        change_keys(
            path, lambda keys: create(keys, now(), scopes=(), key_id=None, expires_at=None, note="")[0], make=True
        )
        assert watch.current()
        assert watch.asked

    def test_a_bad_first_file_closes_it_too_and_for_good(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        watch = KeyWatch(path)
        assert watch.current() is None
        path.touch(0o644)
        for _ in range(2):
            with pytest.raises(Unavailable):
                watch.current()
            path.unlink(missing_ok=True)
        assert watch.asked

    @pytest.mark.parametrize("accident", ["removed", "damaged", "opened", "folder", "link", "empty"])
    def test_it_closes_when_the_file_cannot_be_trusted(
        self, path: Path, accident: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        watch = KeyWatch(path)
        good = path.read_bytes()
        happens: Any = {
            "removed": path.unlink,
            "damaged": lambda: path.write_text('{"version": 1, "keys": [{'),
            "opened": lambda: path.chmod(0o644),
            "folder": lambda: (path.unlink(), path.mkdir()),
            "link": lambda: (path.unlink(), path.symlink_to(path.with_name("nothing"))),
            "empty": lambda: path.write_bytes(b""),
        }
        with caplog.at_level(logging.INFO, "visavis.rpc"):
            happens[accident]()
            for _ in range(3):
                with pytest.raises(Unavailable, match="the server cannot read its keys and takes no calls"):
                    watch.current()
            assert [record.message for record in caplog.records] == ["keys cannot be read; no key is good"]  # once
            assert watch.asked
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)
            path.touch(0o600)
            path.write_bytes(good)
            assert list(watch.current() or ()) == ["web"]
        assert caplog.records[-1].message == "keys read"

    def test_a_machine_that_fails_is_asked_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No descriptor left at the moment when the file changed: no change of the file says that it is over."""
        watch = KeyWatch(path)
        add_key(path, "till", "secret")
        clock = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for _ in range(2):
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
            try:
                with pytest.raises(Unavailable):
                    watch.current()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            clock[0] += 0.9
            with pytest.raises(Unavailable):  # once a second, not with each call
                watch.current()
            clock[0] += 0.2
        assert [record.message for record in caplog.records] == ["keys cannot be read; no key is good"]
        assert "Too many open files" in str(caplog.records[0].__dict__["fields"])
        assert list(watch.current() or ()) == ["web", "till"]
        monkeypatch.setattr(module, "_read", lambda *_, **__: pytest.fail("read again"))
        clock[0] += 10
        assert watch.current()

    @pytest.mark.parametrize(("owner", "us", "good"), [(1000, 0, False), (0, 0, True), (1000, 1000, True)])
    def test_a_server_believes_its_own_user_and_root(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, us: int, good: bool
    ) -> None:
        owned_by(monkeypatch, owner=owner, us=us)
        if good:
            assert KeyWatch(path).current()
        else:
            with pytest.raises(InvalidInput, match="which belongs to another user, who could let himself in"):
                KeyWatch(path)

    def test_a_file_that_cannot_be_trusted_at_the_start_is_refused(self, path: Path) -> None:
        path.chmod(0o666)
        with pytest.raises(InvalidInput, match="chmod 600"):
            KeyWatch(path)

    def test_a_mounted_secret_is_exchanged_by_its_link(self, path: Path, tmp_path: Path) -> None:
        """An orchestrator points a link of the folder at another version, and the file at the old one goes."""
        versions = [tmp_path / "v1", tmp_path / "v2"]
        for number, folder in enumerate(versions):
            folder.mkdir()
            add_key(folder / "keys.json", f"k{number}", "secret")
        (tmp_path / "data").symlink_to(versions[0])
        (tmp_path / "keys.json").symlink_to(tmp_path / "data" / "keys.json")
        watch = KeyWatch(tmp_path / "keys.json")
        assert list(watch.current() or ()) == ["k0"]
        (tmp_path / "data.new").symlink_to(versions[1])
        (tmp_path / "data.new").rename(tmp_path / "data")
        assert list(watch.current() or ()) == ["k1"]
