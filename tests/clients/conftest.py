"""What the conversation comes out as in Python, and servers to hold it with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.clients.live import CONVERSATION, live_shop, without_settings


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[[], dict[str, str]]]:
    """Starts the server, fresh; the environment of a client of it."""
    with ExitStack() as stack:
        yield lambda: {**without_settings(), **stack.enter_context(live_shop(tmp_path))}


@pytest.fixture(scope="session")
def python_transcript(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The conversation as Python holds it, with a server of its own."""
    with live_shop(tmp_path_factory.mktemp("python")) as env:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("conversation.py")), str(CONVERSATION)],
            env={**without_settings(), **env},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    transcript: dict[str, Any] = json.loads(done.stdout)
    return transcript
