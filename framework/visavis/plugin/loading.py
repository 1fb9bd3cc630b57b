"""Finds plugin modules and imports them: installed ones by entry point, loose ones from a folder.

Nothing here is imported before its `load` is called, so that a plugin that is switched off never runs.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from visavis.errors import FieldViolation, InvalidInput

GROUP = "visavis"
"""The entry-point group of plugins."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin module that was found and not imported yet.

    `name` is the entry point's name or the file's stem; `source` is for people; `version` is the distribution's,
    empty for a loose file. `load` imports and returns the module (whatever the import raises comes through).
    """

    name: str
    version: str
    source: str
    load: Callable[[], object]


def find_installed() -> list[Found]:
    """The entry points of the group `visavis`, sorted by name, then distribution."""
    points = importlib.metadata.entry_points(group=GROUP)
    found = []
    for point in points:
        version = point.dist.version if point.dist else ""
        owner = f"{point.dist.name} {version}" if point.dist else "an unnamed distribution"
        found.append(Found(point.name, version, f"{owner}: {point.value}", point.load))
    return sorted(found, key=lambda plugin: (plugin.name, plugin.source))


def find_in_folder(folder: Path) -> list[Found]:
    """The `*.py` files of a folder, sorted; those that begin with `_` are left alone.

    Raises `InvalidInput` if the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".py" and not path.name.startswith("_"))
    except OSError as error:
        raise InvalidInput(
            [
                FieldViolation(
                    "plugins_dir", f"is {str(folder)!r}, which cannot be read: {error.strerror}; name a folder"
                )
            ]
        ) from error
    return [Found(path.stem, "", str(path), partial(_load_file, path)) for path in paths]


class _NoLitterLoader(importlib.machinery.SourceFileLoader):
    """Leaves no `__pycache__` in the user's folder."""

    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Called to write byte code; writes none."""


def _load_file(path: Path) -> object:
    # a private name, so that popularity.py in a folder can never stand in for an installed module
    name = f"_visavis_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}_{path.stem}"
    loader = _NoLitterLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise ImportError(f"no module can be made of {path}")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and type hints look their module up while it runs
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


__all__ = ["GROUP", "Found", "find_in_folder", "find_installed"]
