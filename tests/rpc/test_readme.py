"""The examples of `protos/README.md` run as they stand, against a real server."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rpc.standin import Standin

from visavis.rpc.server import SERVICES
from visavis.testing.server import serve

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "protos" / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("number", "prints"), [(0, "1 i0 Item 0 ☕"), (1, "1 2 recorded, 0 known already")])
def test_python_examples_run(shop: Standin, capsys: pytest.CaptureFixture[str], number: int, prints: str) -> None:
    assert len(PYTHON) == 2
    with serve(shop) as server:
        exec(compile(PYTHON[number].replace("127.0.0.1:50051", server.address), "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith(prints)


def test_every_service_has_its_line() -> None:
    assert all(f"| `{name}` |" in TEXT for name, _, _ in SERVICES)


def test_a_client_can_be_generated_from_nothing(tmp_path: Path) -> None:
    (command,) = re.findall(r"^python -m grpc_tools\.protoc .*?\n```", TEXT, re.DOTALL | re.MULTILINE)
    command = command.removesuffix("```").replace("python ", f"{shlex.quote(sys.executable)} ")
    command = command.replace("_out=.", f"_out={tmp_path}")
    subprocess.run(command, shell=True, check=True, cwd=ROOT, stderr=subprocess.PIPE)
    assert (tmp_path / "visavis" / "api" / "v1" / "admin_service_pb2_grpc.py").is_file()
