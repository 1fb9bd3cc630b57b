"""The design's promises about the source, read from its syntax trees and from a fresh process."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORK, PLUGINS = ROOT / "framework" / "visavis", ROOT / "plugins" / "visavis_plugins"
LONGEST = 400

LAYERS = (
    {"errors", "model", "upkeep", "evaluation", "config", "kinds", "money", "_version"},
    {"kernels", "history", "plugin"},
    {"store"},
    {"live"},
    {"identify"},
    {"differentiate"},
    {"customize"},
    {"interact"},
    {"admin"},
    {"engine"},
    {"rpc", "client", "api"},
    {"cli", "testing", "__main__"},
)
"""Imports go from later to earlier; parts of one layer may use each other where `BESIDE` says so."""
RANK = {name: place for place, layer in enumerate(LAYERS) for name in layer}
BESIDE = {
    ("model", "errors"),
    ("config", "errors"),
    ("config", "kinds"),
    ("config", "money"),
    ("kinds", "errors"),
    ("money", "errors"),
    ("plugin", "history"),
    ("plugin", "kernels"),
    ("rpc", "api"),
    ("client", "api"),
    ("client", "rpc"),
    ("cli", "testing"),
    ("__main__", "cli"),
}
HOMES = {
    "numba": ("kernels",),
    "llvmlite": ("kernels",),
    "pluggy": ("plugin",),
    "duckdb": ("store",),
    "aiohttp": ("rpc/http",),
    "grpc": ("rpc", "api", "client", "testing/server"),
    "grpc_health": ("rpc", "api", "client", "testing/server"),
    "grpc_reflection": ("rpc", "api", "client", "testing/server"),
    "grpc_status": ("rpc", "api", "client", "testing/server"),
    "google": ("rpc", "api", "client", "testing/server"),
}
PUBLIC = {"visavis", "visavis.history", "visavis.kernels", "visavis.testing"}
"""What plugins may import."""


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def written(folder: Path) -> list[Path]:
    """Modules that people write; generated ones left out."""
    return [path for path in modules(folder) if FRAMEWORK / "api" not in path.parents]


def named(path: Path) -> str:
    """`visavis.store.writer` for its file."""
    parts = path.relative_to(path.parents[len(path.parents) - 1]).with_suffix("").parts
    start = max(place for place, part in enumerate(parts) if part in ("visavis", "visavis_plugins"))
    return ".".join(part for part in parts[start:] if part != "__init__")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def type_checking(tree: ast.Module) -> set[ast.AST]:
    """Everything below `if TYPE_CHECKING:`, which never runs."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for inner in node.body:
                found.update(ast.walk(inner))
    return found


