"""buf finds nothing against the protos, and the API only grew since the baseline; both checks can fail."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
REQUIRED = os.environ.get("VISAVIS_TEST_CLIENTS") == "require"

# Edits that break somebody, each with the file, what stands there, what comes instead, and the rule it offends.
BREAKING = {
    "renamed field": ("types.proto", "int64 minor_units = 1;", "int64 cents = 1;", "from"),
    "renumbered field": ("types.proto", "string currency = 2;", "string currency = 3;", "deleted"),
    "other type": ("types.proto", "int64 minor_units = 1;", "string minor_units = 1;", "type"),
    "no longer a stream": ("admin_service.proto", "returns (stream FitResponse)", "returns (FitResponse)", "streaming"),
    "renamed reason": ("error_reason.proto", "ERROR_REASON_UNSPECIFIED = 0", "ERROR_REASON_NONE = 0", "name"),
    "renamed call": ("catalog_service.proto", "rpc GetItem(", "rpc FetchItem(", "RPC"),
}
GROWING = {
    "new field": (
        "types.proto",
        "  string currency = 2;",
        "  string currency = 2;\n\n  // Ours.\n  bool own = 3;",
    ),
    "other words": ("types.proto", "message Money {", "// Said otherwise.\nmessage Money {"),
}
RAGGED = {
    "name of a field": ("types.proto", "  string currency = 2;", "  string Currency = 2;", "lower_snake_case"),
    "name of a reason": ("error_reason.proto", "ERROR_REASON_UNSPECIFIED = 0", "UNSPECIFIED = 0", "prefix"),
    "no comment": ("types.proto", "  string currency = 2;", "  string currency = 2;\n\n  bool own = 3;", "comment"),
}


@pytest.fixture(scope="module", autouse=True)
def buf() -> None:
    """buf as `protos/package.json` pins it; the test is skipped, or fails where it must not be, if it cannot be had."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            lack(f"{tool} is not installed; buf comes from npm, with Node.js 18 or later")
    wanted = json.loads((PROTOS / "package.json").read_text())["devDependencies"]["@bufbuild/buf"]
    found = PROTOS / "node_modules" / "@bufbuild" / "buf" / "package.json"
    if not found.is_file() or json.loads(found.read_text())["version"] != wanted:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run = subprocess.run(command, cwd=PROTOS, capture_output=True, text=True, check=False)
        if run.returncode:
            lack(f"npm cannot install buf: {run.stderr.strip()[-300:]}")


def lack(why: str) -> None:
    if REQUIRED:
        pytest.fail(why)
    pytest.skip(why)


def findings(protos: Path) -> list[str]:
    """What buf says against a folder of protos, compared with the baseline."""
    code = (
        "import sys, pathlib, baseline\n"
        "print(*baseline.findings(pathlib.Path(sys.argv[1]), baseline.BASELINE), sep='\\n', end='')"
    )
    command = [sys.executable, "-c", code, str(protos)]
    return subprocess.run(command, cwd=PROTOS, capture_output=True, text=True, check=True).stdout.splitlines()


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the protos with one edit."""
    shutil.copytree(PROTOS / "visavis", folder / "visavis")
    path = folder / "visavis" / "api" / "v1" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer holds {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_the_protos_pass() -> None:
    command = [sys.executable, str(PROTOS / "baseline.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "the protos follow the rules, and only grew\n"


@pytest.mark.parametrize("edit", BREAKING)
def test_what_breaks_a_client_is_found(edit: str, tmp_path: Path) -> None:
    file, old, new, word = BREAKING[edit]
    breaking = [line for line in findings(edited(tmp_path, file, old, new)) if line.startswith("breaking: ")]
    assert breaking
    assert any(word in line for line in breaking), breaking


@pytest.mark.parametrize("edit", GROWING)
def test_growing_is_allowed(edit: str, tmp_path: Path) -> None:
    assert findings(edited(tmp_path, *GROWING[edit])) == []


@pytest.mark.parametrize("edit", RAGGED)
def test_what_offends_the_style_is_found(edit: str, tmp_path: Path) -> None:
    file, old, new, word = RAGGED[edit]
    lint = [line for line in findings(edited(tmp_path, file, old, new)) if line.startswith("lint: ")]
    assert any(word in line for line in lint), lint


def test_a_file_taken_away_is_found(tmp_path: Path) -> None:
    shutil.copytree(PROTOS / "visavis", tmp_path / "visavis")
    (tmp_path / "visavis" / "api" / "v1" / "plugin_service.proto").unlink()
    assert any("plugin_service.proto" in line for line in findings(tmp_path))


def test_the_page_makes_an_image_that_generators_take(tmp_path: Path) -> None:
    page = (PROTOS / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^cd protos && .*?(?=\n```)", page, re.DOTALL | re.MULTILINE)
    image = tmp_path / "visavis.binpb"
    command = command.replace("python ", f"{shlex.quote(sys.executable)} ").replace("visavis.binpb", str(image))
    subprocess.run(command, shell=True, cwd=ROOT, check=True)
    listed = [PROTOS / "node_modules" / ".bin" / "buf", "ls-files", image, "--include-imports"]
    files = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert "visavis/api/v1/recommendation_service.proto" in files
    assert "google/rpc/status.proto" in files


def test_the_lock_file_names_no_registry() -> None:
    """Each machine asks its own registry; the hashes hold what comes."""
    lock = json.loads((PROTOS / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package or "integrity" not in package]
