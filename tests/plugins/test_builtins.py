"""The built-in plugins as the registry sees them through the project file's entry points."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from visavis.plugin import Registry
from visavis.plugin.options import build_options

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
    "visavis"
]


@pytest.fixture
def registry(install) -> Registry:  # type: ignore[no-untyped-def]
    # the name of the real distribution, so that this one stands in for it where it is installed
    install("visavis", ENTRY_POINTS, {})
    return Registry.load()


def test_all_are_found_and_healthy(registry: Registry) -> None:
    infos = [info for info in registry.infos() if info.source.startswith("visavis ")]
    assert [info.error for info in infos] == [""] * len(ENTRY_POINTS)
    assert {info.name: info.source for info in infos} == {
        name: f"visavis 1.2: {module}" for name, module in ENTRY_POINTS.items()
    }
    assert {info.name: info.kind for info in infos} == {
        "popularity": "scorer",
        "repeat": "scorer",
        "item_similarity": "scorer",
        "ease": "scorer",
        "als": "scorer",
        "rp3beta": "scorer",
        "tifu_knn": "scorer",
        "cross_sell": "scorer",
        "session": "scorer",
        "content": "scorer",
        "rating": "scorer",
        "up_sell": "scorer",
        "rfm": "segmenter",
        "console": "channel",
        "file": "channel",
    }


def test_module_entry_point_and_plugin_share_one_name() -> None:
    folders = {"scorers": "visavis_scorers", "segmenters": "visavis_segmenters", "channels": "visavis_channels"}
    package = ROOT / "plugins" / "visavis_plugins"
    modules = {path for folder in folders for path in (package / folder).glob("[!_]*.py")}
    assert {path.stem for path in modules} == set(ENTRY_POINTS)
    for path in modules:
        dotted = f"visavis_plugins.{path.parent.name}.{path.stem}"
        assert ENTRY_POINTS[path.stem] == dotted
        (plugin,) = getattr(importlib.import_module(dotted), folders[path.parent.name])()
        assert plugin.name == path.stem


def test_each_says_what_it_does(registry: Registry) -> None:
    for info in registry.infos():
        assert info.summary.endswith("."), f"{info.name}: {info.summary!r}"


def test_options_reach_the_instance(install) -> None:  # type: ignore[no-untyped-def]
    install("visavis", ENTRY_POINTS, {})
    registry = Registry.load(options={"repeat": {"decay": 0.5}, "popularity": {"window_days": -1}})
    assert registry.build_scorer("repeat").options == build_options(registry.scorers["repeat"], {"decay": 0.5})
    assert "popularity" not in registry.scorers
    assert any("plugins.popularity.window_days: is -1" in problem for problem in registry.problems)


def test_finding_plugins_loads_no_heavy_library() -> None:
    modules = ", ".join(ENTRY_POINTS.values())
    code = f"""
import sys, visavis.testing, visavis.plugin, {modules}
heavy = [name for name in ("numba", "duckdb", "grpc", "pytest") if name in sys.modules]
sys.exit(f"loaded: {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
