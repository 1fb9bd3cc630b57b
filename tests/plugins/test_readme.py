"""plugins/README.md: its code runs, its hooks are the hooks, and each hook has a test of its name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from visavis.model import Message
from visavis.plugin import InteractionsRecorded, Registry, hooks
from visavis.testing import make_customers, make_features, make_items

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
SPECS = {name: spec for name, spec in vars(hooks).items() if name.startswith("visavis_")}


def block(word: str) -> str:
    """The one code block that defines or tests `word`."""
    (text,) = [text for text in PYTHON if re.search(rf"^(class |def |){word}\b", text, re.MULTILINE)]
    return text


def load(folder: Path, *blocks: str, **options: dict[str, object]) -> Registry:
    for place, text in enumerate(blocks):
        (folder / f"plugin_{place}.py").write_text(text, encoding="utf-8")
    registry = Registry.load(plugins_dir=folder, entry_points=False, options=options)
    assert registry.problems == ()
    return registry


def test_every_hook_has_a_heading_with_its_signature() -> None:
    headings = set(re.findall(r"^### (visavis_.*)$", TEXT, re.MULTILINE))
    assert headings == {f"{name}{inspect.signature(spec)}".replace("'", "") for name, spec in SPECS.items()}


def test_every_hook_has_a_test_of_its_name() -> None:
    tree = ast.parse((Path(__file__).parent / "test_registry.py").read_text(encoding="utf-8"))
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {f"test_{name}" for name in SPECS} <= tests


def test_every_hook_is_used_by_a_plugin() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py")]
    for name in SPECS:
        assert any(f"def {name}(" in source for source in sources), name


def test_the_plugins_of_ten_lines_have_ten_lines_and_work(folder: Path) -> None:
    blocks = [block("ShortestName"), block("Loyalty"), block("Memory")]
    for text in blocks:
        assert len([line for line in text.splitlines() if line.strip()]) <= 10
    registry = load(folder, *blocks)
    assert [(info.kind, info.name) for info in registry.infos()] == [
        ("channel", "memory"),
        ("scorer", "shortest_name"),
        ("segmenter", "loyalty"),
    ]
    scores = registry.build_scorer("shortest_name").score(make_customers([], [-1]), make_items(2, codes=[3, -1]))
    np.testing.assert_array_equal(scores, [[-6.0, np.nan]])
    labels = registry.build_segmenter("loyalty").label(make_features([(1, 2, 1, 1), (1, 1, 1, 1), (np.nan,) * 4]))
    assert labels == ["again", "", ""]
    delivery = registry.build_channel("memory").send(Message("m", "memory", "c", "", "", "t"))
    assert delivery.accepted


def test_the_observer_works(folder: Path) -> None:
    registry = load(folder, block("purchases"))
    registry.interactions_recorded(InteractionsRecorded(["view", "purchase"], ["a", "b"], ["x", "y"]))
    (module,) = [m for m in sys.modules.values() if getattr(m, "__file__", None) == str(folder / "plugin_0.py")]
    assert module.purchases == ["y"]


def test_the_options_work(folder: Path) -> None:
    (table,) = [tomllib.loads(text)["plugins"] for text in TOML if "[plugins." in text]
    scorer = load(folder, block("Price"), **table).build_scorer("price")
    scores = scorer.score(make_customers([], [-1]), make_items(2, price=[100, 400]))
    assert scores.tolist() == [[-250.0, -1000.0]]


@pytest.mark.parametrize("word", ["TestShortestName", "test_likes_short_names"])
def test_the_tests_pass(word: str, tmp_path: Path) -> None:
    (tmp_path / "shortest_name.py").write_text(block("ShortestName"), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(block(word), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_project_file_names_the_group() -> None:
    (entry,) = [tomllib.loads(text) for text in TOML if "entry-points" in text]
    assert entry["project"]["entry-points"]["visavis"] == {"shortest_name": "shortest_name"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / "plugins" / link).exists()
