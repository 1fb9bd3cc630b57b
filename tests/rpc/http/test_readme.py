"""The `curl` lines of the README's section on HTTP run as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin

from visavis.testing.server import serve

ROOT = Path(__file__).resolve().parents[3]
PLACE = "127.0.0.1:8080"
SECTION = re.search(r"^## HTTP and JSON\n(.*?)(?=^## )", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


def commands() -> list[str]:
    """The commands of the section's `sh` blocks, each with its continued lines."""
    assert SECTION is not None
    blocks = re.findall(r"^```sh\n(.*?)^```", SECTION[1], re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_server_s_line_is_as_the_command_has_it() -> None:
    first = commands()[0]
    assert first.startswith("visavis serve ")
    assert f"--http {PLACE}" in first


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lines_run(shop: Standin, tmp_path: Path) -> None:
    lines = [line for line in commands() if line.startswith("curl ")]
    assert len(lines) >= 4
    keys = tmp_path / "keys.json"
    add_key(keys, "web", "secret")
    printed = []
    for line in lines:
        settings = {"keys_file": str(keys)} if "Bearer" in line else {}
        with serve(shop, http_listen="127.0.0.1:0", **settings) as server:
            assert PLACE in line
            command = line.replace(PLACE, server.http_address.removeprefix("http://"))
            command = command.replace("web.…", "web.secret").replace("curl ", "curl --fail-with-body --silent ", 1)
            done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed.append(done.stdout)
    assert any('"items":[{"itemId":' in one for one in printed)
    assert any('"recordedCount":1' in one for one in printed)
    assert any('"openapi": "3.1.0"' in one for one in printed)
