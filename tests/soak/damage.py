"""Damage the files of a store, open it, and look whether what is missing is missed.

Not tried is a whole block in the place of another: DuckDB's checksums do not say which block they belong to.

Good is: the store is refused with a line that says what to do, and the doctor sees it too; or it opens and holds every
row; or what was hit is found when it is read, and the doctor, who reads all, finds it before. Bad is a row that is gone
or other without a word, a process that dies, hangs, or shows an error that is none of ours.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
from tests.soak.found import Found
from tests.soak.opening import digests

_REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_S = 120.0
_HEADER = 4096
_BLOCK = 262_144
_FILES = ("shop.duckdb", "shop.duckdb.wal", "shop.duckdb.d/high-water", "shop.duckdb.d/owner", "shop.duckdb.d/lock")


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """One line a kind of damage and file; thousands of damages in full, some dozens in short."""
    chance = random.Random(seed)
    with _Opener() as opener:
        for state in ("crashed", "closed") if full else ("crashed",):
            whole = folder / state
            whole.mkdir()
            _make(whole / "shop.duckdb", state)
            expected = _expected(whole, folder)
            files = [name for name in _side_files(whole) if (whole / name).exists()]
            if not full:
                files = [name for name in files if not name.endswith(("lock", "owner"))]
            for name in files:
                for kind, damages in _damages(whole / name, chance, full=full):
                    told: Counter[str] = Counter()
                    bad = []
                    for where, damage in damages:
                        verdict, good = _one(whole, folder / "damaged", name, damage, expected, opener)
                        told[verdict.partition(":")[0]] += 1
                        if not good:
                            bad.append(f"{where}: {verdict}")
                    if told:
                        counts = ", ".join(f"{count} {what}" for what, count in told.most_common())
                        worst = f"; {len(bad)} bad, first {bad[0]}" if bad else ""
                        text = f"{state} store, {kind} in {name}: {told.total():,} tried: {counts}{worst}"
                        yield Found(not bad, text)


def _make(path: Path, state: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.soak.opening", "make", str(path), state], cwd=_REPOSITORY, check=True, timeout=300
    )


def _side_files(whole: Path) -> list[str]:
    """Ours by name, and whatever else stands in the side folder."""
    there = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    return [*_FILES, *sorted(there - set(_FILES))]


def _expected(whole: Path, folder: Path) -> dict[str, list[int]]:
    copy = folder / "expected"
    shutil.copytree(whole, copy)
    with duckdb.connect(str(copy / "shop.duckdb")) as connection:
        found = digests(connection)
    shutil.rmtree(copy)
    return found


_Damage = Callable[[Path], None]
_Damages = Iterator[tuple[str, _Damage]]


def _damages(path: Path, chance: random.Random, *, full: bool) -> Iterator[tuple[str, _Damages]]:
    size = path.stat().st_size
    large = path.name in {"shop.duckdb", "shop.duckdb.wal", "base"}
    many = (600 if large else 60) if full else 2
    yield "a wrong bit", ((f"byte {at} bit {bit}", _flip(at, bit)) for at, bit in _bits(path, size, many, chance, full))
    yield "a lost end", ((f"at {at}", _cut(at)) for at in _cuts(size, many // 4, chance))
    if not full:
        return
    yield "a page of zeroes", ((f"at {at}", _write(at, bytes(4096))) for at in _pages(size, many // 4, chance))
    places = [(chance.randrange(max(size, 1)), chance.choice((2, 16, 512))) for _ in range(many // 4)]
    yield "foreign bytes", ((f"{n} at {at}", _write(at, chance.randbytes(n))) for at, n in places)
    yield "bytes too many", ((f"{n} at the end", _append(chance.randbytes(n))) for n in (1, 100, 5000))
    yield "nothing left", iter([("emptied", _cut(0)), ("removed", Path.unlink)])


def _bits(path: Path, size: int, many: int, chance: random.Random, full: bool) -> Iterator[tuple[int, int]]:
    if not size:
        return
    interesting = [*range(min(64, size)), *range(max(0, size - 32), size)]
    if path.name == "shop.duckdb":
        # Three headers, then blocks that begin with their checksum.
        interesting = [header * _HEADER + place for header in range(3) for place in range(72)]
        interesting += [
            3 * _HEADER + block * _BLOCK + place
            for block in range((size - 3 * _HEADER) // _BLOCK)
            for place in (*range(24), _BLOCK - 1)
        ]
    if not full:
        interesting = chance.sample(interesting, min(many, len(interesting)))
    for at in interesting:
        if at < size:
            yield at, chance.randrange(8)
    for _ in range(many):
        yield chance.randrange(size), chance.randrange(8)


def _cuts(size: int, many: int, chance: random.Random) -> Iterator[int]:
    if size:
        yield from (size - 1, size // 2)
        yield from (chance.randrange(1, size + 1) - 1 for _ in range(many))


def _pages(size: int, many: int, chance: random.Random) -> Iterator[int]:
    yield from (4096 * chance.randrange(size // 4096 + 1) for _ in range(many if size else 0))


def _flip(at: int, bit: int) -> _Damage:
    def damage(path: Path) -> None:
        with path.open("rb+") as stream:
            stream.seek(at)
            (byte,) = stream.read(1)
            stream.seek(at)
            stream.write(bytes([byte ^ 1 << bit]))

    return damage


def _write(at: int, content: bytes) -> _Damage:
    def damage(path: Path) -> None:
        with path.open("rb+") as stream:
            stream.seek(at)
            stream.write(content[: max(0, path.stat().st_size - at)])

    return damage


def _append(content: bytes) -> _Damage:
    def damage(path: Path) -> None:
        with path.open("ab") as stream:
            stream.write(content)

    return damage


def _cut(at: int) -> _Damage:
    return lambda path: os.truncate(path, at)


def _one(
    whole: Path, copy: Path, name: str, damage: _Damage, expected: dict[str, list[int]], opener: _Opener
) -> tuple[str, bool]:
    """What became of one damaged copy: what it is called, a colon and more, and whether that is good."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    damage(copy / name)
    return judge(opener.open(copy / "shop.duckdb"), expected)


