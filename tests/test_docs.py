"""The README's examples are run as they stand, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "framework/README.md", "plugins/README.md", "protos/README.md", "CHANGELOG.md")


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> str:
    """Run a README line; `visavis` is the one under test."""
    words = re.sub(r"\s#.*$", "", command).split()
    if words[0] == "visavis":
        words = [sys.executable, "-m", "visavis", *words[1:]]
    env = {key: value for key, value in os.environ.items() if not key.startswith("VISAVIS_")}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tour's sales file lies and the tour's commands were run."""
    folder = tmp_path_factory.mktemp("readme")
    run("visavis demo --keep tour", folder)
    for block in blocks("console"):
        for line in block.splitlines():
            assert line.startswith("$ ")
            assert run(line[2:], folder).strip()
    return folder


def test_the_tour_ends_with_an_answer(tour: Path) -> None:
    answer = run("visavis recommend 10014 --data shop.duckdb", tour)
    assert "because you bought" in answer


def test_python_examples(tour: Path) -> None:
    opened, connected, plugin = blocks("python")
    assert "visavis.open" in opened
    assert (
        "because you bought"
        in subprocess.run(
            [sys.executable, "-c", opened], cwd=tour, capture_output=True, text=True, check=True, timeout=120
        ).stdout
    )

    serve = next(line for block in blocks("sh") for line in block.splitlines() if line.startswith("visavis serve"))
    words = serve.replace("127.0.0.1:50051", "127.0.0.1:0").split()[1:]
    with subprocess.Popen(
        [sys.executable, "-m", "visavis", *words],
        cwd=tour,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline())
            assert address is not None
            answer = subprocess.run(
                [sys.executable, "-c", connected.replace("127.0.0.1:50051", address[0])],
                cwd=tour,
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            ).stdout
            assert "for 10014" in answer
            # While the server owns the file, commands go through it.
            assert run("visavis snapshot copy.duckdb --data shop.duckdb", tour)
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert server.returncode == 0
    assert (tour / "copy.duckdb").is_file()

    (tour / "my_plugins").mkdir()
    (tour / "my_plugins" / "cheapest.py").write_text(plugin)
    fit, recommend = (line for block in blocks("sh") for line in block.splitlines() if "--plugins-dir" in line)
    assert "cheapest" in run(fit, tour)
    assert "by cheapest" in run(recommend, tour)


def test_sql_examples(tour: Path) -> None:
    script = (
        "import duckdb, sys\n"
        "copy = duckdb.connect('shop.duckdb', read_only=True)\n"
        "for statement in sys.stdin.read().split(';'):\n"
        "    if statement.strip():\n"
        "        assert copy.execute(statement).fetchall(), statement\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tour,
        input=";".join(blocks("sql")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_settings_example_is_taken(tmp_path: Path) -> None:
    from visavis.config import load_settings

    (tmp_path / "visavis.toml").write_text(blocks("toml")[0])
    settings = load_settings(file=tmp_path / "visavis.toml", environ={})
    assert settings["currency"] == "GBP"
    assert settings.plugins["popularity"] == {"window_days": 28}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith(("http:", "https:")):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_views_named_in_the_readme_exist() -> None:
    views = (ROOT / "framework/visavis/store/migrations/views.sql").read_text(encoding="utf-8")
    named = re.search(r"Views give[^:]*: ([^.]*)\.", README.replace("\n", " "))
    assert named is not None
    for view in re.findall(r"`(\w+)`", named[1]):
        assert f"CREATE VIEW {view} " in views
