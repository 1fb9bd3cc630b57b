"""The registry: which plugins there are, which of them work, and fresh instances of those that do.

A registry is an object that is passed on; there is no global one. A broken plugin is left out and reported by
`infos`, `problems` and the log, with its name and the reason. It never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar, cast

from visavis.errors import NotFound, PluginError
from visavis.model import PluginInfo
from visavis.plugin.base import Plugin
from visavis.plugin.channel import Channel
from visavis.plugin.claims import (
    Claim,
    PluginModule,
    claims_of,
    describe,
    import_module,
    summary,
    with_options,
    without_rivals,
)
from visavis.plugin.failures import type_and_place
from visavis.plugin.hooks import InteractionsRecorded, visavis_interactions_recorded
from visavis.plugin.loading import find_in_folder, find_installed
from visavis.plugin.scorer import Scorer
from visavis.plugin.segmenter import Segmenter

_logger = logging.getLogger("visavis.plugin")

_OBSERVER_HOOK = visavis_interactions_recorded.__name__

_P = TypeVar("_P", bound=Plugin)


class Registry:
    """The plugins of one process. Make one with `Registry.load`.

    `problems` holds one line for each broken plugin and each setting that fits no plugin.
    """

    def __init__(self, claims: Sequence[Claim], observers: Sequence[PluginModule], problems: Sequence[str]) -> None:
        claims = sorted(claims, key=lambda claim: (claim.info.kind, claim.info.name, claim.info.source))
        self._infos = tuple(claim.info for claim in claims)
        self._sound = {(claim.info.kind, claim.info.name): claim for claim in claims if claim.sound}
        self._observers = tuple(observers)
        self.problems = tuple(problems)

    @classmethod
    def load(
        cls,
        *,
        plugins_dir: Path | None = None,
        disabled: frozenset[str] = frozenset(),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        entry_points: bool = True,
    ) -> Self:
        """Find, import and check all plugins: those installed, then the files of `plugins_dir`.

        `disabled` holds names of plugins, entry points or files (without `.py`) to leave out; a disabled entry
        point or file is not imported. `options` holds one table a plugin, by plugin name.
        Raises `InvalidInput` if `plugins_dir` cannot be read; a broken plugin raises nothing.
        """
        options = options or {}
        found = find_installed() if entry_points else []
        if plugins_dir is not None:
            found += find_in_folder(plugins_dir)
        claims: list[Claim] = []
        observers: list[PluginModule] = []
        for one in found:
            if one.name in disabled:
                claims.append(Claim(describe(one, "module", enabled=False)))
                continue
            try:
                module = import_module(one)
            except PluginError as error:
                claims.append(Claim(describe(one, "module", error=error.message)))
                continue
            claims += claims_of(module, disabled)
            if _OBSERVER_HOOK in module.implements:
                observers.append(module)
                claims.append(Claim(describe(one, "observer", summary=summary(module.module))))
        claims = with_options(without_rivals(claims), options)
        problems = _problems(claims, disabled, options)
        for problem in problems:
            _logger.warning("%s", problem)
        return cls(claims, observers, problems)

    @property
    def scorers(self) -> Mapping[str, type[Scorer]]:
        """The working scorer classes by name."""
        return self._classes(Scorer)

    @property
    def segmenters(self) -> Mapping[str, type[Segmenter]]:
        """The working segmenter classes by name."""
        return self._classes(Segmenter)

    @property
    def channels(self) -> Mapping[str, type[Channel]]:
        """The working channel classes by name."""
        return self._classes(Channel)

    def build_scorer(self, name: str) -> Scorer:
        """A fresh scorer with its options. Raises `NotFound` (`UNKNOWN_PLUGIN`) that lists the known ones."""
        return self._build(Scorer, name)

    def build_segmenter(self, name: str) -> Segmenter:
        """A fresh segmenter with its options. Raises `NotFound` (`UNKNOWN_PLUGIN`) that lists the known ones."""
        return self._build(Segmenter, name)

    def build_channel(self, name: str) -> Channel:
        """A fresh channel with its options. Raises `NotFound` (`UNKNOWN_PLUGIN`) that lists the known ones."""
        return self._build(Channel, name)

    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was found, working or not, sorted by kind, then name.

        `kind` is `scorer`, `segmenter`, `channel`, `observer` (a module that implements an observing hook), or
        `module` for an entry point or file that was not imported or could not be, so that its kind is unknown.
        """
        return self._infos

    @property
    def observes_interactions(self) -> bool:
        """Whether any plugin wants `interactions_recorded`; if none does, its context need not be made."""
        return bool(self._observers)

    def interactions_recorded(self, context: InteractionsRecorded) -> None:
        """Tell the plugins that observe. What one raises is logged with its name and goes no further."""
        for module in self._observers:
            try:
                module.call(_OBSERVER_HOOK, context=context)
            except (Exception, SystemExit) as error:
                name, source = module.found.name, module.found.source
                _logger.error("plugin %s (%s): %s raised %s", name, source, _OBSERVER_HOOK, type_and_place(error))
                _logger.debug("traceback of plugin %s", name, exc_info=error)

    def _classes(self, base: type[_P]) -> Mapping[str, type[_P]]:
        return MappingProxyType(
            {name: cast(type[_P], claim.plugin) for (kind, name), claim in self._sound.items() if kind == base.kind}
        )

    def _build(self, base: type[_P], name: str) -> _P:
        classes = self._classes(base)
        if name not in classes:
            known = ", ".join(classes) or "none"
            message = f"there is no {base.kind} {name!r}; known are {known}"
            for info in self._infos:
                if info.name == name and info.kind in (base.kind, "module"):
                    message += f"; {info.source} is " + (f"broken: {info.error}" if info.error else "disabled")
            metadata = {"kind": base.kind, "name": name, "known": known}
            raise NotFound(message, reason="UNKNOWN_PLUGIN", metadata=metadata)
        return classes[name](self._sound[base.kind, name].options)


def _problems(claims: Sequence[Claim], disabled: frozenset[str], options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    problems = [f"{c.info.kind} {c.info.name} ({c.info.source}): {c.info.error}" for c in claims if c.info.error]
    known = {claim.info.name for claim in claims}
    problems += [f"[plugins.{name}] gives options, but no plugin has that name" for name in sorted({*options} - known)]
    problems += [f"disabled_plugins names {name!r}, but no plugin has that name" for name in sorted(disabled - known)]
    return problems


__all__ = ["Registry"]