def judge(result: dict[str, Any], expected: dict[str, list[int]]) -> tuple[str, bool]:
    """What an opening came to, in words, and whether that keeps the promise."""
    if "died" in result:
        return f"DIED: {result['died']}", False
    if "broke" in result:
        return f"BROKE: {result['broke']}", False
    doctor = result["doctor"]
    if "refused" in result:
        if "; " not in result["refused"] or "\n" in result["refused"]:
            return f"REFUSED WITHOUT A WAY OUT: {result['refused']}", False
        if not doctor:
            return f"REFUSED, THE DOCTOR IS CONTENT: {result['refused']}", False
        return f"refused: {result['refused']}", True
    if "unreadable" in result:
        told = "found when read" if doctor else "UNREADABLE, THE DOCTOR IS CONTENT"
        return f"{told}: {result['unreadable']}", bool(doctor)
    other = [table for table, digest in expected.items() if result["digests"].get(table) != digest]
    if not other and result["again"]:
        return f"TWICE: {result['again']} interactions that were sent again", False
    if not other:
        return (f"FALSE ALARM: {doctor[0]}", False) if doctor else ("harmless", True)
    if doctor:
        return f"found by the doctor alone: {doctor[0]}", True
    return f"SILENT: tables {', '.join(other)} are not what they were", False


class _Opener:
    """The child that opens stores; another one when it dies."""

    def __init__(self) -> None:
        self._child = self._start()

    def __enter__(self) -> _Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def open(self, path: Path) -> dict[str, Any]:
        """What came of it; `died` with the signal if that was the child's end."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{path}\n".encode())
        self._child.stdin.flush()
        at = "while the doctor looked"
        while True:
            line = self._line()
            if line == b"looked\n":
                at = "while the store was opened"
            elif line.startswith(b"{"):
                result: dict[str, Any] = json.loads(line)
                return result
            else:
                code = self._end()
                self._child = self._start()
                return {"died": f"{at}, {'hanging' if code is None else f'with {code}'}"}

    def _line(self) -> bytes:
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], _LONGEST_S)
        return self._child.stdout.readline() if ready else b""

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.opening", "open"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_REPOSITORY,
            bufsize=0,
        )

    def _end(self) -> int | None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            code: int | None = self._child.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
        return code


__all__ = ["judge", "run"]
