"""`visavis fit` and `visavis serve` as people start them, for the sections that call a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.child import REPOSITORY

_STOP_S = 60.0


def fit(store: Path) -> None:
    """In a process of its own: this one stays small, and lets go of the store."""
    _command("fit", "--data", str(store))


def _command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "visavis", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"visavis {arguments[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


@contextmanager
def visavis_at(store: Path, **environment: str) -> Iterator[str]:
    """`visavis serve` as people start it, on a free port; where it listens."""
    arguments = ["serve", "--data", str(store), "--format", "json", "--listen", "127.0.0.1:0", "--log-level", "warning"]
    arguments += ["--max-message-mb", "512"]  # 1,000 answers with all their reasons may be more than the usual 16
    log = store.with_name("serve.log")
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "visavis", *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.endswith("}\n"):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"visavis serve did not start: {log.read_text()[-2000:]}")
                said += line
            yield json.loads(said)["address"]
            process.send_signal(signal.SIGTERM)
            if process.wait(_STOP_S):
                raise RuntimeError(f"visavis serve ended with {process.returncode}: {log.read_text()[-2000:]}")
        finally:
            process.kill()


__all__ = ["fit", "visavis_at"]
