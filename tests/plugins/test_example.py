"""plugins/example, installed by pip into an environment of its own, as a stranger would."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ASK = """
import json
from visavis.plugin import InteractionsRecorded, Registry
from visavis.testing import make_customers, make_items
registry = Registry.load()
import visavis_example
registry.interactions_recorded(InteractionsRecorded(["view"], ["c"], ["i"]))
print(json.dumps({
    "infos": [[i.kind, i.name, i.version, i.source, i.error] for i in registry.infos() if "example" in i.source],
    "scores": registry.build_scorer("newest").score(
        make_customers([], [-1]), make_items(2, first_seen_day=[0, 3])).tolist(),
    "recorded": visavis_example.recorded["view"],
    "file": visavis_example.__file__,
}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that sees our libraries and Visavis, with the example installed into it by pip."""
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("hatchling") is None:
        pytest.skip("pip and hatchling are needed to install the example; install them here to run this test")
    home = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(home)
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    paths = {"base": str(home), "platbase": str(home)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    ours = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (site / "ours.pth").write_text(
        "".join(f"import site; site.addsitedir({folder!r})\n" for folder in dict.fromkeys(ours))
        + f"{ROOT / 'framework'}\n{ROOT / 'plugins'}\n"
    )
    # what the example needs is there already, so that nothing has to be fetched
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--no-compile", "-q"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(ROOT / "plugins/example")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def _run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(python), *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_is_found_and_works(environment: Path, tmp_path: Path) -> None:
    done = _run(environment, "-c", ASK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    source = "visavis-example 1.0: visavis_example"
    assert answer["infos"] == [
        ["channel", "memory", "1.0", source, ""],
        ["observer", "example", "1.0", source, ""],
        ["scorer", "newest", "1.0", source, ""],
        ["segmenter", "loyalty", "1.0", source, ""],
    ]
    assert answer["scores"][0][1] - answer["scores"][0][0] == 3.0
    assert answer["recorded"] == 1
    assert Path(answer["file"]).is_relative_to(environment.parent.parent), "the installed copy, not the checkout"


def test_its_own_tests_pass(environment: Path, tmp_path: Path) -> None:
    tests = tmp_path / "test_visavis_example.py"
    tests.write_text((ROOT / "plugins/example/tests/test_visavis_example.py").read_text(encoding="utf-8"))
    done = _run(environment, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", tests.name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_works_from_a_folder_too() -> None:
    from visavis.plugin import Registry

    registry = Registry.load(plugins_dir=ROOT / "plugins" / "example", entry_points=False)
    assert registry.problems == ()
    assert [*registry.scorers, *registry.segmenters, *registry.channels] == ["newest", "loyalty", "memory"]
