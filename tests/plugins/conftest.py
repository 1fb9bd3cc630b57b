"""Ways to put plugins before a registry: loose files, and distributions that are installed as far as metadata goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Install = Callable[[str, Mapping[str, str], Mapping[str, str]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty plugins folder."""
    path = tmp_path / "my_plugins"
    path.mkdir()
    return path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(name, entry_points, files)` makes a distribution `name` 1.2 importable and lists its entry points."""

    def install_one(name: str, entry_points: Mapping[str, str], files: Mapping[str, str]) -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[visavis]", *lines, ""]))
        for module, text in files.items():
            (site / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))

    return install_one
