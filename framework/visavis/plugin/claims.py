"""From found modules to checked claims: import, hooks, classes, names, options. Every fault becomes a line of text.

A claim is one class that wants one name. Faults are caught here, one plugin at a time, because strangers' code may
raise anything at any of these steps.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pluggy

from visavis.errors import PluginError, VisavisError
from visavis.model import PluginInfo
from visavis.plugin import hooks
from visavis.plugin.base import Plugin
from visavis.plugin.channel import Channel
from visavis.plugin.loading import Found
from visavis.plugin.options import build_options, options_schema
from visavis.plugin.scorer import Scorer
from visavis.plugin.segmenter import Segmenter

_logger = logging.getLogger("visavis.plugin")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of plugin: its hook, its base class and the method that a working one must define."""

    hook: str
    base: type[Plugin]
    method: str


_KINDS = (
    _Kind("visavis_scorers", Scorer, "score"),
    _Kind("visavis_segmenters", Segmenter, "label"),
    _Kind("visavis_channels", Channel, "send"),
)


@dataclass(frozen=True, slots=True)
class PluginModule:
    """An imported plugin module. Its hooks are called through a manager of its own, so that one plugin's error or
    wrapper cannot touch another's calls."""

    found: Found
    module: ModuleType
    manager: pluggy.PluginManager

    @property
    def implements(self) -> frozenset[str]:
        """The names of the hooks that it implements."""
        return frozenset(caller.name for caller in self.manager.get_hookcallers(self.module) or ())

    def call(self, hook: str, **arguments: object) -> list[Any]:
        """Call one of its hooks; what it raises comes through."""
        results: list[Any] = getattr(self.manager.hook, hook)(**arguments)
        return results


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of one plugin. It works if there is a `plugin`, `info.enabled` and no `info.error`."""

    info: PluginInfo
    plugin: type[Plugin] | None = None
    options: Any = None

    @property
    def sound(self) -> bool:
        """Whether it can be used, by what is known so far."""
        return self.plugin is not None and self.info.enabled and not self.info.error


def describe(found: Found, kind: str, *, enabled: bool = True, summary: str = "", error: str = "") -> PluginInfo:
    """The info of a module itself, or of a class of which nothing is known yet but its module."""
    return PluginInfo(found.name, kind, found.version or "folder", found.source, enabled, {}, summary, error)


def import_module(found: Found) -> PluginModule:
    """Import a plugin and check its hooks. Raises `PluginError` with one line that says what is wrong."""
    try:
        module = found.load()
    except (Exception, SystemExit) as error:  # a plugin may even try to leave
        _logger.debug("traceback of plugin %s", found.name, exc_info=error)
        raise PluginError(f"cannot be imported: {_tell(error)}") from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"the entry point names {module!r}; name a module")
    manager = pluggy.PluginManager("visavis")
    manager.add_hookspecs(hooks)
    try:
        manager.register(module, found.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{_tell(error)}; hooks are {_signatures()}") from error
    imported = PluginModule(found, module, manager)
    unmarked = [
        name
        for name, value in vars(module).items()
        if name.startswith("visavis_") and inspect.isfunction(value) and name not in imported.implements
    ]
    if unmarked:
        raise PluginError(f"{', '.join(unmarked)} is not marked; write @hookimpl above it")
    if not imported.implements:
        raise PluginError(f"implements no hook; hooks are {_signatures()}")
    return imported


def claims_of(module: PluginModule, disabled: frozenset[str]) -> list[Claim]:
    """The classes that a module hands in, each checked by itself."""
    claims = []
    for kind in _KINDS:
        if kind.hook not in module.implements:
            continue
        unnamed = describe(module.found, kind.base.kind)
        try:
            results = module.call(kind.hook)
        except Exception as error:  # noqa: BLE001 - reported by name
            claims.append(Claim(replace(unnamed, error=f"{kind.hook} raised {_tell(error)}")))
            continue
        # pluggy leaves out None, so a forgotten `return` comes as no result at all
        for result in results or [None]:
            if isinstance(result, list | tuple):
                claims += [_claim(unnamed, kind, plugin, disabled) for plugin in result]
            else:
                claims.append(
                    Claim(replace(unnamed, error=f"{kind.hook} returned {result!r}; return a list of classes"))
                )
    return claims


def without_rivals(claims: Sequence[Claim]) -> list[Claim]:
    """Two claimants of one name are both refused: choosing one would make answers depend on what is installed."""
    sources: dict[tuple[str, str], list[str]] = {}
    for claim in claims:
        if claim.plugin is not None and claim.info.enabled:
            sources.setdefault((claim.info.kind, claim.info.name), []).append(claim.info.source)
    checked = []
    for claim in claims:
        rivals = sources.get((claim.info.kind, claim.info.name), [])
        if claim.sound and len(rivals) > 1:
            error = f"the name is claimed by {' and by '.join(rivals)}; until one is renamed or disabled, none is used"
            claim = replace(claim, info=replace(claim.info, error=error))
        checked.append(claim)
    return checked


def with_options(claims: Sequence[Claim], options: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
    """Give each sound claim its options; those whose options do not fit are sound no more."""
    return [_with_options(claim, options.get(claim.info.name, {})) for claim in claims]


def _with_options(claim: Claim, given: Mapping[str, Any]) -> Claim:
    if claim.plugin is None or not claim.sound:
        return claim
    try:
        options = build_options(claim.plugin, given)
        claim.plugin(options)  # a constructor only stores, so a trial costs nothing and shows one that fails
    except Exception as error:  # noqa: BLE001 - reported by name
        return replace(claim, info=replace(claim.info, error=_tell(error)))
    return replace(claim, options=options)


def _claim(unnamed: PluginInfo, kind: _Kind, plugin: object, disabled: frozenset[str]) -> Claim:
    if not (isinstance(plugin, type) and issubclass(plugin, kind.base)):
        error_text = f"{kind.hook} returned {plugin!r}, which is no subclass of {kind.base.__name__}"
        return Claim(replace(unnamed, error=error_text))
    name = getattr(plugin, "name", None)
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        error_text = f"{plugin.__name__}.name is {name!r}; give up to 64 of a-z, 0-9 and _, a letter first"
        return Claim(replace(unnamed, error=error_text))
    info = replace(unnamed, name=name, enabled=name not in disabled)
    try:
        if info.version == "folder":
            info = replace(info, version=str(getattr(plugin, "version", "folder")))
        info = replace(info, summary=summary(plugin), options_schema=options_schema(plugin), error=_fault(plugin, kind))
    except Exception as error:  # noqa: BLE001 - reported by name
        info = replace(info, error=_tell(error))
    return Claim(info, plugin)


def _fault(plugin: type[Plugin], kind: _Kind) -> str:
    if getattr(plugin, kind.method) is getattr(kind.base, kind.method):
        return f"{plugin.__name__} does not define {kind.method}"
    if issubclass(plugin, Scorer):
        mode: str = plugin.mode
        if mode not in ("live", "fitted"):
            return f"{plugin.__name__}.mode is {mode!r}; give 'live' or 'fitted'"
        if mode == "live" and plugin.fit is not Scorer.fit:
            return f"{plugin.__name__} defines fit, which is never called for mode 'live'; say mode = 'fitted'"
    return ""


def summary(described: object) -> str:
    """The first line of an object's own docstring, empty if it has none."""
    return (inspect.cleandoc(vars(described).get("__doc__") or "").splitlines() or [""])[0]


def _signatures() -> str:
    specs = [value for name, value in sorted(vars(hooks).items()) if name.startswith("visavis_")]
    return ", ".join(f"{spec.__name__}({', '.join(inspect.signature(spec).parameters)})" for spec in specs)


def _tell(error: BaseException) -> str:
    """One line: our own errors speak for themselves, others need their type."""
    text = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


__all__ = [
    "Claim",
    "PluginModule",
    "claims_of",
    "describe",
    "import_module",
    "summary",
    "with_options",
    "without_rivals",
]
