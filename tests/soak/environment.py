"""What surrounds a store goes wrong: disk, folder, clock, owner. Refused with a clear line, or survived.

Some trials mount a small disk or give up rights, which needs root: elsewhere they say that they were left out.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.soak.found import Found
from tests.soak.guest import NOBODY
from tests.soak.ledger import Ledger
from tests.soak.looking import look
from tests.soak.works import batch

import visavis
from visavis.admin import Admin
from visavis.errors import StoreBehind, StoreError, StoreInUse
from visavis.store.owner import side_folder
from visavis.store.room import ROOM_BYTES

_REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_S = 120.0
_ADOPTED = ("no readable high-water file",)


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """One line a trial. The seed changes nothing: each trial is what it is."""
    for place, trial in enumerate(_TRIALS if full else _SHORT):
        own = folder / f"{place}"
        own.mkdir()
        name = trial.__name__.removeprefix("_").replace("_", " ")
        for found in trial(own, full):
            yield Found(found.good, f"{name}, {found.text}")


def _full_disk(folder: Path, full: bool) -> Iterator[Found]:
    acts = ["record", "import", "checkpoint", "fit", "snapshot", "close"] + [
        act for act in ("backup", "compact") if hasattr(Admin, act)
    ]
    for act in acts if full else ["record"]:
        # Emptied, it has the room that imports and copies leave to the store.
        with _small_disk(folder / act, f"size={2 * ROOM_BYTES}") as mounted:
            if not mounted:
                yield Found(True, "left out: no small disk can be mounted here")
                return
            ledger = Ledger()
            path = folder / act / "shop.duckdb"
            told = _guest(["full", act, str(path)], ledger)
            problems = _unclear(told) + look(path, ledger, 0).problems
            if not told and act != "close":
                problems.append("nothing was refused")
            first = told[0] if told else "nothing refused"
            yield _found(act, problems, f"{ledger.interactions:,} interactions acknowledged are there; {first}")


def _no_inodes(folder: Path, full: bool) -> Iterator[Found]:
    with _small_disk(folder / "disk", "size=40m,nr_inodes=3") as mounted:
        if not mounted:
            yield Found(True, "left out: no small disk can be mounted here")
            return
        sales = _sales(folder)
        done = _cli("import", str(sales), "--data", str(folder / "disk" / "shop.duckdb"))
        yield _found("a disk that takes no more files", _not_one_line(done, "space"), done.stderr.strip())


def _read_only(folder: Path, full: bool) -> Iterator[Found]:
    if os.geteuid():
        yield Found(True, "left out: only root can give up rights")
        return
    # Elsewhere, because nobody may not enter where tests keep their files.
    with tempfile.TemporaryDirectory(prefix="visavis-nobody-") as open_to_all:
        Path(open_to_all).chmod(0o755)
        path = _store(Path(open_to_all) / "shop")
        sales = _sales(Path(open_to_all))
        sales.chmod(0o644)
        side = side_folder(path)
        for what, chosen in {"file": path, "folder": path.parent, "side folder": side}.items():
            for file in (path, side, path.parent, *side.iterdir()):
                os.chown(file, NOBODY, NOBODY)
            os.chown(chosen, 0, 0)
            chosen.chmod(0o755 if chosen.is_dir() else 0o644)
            for command in (["status"], ["import", str(sales)], ["fit"]) if full else (["fit"],):
                before = path.read_bytes()
                done = _python("-m", "tests.soak.guest", "nobody", *command, "--data", str(path))
                problems = _not_one_line(done, "")
                if path.read_bytes() != before:
                    problems.append("the file was changed")
                yield _found(f"{what}, {command[0]}", problems, done.stderr.strip())
        with visavis.open(path) as shop:
            problems = [] if shop.admin.status().interactions == 20 else ["interactions are missing"]
        yield _found("written by root again", problems, "all is there")


def _clock(folder: Path, full: bool) -> Iterator[Found]:
    told = _python("-m", "tests.soak.clock", str(folder / "shop.duckdb"))
    lines: list[dict[str, Any]] = [json.loads(line) for line in told.stdout.splitlines()]
    if told.returncode or not lines:
        yield Found(False, f"the trial broke off: {told.stderr[-500:]}")
    for line in lines:
        yield Found(line["good"], line["text"])


def _stale_owner(folder: Path, full: bool) -> Iterator[Found]:
    path = _store(folder / "shop")
    owner = {"pid": os.getppid(), "host": "elsewhere", "purpose": "visavis serve", "started_at": "2020", "data": "x"}
    more = {"address": "127.0.0.1:1", "token": "secret"}
    left = {
        "with the number of a living process": json.dumps(owner | more).encode(),
        "of rubbish": b"\xff\x00{",
        "that is empty": b"",
    }
    for what, content in left.items():
        (side_folder(path) / "owner").write_bytes(content)
        done = _cli("status", "--data", str(path))
        yield _found(what, [] if done.returncode == 0 else [done.stderr], "means nothing, the store opens")


def _two_at_once(folder: Path, full: bool) -> Iterator[Found]:
    sales = _sales(folder, rows=20_000)
    for number in range(20 if full else 1):
        path = folder / f"{number}.duckdb"
        both = [_start("import", str(sales), "--data", str(path)) for _ in range(2)]
        done = [_ended(one) for one in both]
        won = [one for one in done if one.returncode == 0]
        lost = [problem for one in done if one.returncode for problem in _not_one_line(one, "in use by process")]
        with visavis.open(path) as shop:
            rows = shop.admin.status().interactions
        problems = lost + ([] if won else ["nobody won"]) + ([] if rows == 20_000 else [f"{rows} rows"])
        yield _found(f"import and import, {number}", problems, f"{len(won)} took it in, {rows:,} rows")
        if full:
            yield _serve_twice(path, number)


def _serve_twice(path: Path, number: int) -> Found:
    both = [_start("serve", "--data", str(path), "--listen", "127.0.0.1:0", "--format", "json") for _ in range(2)]
    until = time.monotonic() + _LONGEST_S
    while all(one.poll() is None for one in both) and time.monotonic() < until:
        time.sleep(0.05)
    serving = [one for one in both if one.poll() is None]
    problems = [] if len(serving) == 1 else [f"{len(serving)} serve"]
    told = ""
    for one in both:
        if one not in serving:
            done = _ended(one)
            told = done.stderr.strip()
            problems += _not_one_line(done, f"in use by process {serving[0].pid}" if serving else "")
    for one in serving:
        # Told to stop before it serves, it would end like any other process.
        assert one.stdout is not None
        one.stdout.readline()
        one.send_signal(signal.SIGTERM)
        if (code := _ended(one).returncode) != 0:
            problems.append(f"the winner ended with {code}")
    return _found(f"serve and serve, {number}", problems, told)


def _stopped_owner(folder: Path, full: bool) -> Iterator[Found]:
    path = _store(folder / "shop")
    server = _start("serve", "--data", str(path), "--listen", "127.0.0.1:0", "--format", "json")
    assert server.stdout is not None
    server.stdout.readline()
    server.send_signal(signal.SIGSTOP)
    try:
        done = _cli("serve", "--data", str(path), "--listen", "127.0.0.1:0")
        yield _found("another server", _not_one_line(done, f"in use by process {server.pid}"), done.stderr.strip())
        if full:
            done = _cli("status", "--data", str(path))
            yield _found("a command through it", _not_one_line(done, ""), done.stderr.strip())
    finally:
        server.send_signal(signal.SIGCONT)
    done = _cli("status", "--data", str(path))
    yield _found("going on", [] if done.returncode == 0 else [done.stderr], "the command is answered")
    server.send_signal(signal.SIGTERM)
    _ended(server)


def _taken_away(folder: Path, full: bool) -> Iterator[Found]:
    """Files that are deleted, moved or replaced while the store is open."""
    for what, take in _TAKEN.items():
        path = folder / what.replace(" ", "-") / "shop.duckdb"
        path.parent.mkdir()
        shop = visavis.open(path, linger_ms=0)
        ledger = Ledger()
        told = ""
        with shop:
            _record(shop, "1-0-0-50", ledger)
            take(path)
            try:
                _record(shop, "1-0-1-50", ledger)
                shop.admin.status()
                shop.fit()
                _record(shop, "1-0-2-50", ledger)
            except StoreError as error:
                told = str(error)
            shop.admin.plugins()
        problems = [] if not told or "put it back" in told else [told]
        if not told and what.startswith("the file"):
            problems.append("writes went on into a file that is gone")
        try:
            problems += look(path, ledger, 0, accept=_ADOPTED).problems if not told else []
            if told:
                _put_back(path)
                problems += look(path, ledger, 0, accept=_ADOPTED).problems
        except StoreBehind as error:
            problems.append(str(error))
        yield _found(what, problems, told or "survived, nothing is missing")


def _move(path: Path) -> None:
    path.rename(path.with_name("away"))


def _replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("other"))
    path.rename(path.with_name("away"))
    path.with_name("other").rename(path)


def _put_back(path: Path) -> None:
    path.with_name("away").replace(path)


_TAKEN: dict[str, Callable[[Path], None]] = {
    "the side folder deleted": lambda path: shutil.rmtree(side_folder(path)),
    "the log deleted": lambda path: path.with_name(path.name + ".wal").unlink(),
    "the high-water file deleted": lambda path: (side_folder(path) / "high-water").unlink(),
    "the lock deleted": lambda path: (side_folder(path) / "lock").unlink(),
    "the file moved": _move,
    "the file replaced": _replace,
}


def _gone(folder: Path, full: bool) -> Iterator[Found]:
    path = _store(folder / "shop")
    path.rename(folder / "kept")
    done = _cli("import", str(_sales(folder)), "--data", str(path))
    problems = _not_one_line(done, "put it back")
    doctor = _cli("doctor", "--data", str(path))
    if doctor.returncode != 1 or "put it back" not in doctor.stdout:
        problems.append(f"the doctor says {doctor.stdout}")
    (folder / "kept").rename(path)
    if _cli("status", "--data", str(path)).returncode:
        problems.append("it does not open when it is back")
    yield _found("the file, before it is opened", problems, done.stderr.strip())


def _links(folder: Path, full: bool) -> Iterator[Found]:
    path = _store(folder / "shop")
    link = folder / "link.duckdb"
    link.symlink_to(path)
    problems = []
    with visavis.open(path):
        try:
            visavis.open(link).close()
            problems.append("one store was opened twice")
        except StoreInUse as error:
            told = str(error)
    with visavis.open(link) as shop:
        if shop.admin.status().interactions != 20:
            problems.append("another store was opened")
    yield _found("a link to a store in use", problems, told)
    loop = folder / "loop.duckdb"
    loop.symlink_to(loop)
    done = _cli("fit", "--data", str(loop))
    yield _found("a link to itself", _not_one_line(done, ""), done.stderr.strip())


def _few_files(folder: Path, full: bool) -> Iterator[Found]:
    acts = ["import", "snapshot", "fit"] + [act for act in ("backup", "compact") if hasattr(Admin, act)]
    for act in acts if full else ["snapshot"]:
        ledger = Ledger()
        path = folder / act / "shop.duckdb"
        path.parent.mkdir()
        problems = []
        refused = 0
        for spare in (1, 2, 3, 4, 6, 8) if full else (2,):
            told = _guest(["files", str(spare), act, str(path)], ledger)
            refused += len(told)
            problems += _unclear(told)
        problems += look(path, ledger, 0).problems
        yield _found(act, problems, f"{refused} refused because of the limit; nothing is missing")


def _record(shop: visavis.Engine, name: str, ledger: Ledger) -> None:
    shop.identify.record(batch(name))
    ledger.batches.add(name)


def _store(folder: Path) -> Path:
    folder.mkdir()
    with visavis.open(folder / "shop.duckdb") as shop:
        shop.identify.record(batch("1-0-0-20"))
    return folder / "shop.duckdb"


def _sales(folder: Path, rows: int = 100) -> Path:
    lines = [f"customer {row % 50},item {row % 30},2026-02-{row % 28 + 1:02} 10:00:00" for row in range(rows)]
    (folder / "sales.csv").write_text("customer,item,time\n" + "\n".join(lines) + "\n")
    return folder / "sales.csv"


@contextmanager
def _small_disk(at: Path, options: str) -> Iterator[bool]:
    at.mkdir()
    mounted = not subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", at], check=True)


def _guest(arguments: list[str], ledger: Ledger) -> list[str]:
    """What a child was told; what it acknowledged goes to the ledger, what broke it to the ledger's errors."""
    done = _python("-m", "tests.soak.guest", *arguments)
    told = []
    for text in done.stdout.splitlines():
        line = json.loads(text)
        if "told" in line:
            told.append(line["told"])
        elif "broke" in line:
            told.append(f"BROKE: {line['broke']}")
        else:
            ledger.note(line)
    if done.returncode:
        told.append(f"BROKE: ended with {done.returncode}: {done.stderr[-300:]}")
    return told