def imports(path: Path, *, running: bool = False) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of every import of a module; `running`: only those outside `if TYPE_CHECKING`."""
    tree = tree_of(path)
    skipped = type_checking(tree) if running else set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            assert node.module is not None
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def part(dotted: str) -> str:
    """`store` of `visavis.store.writer.Writer`; empty for the package itself."""
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[1] in RANK else ""


def test_every_part_has_its_layer() -> None:
    parts = {path.stem for path in FRAMEWORK.glob("*.py")} | {
        path.parent.name for path in FRAMEWORK.glob("*/__init__.py")
    }
    assert parts - {"__init__"} == set(RANK)


@pytest.mark.parametrize("path", written(FRAMEWORK), ids=named)
def test_imports_run_one_way(path: Path) -> None:
    own = part(named(path))
    if not own:
        return  # `visavis` itself hands out names of every layer, lazily
    for name, line in imports(path):
        if not name.startswith("visavis."):
            continue
        other = part(name)
        if not other:
            assert own in ("cli", "testing"), f"{path}:{line} goes through the front door for {name}"
            continue
        allowed = own == other or RANK[other] < RANK[own] or (own, other) in BESIDE
        assert allowed, f"{path}:{line}: {own} must not import {other}"


@pytest.mark.parametrize("path", modules(FRAMEWORK) + modules(PLUGINS), ids=named)
def test_libraries_stay_at_home(path: Path) -> None:
    name = named(path).removeprefix("visavis.").replace(".", "/")
    # The name of a cursor's type may stand in a signature anywhere; it is never loaded there.
    for imported, line in imports(path, running=True):
        library = imported.split(".")[0]
        homes = HOMES.get(library, ("",))
        assert any(name == home or name.startswith(f"{home}/") or not home for home in homes), (
            f"{path}:{line}: {library} belongs to {', '.join(homes)}"
        )
        assert library not in ("pandas", "pyarrow", "scipy"), f"{path}:{line}: the core does without {library}"


@pytest.mark.parametrize("path", [p for p in written(FRAMEWORK) if FRAMEWORK / "store" not in p.parents], ids=named)
def test_sql_stays_in_the_store(path: Path) -> None:
    sql = re.compile(
        r"\b(SELECT\b.+\bFROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE (TABLE|VIEW)|DROP (TABLE|VIEW)|ATTACH ')",
        re.DOTALL,
    )
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = sql.search(node.value)
            assert found is None, f"{path}:{node.lineno} holds SQL: {node.value[:60]!r}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("fetchall", "fetchnumpy", "fetchone"), f"{path}:{node.lineno} reads a cursor"


def test_the_framework_never_imports_its_plugins() -> None:
    for path in modules(FRAMEWORK):
        for name, line in imports(path):
            assert name.split(".")[0] != "visavis_plugins", f"{path}:{line}"


@pytest.mark.parametrize(
    "path", [*modules(PLUGINS), *modules(ROOT / "plugins" / "example")], ids=lambda path: path.stem
)
def test_plugins_use_public_names_only(path: Path) -> None:
    for name, line in imports(path):
        if name.split(".")[0] != "visavis":
            continue
        house, _, what = name.rpartition(".")
        if name in PUBLIC:
            continue
        assert house in PUBLIC, f"{path}:{line}: {name} is not public"
        assert what in importlib.import_module(house).__all__, f"{path}:{line}: {name} is not public"


def public_definitions(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            names.update(one.id for one in ast.walk(target) if isinstance(one, ast.Name))
    return {name for name in names if not name.startswith("_")}


def lists_names(path: Path) -> bool:
    return path.name != "__main__.py" and bool(tree_of(path).body[1:]) and path.name != "_version.py"


@pytest.mark.parametrize("path", [p for p in written(FRAMEWORK) + modules(PLUGINS) if lists_names(p)], ids=named)
def test_public_lists_are_true(path: Path) -> None:
    module = importlib.import_module(named(path))
    listed = module.__all__
    assert len(listed) == len(set(listed))
    for name in listed:
        assert hasattr(module, name), f"{named(path)}.__all__ names {name}, which is not there"
    if not path.name.startswith("_"):
        assert set(listed) <= public_definitions(tree_of(path)), "a module lists what it defines, not what it imports"
        # Loggers, type variables and small constants are a module's own business; classes and functions are not.
        defined = {
            node.name
            for node in tree_of(path).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
        }
        missing = {name for name in defined if name not in listed}
        assert not missing, f"{named(path)}: public but not listed: {sorted(missing)}"


@pytest.mark.parametrize("path", written(FRAMEWORK) + modules(PLUGINS), ids=named)
def test_modules_say_their_purpose_and_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)) or path.name in ("_version.py",), f"{path} says nothing of its purpose"
    assert len(text.splitlines()) <= LONGEST, f"{path} is asking to be two"


@pytest.mark.parametrize("path", written(FRAMEWORK) + modules(PLUGINS), ids=named)
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.ExceptHandler) or node.type is not None, f"{path}:{node.lineno}: bare except"
        assert not isinstance(node, ast.Assert) or FRAMEWORK / "testing" in path.parents, (
            f"{path}:{node.lineno}: assert"
        )


def test_entry_points_are_what_is_installed_and_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["entry-points"]["visavis"]
    installed = {
        point.name: point.value
        for point in importlib.metadata.entry_points(group="visavis")
        if point.dist is not None and point.dist.name == "visavis"
    }
    assert installed == declared
    there = {named(path) for path in modules(PLUGINS) if path.parent != PLUGINS and not path.name.startswith("_")}
    assert set(declared.values()) == there


def test_one_version() -> None:
    version = importlib.import_module("visavis").__version__
    assert importlib.metadata.version("visavis") == version
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert latest is not None
    assert latest[1] == version


HELP = """
import visavis.cli.main
try:
    visavis.cli.main.main(['--help'])
except SystemExit as end:
    assert not end.code
"""
LOADED = """
import sys
{statement}
wanted = {{'numba', 'llvmlite', 'duckdb', 'grpc', 'google', 'aiohttp', 'numpy'}} - {allowed!r}
heavy = sorted({{name.split('.')[0] for name in sys.modules}} & wanted)
print('heavy:', heavy)
"""


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import visavis", set()),
        ("import visavis; visavis.Interaction, visavis.VisavisError, visavis.load_settings", set()),
        ("import visavis; visavis.Scorer, visavis.hookimpl", {"numpy"}),
        (HELP, set()),
    ],
    ids=["import", "values", "plugin", "help"],
)
def test_nothing_heavy_is_loaded(statement: str, allowed: set[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "framework"), str(ROOT / "plugins")])}
    ended = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement, allowed=allowed)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "heavy: []"
