"""A small fitted store, the command line in this process and in one of its own, and a server that owns a store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from visavis.cli.main import main
from visavis.testing.shop import SimulatedShop, simulate_shop


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


class Served(NamedTuple):
    """A running `visavis serve`."""

    data: Path
    address: str
    process: subprocess.Popen[str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests; a working folder of one's own."""
    for name in [name for name in os.environ if name.startswith("VISAVIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def run_process() -> Command:
    """Run a command in a process of its own, through the real entry point."""

    def call(*arguments: object, env: dict[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "visavis", *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def shop() -> SimulatedShop:
    return simulate_shop(customers=60, items=40, days=120, seed=3)


@pytest.fixture(scope="session")
def sales(shop: SimulatedShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's sales file."""
    return shop.write_csv(tmp_path_factory.mktemp("sales") / "sales.csv")


@pytest.fixture(scope="session")
def fitted(sales: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted store that tests read and leave as it is, but for records of answers."""
    data = tmp_path_factory.mktemp("fitted") / "shop.duckdb"
    assert main(["import", str(sales), "--data", str(data)]) == 0
    assert main(["fit", "--data", str(data)]) == 0
    return data


@pytest.fixture
def data(fitted: Path, tmp_path: Path) -> Path:
    """A fitted store of the test's own."""
    return _copy(fitted, tmp_path)


@pytest.fixture(scope="session")
def served(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fitted store that a server owns."""
    data = _copy(fitted, tmp_path_factory.mktemp("served"))
    process = start_server(data)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield Served(data, line.split(" at ")[1].split(";")[0], process)
    stop_server(process, signal.SIGTERM)


def _copy(data: Path, folder: Path) -> Path:
    shutil.copytree(f"{data}.d", folder / f"{data.name}.d")
    return Path(shutil.copy(data, folder))


def start_server(data: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `visavis serve` on a free port."""
    return subprocess.Popen(
        [sys.executable, "-m", "visavis", "serve", "--data", str(data), "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data.parent,
    )


def stop_server(process: subprocess.Popen[str], number: int) -> Ended:
    """Send a signal to the server and wait for its end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return Ended(process.returncode, out, err)
