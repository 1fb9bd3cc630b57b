"""`python -m tests.clients`: a live server to try a client on by hand; it ends with Ctrl-C."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

from tests.clients.live import live_shop


def main() -> None:
    """Serve; print what a client's shell must be told."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory() as folder, live_shop(Path(folder)) as env:
        for name, value in env.items():
            print(f"export {name}={value}", flush=True)
        stop.wait()


__all__ = ["main"]

if __name__ == "__main__":
    main()
