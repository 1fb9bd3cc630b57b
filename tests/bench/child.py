"""Measured code in a process of its own, which answers one question at a time.

So peers do not share caches, threads or memory with us, their peak memory can be told apart, and rounds can still be
interleaved: everybody is ready, and each is asked in turn.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
_STOP_S = 30.0

Step = Callable[..., dict[str, Any]]


class Child:
    """A process that has called `target` ("module:function") with `arguments`, and calls what came back when asked.

    Raises `RuntimeError` with the last lines of its stderr if it fails.
    """

    def __init__(self, target: str, **arguments: Any) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the child
        self._target = target
        # implicit asks for this, and is slower without; nothing else here uses BLAS.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.child", target, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=REPOSITORY,
            env=environment,
            text=True,
        )
        self._ready = False

    def ask(self, **question: Any) -> dict[str, Any]:
        """What the child's function answers; `peak_mb` is the most memory that it has held so far, MiB."""
        assert self._process.stdin is not None
        self.wait()
        with suppress(BrokenPipeError):  # it has ended; reading tells why
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        return self._read()

    def wait(self) -> None:
        """Until it is ready to be asked; several children get ready beside each other."""
        if not self._ready:
            self._ready = True
            self._read()

    def close(self) -> None:
        """Let it end; one that does not is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = "".join(self._said.readlines()[-20:])
            raise RuntimeError(f"{self._target} ended with {self._process.returncode}:\n{last}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def peak_mb() -> float:
    """The most memory that this process has held so far, MiB."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # only Linux tells it there; and only there does ru_maxrss begin with the parent's memory
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def _main(target: str, arguments: str) -> None:
    # What libraries print must not come between our lines.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, function = target.partition(":")
    step: Step = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        answer = step(**json.loads(line))
        answers.write(json.dumps({**answer, "peak_mb": peak_mb()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])


__all__ = ["REPOSITORY", "Child", "Step", "peak_mb"]