def _unclear(told: list[str]) -> list[str]:
    """Of what a child was told, what names no way out."""
    clear = ("start again", "free some", "ulimit -n", "Too many open files")
    return [one for one in told if one.startswith("BROKE") or "; " not in one or not any(word in one for word in clear)]


def _cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _python("-m", "visavis", *arguments)


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "visavis", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=_REPOSITORY,
        text=True,
    )


def _ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        output, errors = process.communicate(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=_REPOSITORY, timeout=_LONGEST_S, check=False
    )


def _not_one_line(done: subprocess.CompletedProcess[str], words: str) -> list[str]:
    """Problems with how a command was refused: exit code 1, one line that says what to do."""
    lines = done.stderr.strip().splitlines()
    if done.returncode == 1 and len(lines) == 1 and words in lines[0] and "; " in lines[0]:
        return []
    return [f"ended with {done.returncode}: {done.stderr.strip()[-600:]}"]


def _found(what: str, problems: list[str], told: str) -> Found:
    return Found(not problems, f"{what}: {'; '.join(problems) if problems else told}")


_TRIALS: tuple[Callable[[Path, bool], Iterator[Found]], ...] = (
    _full_disk,
    _no_inodes,
    _read_only,
    _clock,
    _stale_owner,
    _two_at_once,
    _stopped_owner,
    _taken_away,
    _gone,
    _links,
    _few_files,
)
_SHORT = (_full_disk, _read_only, _clock, _two_at_once, _taken_away, _gone, _links, _few_files)


__all__ = ["run"]
