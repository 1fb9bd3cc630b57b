"""`visavis serve --http` as a process of its own: started, asked, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rpc.http.talk import RECORD, ask, post

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("form", ["table", "json"])
def test_it_says_where_it_is_and_stops(tmp_path: Path, form: str) -> None:
    path = os.pathsep.join(str(part) for part in (ROOT / "framework", ROOT / "plugins"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("VISAVIS_")}
    words = ["serve", "--create", "--data", "shop.duckdb", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-m", "visavis", *words, "--format", form],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**env, "PYTHONPATH": path},
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            if form == "json":
                address = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["http_address"]
            else:
                address = server.stdout.readline().split(" and ")[1].split(";")[0]
            assert ask(address, "GET", "/readyz").status == 200
            body = b'{"interactions": [{"kind": "view", "customer": {"customerId": "canary"}, "itemId": "tea"}]}'
            assert post(address, RECORD, body).json == {"recordedCount": 1}
        finally:
            server.terminate()
            _, told = server.communicate(timeout=60)
    assert server.returncode == 0
    assert f'"rpc": "{RECORD}", "code": "OK"' in told
    assert all(json.loads(one) for one in told.splitlines())
    assert "canary" not in told
