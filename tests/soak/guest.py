"""A child that meets a hostile environment with a store open, and says what it acknowledged and what it was told.

Lines are JSON, as those of `works`; `told` is an error of ours, `broke` one that nobody foresaw.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.soak.works import LONG, batch, say

import visavis
from visavis.cli.main import main as command
from visavis.errors import VisavisError

NOBODY = 65_534
_SPARE = 16 << 10  # bytes that are left on a full disk
_MOST = 400  # batches that a full disk may take before it says so


def _record(shop: visavis.Engine, name: str, folder: Path) -> None:
    shop.identify.record(batch(name))
    say(batch=name)


def _records(shop: visavis.Engine, name: str, folder: Path) -> None:
    for number in range(_MOST):
        _record(shop, f"{name}-{number}-0-300", folder)
    raise RuntimeError("the full disk took everything")


def _close(shop: visavis.Engine, name: str, folder: Path) -> None:
    shop.close()


def _checkpoint(shop: visavis.Engine, name: str, folder: Path) -> None:
    with shop.store.cursor() as cursor:
        cursor.execute("CHECKPOINT")


ACTS: dict[str, Callable[[Any, str, Path], None]] = {
    **LONG,
    "record": _records,
    "checkpoint": _checkpoint,
    "close": _close,
}


def _tried(work: Callable[[], object]) -> bool:
    try:
        work()
    except VisavisError as error:
        say(told=f"{type(error).__name__}: {error}")
        return False
    except Exception as error:  # noqa: BLE001 - the one thing that must not happen is what is looked for
        say(broke=repr(error))
        return False
    return True


def _fill(folder: Path, spare: int) -> None:
    """Take all but `spare` bytes of the disk."""
    with (folder / "ballast").open("wb", buffering=0) as stream:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    stream.write(bytes(size))
        stream.truncate(max(0, stream.tell() - spare))


def full_disk(act: str, path: Path) -> None:
    """Fill the disk, act until refused, make room, act again, close."""
    folder = path.parent
    # What is imported lies elsewhere.
    target = Path(tempfile.mkdtemp(dir=folder.parent)) if act == "import" else folder
    shop = visavis.open(path, linger_ms=0)
    for number in range(20):
        _record(shop, f"1-0-{number}-200", folder)
    shop.fit()
    _fill(folder, _SPARE)
    _tried(lambda: ACTS[act](shop, "2-1", target))
    (folder / "ballast").unlink()
    say(end="full")
    if act == "close":
        shop = visavis.open(path, linger_ms=0)
    if _tried(lambda: _record(shop, "3-0-0-5", folder)) and act != "record":
        _tried(lambda: ACTS[act](shop, "4-1", target))
    _tried(shop.close)


@contextmanager
def _only(spare: int) -> Iterator[None]:
    """Leave only so many files to be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[1]), limits[1]))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    for descriptor in taken[-spare:]:
        os.close(descriptor)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken[:-spare]:
            os.close(descriptor)


def few_files(spare: int, act: str, path: Path) -> None:
    """Open a store, then act on one, with only so many files left to be opened; then again with enough of them."""
    with _only(spare):
        _tried(lambda: visavis.open(path, linger_ms=0).close())
    with visavis.open(path, linger_ms=0) as shop:
        _record(shop, f"5-{spare}-0-5", path.parent)
        with _only(spare):
            _tried(lambda: ACTS[act](shop, f"6-{spare}", path.parent))
        _tried(lambda: _record(shop, f"7-{spare}-0-5", path.parent))
        _tried(lambda: ACTS[act](shop, f"8-{spare}", path.parent))


def as_nobody(arguments: list[str]) -> int:
    """Run a command with nobody's rights."""
    with tempfile.TemporaryDirectory() as folder, visavis.open(Path(folder) / "shop.duckdb") as shop:
        shop.warm_up()  # loads what nobody may not read, where Python is somebody's own
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    return command(arguments)


def main(arguments: list[str]) -> int:
    """`full ACT PATH`, `files SPARE ACT PATH`, `nobody ARGUMENTS…`."""
    logging.getLogger("visavis").setLevel(logging.CRITICAL + 1)
    mode, *rest = arguments
    if mode == "full":
        full_disk(rest[0], Path(rest[1]))
    elif mode == "files":
        few_files(int(rest[0]), rest[1], Path(rest[2]))
    elif mode == "nobody":
        return as_nobody(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))


__all__ = ["ACTS", "NOBODY"]
