"""One table of settings: it gives the defaults, the environment variables, the TOML keys and the docs.

Order of strength: an argument (`--listen`), the environment (`VISAVIS_LISTEN`), the file (`visavis.toml` in the
working folder, or the one that `VISAVIS_CONFIG` names), the default. Options of plugins stand in the file as
tables `[plugins.<name>]`, and what a kind of interaction means as `[kinds.<name>]` (see `visavis.kinds`).
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from visavis.errors import FieldViolation, InvalidInput
from visavis.kinds import KIND_RULES, KindRule, read_kind_rules
from visavis.money import is_currency

log = logging.getLogger("visavis.config")


class Rule(NamedTuple):
    """What a text must be: the check, and the words for what to give."""

    holds: Callable[[str], bool]
    wanted: str


def _is_time_zone(name: str) -> bool:
    if name == "UTC":
        return True
    from zoneinfo import ZoneInfo  # costs more than all else here, and most settings name no zone

    for zone in (name, "UTC"):
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):  # unknown; no name of a zone; a folder of zones
            continue
        return zone == name
    return True  # a machine without a list of zones: an import asks DuckDB's


_PREFIX = "VISAVIS_"
_LEVELS = ("debug", "info", "warning", "error")
_CURRENCY = Rule(is_currency, "an ISO 4217 code, three capital letters, such as EUR")
_TIME_ZONE = Rule(_is_time_zone, "an IANA time zone such as Europe/London")
_LEVEL = Rule(lambda text: text in _LEVELS, ", ".join(_LEVELS))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its type is the default's; numbers lie in `minimum` … `maximum`, texts keep the `rule`."""

    name: str
    default: str | int | float | bool
    help: str
    minimum: float = 0
    maximum: float = float("inf")
    rule: Rule | None = None

    @property
    def variable(self) -> str:
        return _PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("data", "visavis.duckdb", "the store's DuckDB file"),
    Setting("listen", "127.0.0.1:50051", "address that `visavis serve` listens on; port 0 picks a free one"),
    Setting("http_listen", "", "address for HTTP/JSON beside gRPC, e.g. 127.0.0.1:8080; empty means none"),
    Setting("cors_origins", "", "origins of web pages that may call over HTTP, separated by commas"),
    Setting("scorer", "item_similarity", "scorer of `recommend` when the request names none"),
    Setting("fallback_scorer", "popularity", "scorer that fills up for customers without a history"),
    Setting("time_zone", "UTC", "the shop's zone: naive times on import are read in it", rule=_TIME_ZONE),
    Setting("currency", "EUR", "ISO 4217 currency of amounts that name none", rule=_CURRENCY),
    Setting("plugins_dir", "", "folder of plugin modules that are loaded without installing"),
    Setting("disabled_plugins", "", "names of plugins left out, separated by commas"),
    Setting("memory_limit_mb", 0, "memory that DuckDB may use, MiB; 0 lets DuckDB choose", 0),
    Setting("threads", 0, "threads for building models and for DuckDB; 0 means one a core", 0, 1024),
    Setting("linger_ms", 4.0, "how long a commit waits for company, milliseconds", 0, 100),
    Setting("group_rows", 1000, "rows that make a commit leave at once", 1, 1_000_000),
    Setting("queue_rows", 200_000, "rows that may wait for the writer before calls are refused", 1, 10_000_000),
    Setting("checkpoint_wal_mb", 64, "size of the write-ahead log that starts a checkpoint, MiB", 1, 1_000_000),
    Setting("future_tolerance_minutes", 10.0, "how far ahead of our clock an interaction's time may lie", 0, 1440),
    Setting("refresh_ms", 100.0, "pause between refreshes of what was learned, while serving; 0: none", 0, 3_600_000),
    Setting("keep_generations", 2, "fitted generations kept in the store", 1, 100),
    Setting("max_message_mb", 16, "largest gRPC message, MiB", 1, 512),
    Setting("max_upload_mb", 4096, "largest file that a client may send for an import, MiB", 1, 1_000_000),
    Setting("max_concurrent_rpcs", 256, "calls in progress before new ones are refused", 1, 100_000),
    Setting("executor_threads", 2, "threads for long work beside the event loop", 1, 64),
    Setting("shutdown_grace_s", 10.0, "how long running calls may go on after a stop signal, seconds", 0, 600),
    Setting("log_level", "info", "debug, info, warning or error", rule=_LEVEL),
    Setting("tls_cert", "", "PEM certificate chain of the server"),
    Setting("tls_key", "", "PEM private key of the server"),
    Setting("tls_client_ca", "", "PEM certificates that sign those of clients; given, each client must show one"),
    Setting("keys_file", "", "file of client keys; empty means `keys.json` in the store's side folder"),
    Setting("allow_plaintext", False, "serve a non-loopback address without TLS"),
    Setting("allow_no_keys", False, "serve a non-loopback address without keys: whoever reaches it may do everything"),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_OTHER_VARIABLES = {"VISAVIS_CONFIG", "VISAVIS_ADDRESS", "VISAVIS_KEY", "VISAVIS_CA"}
"""Variables that are no settings: the file of settings, and what the examples of clients read."""
_TEST_PREFIX = f"{_PREFIX}TEST_"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings as resolved. `settings["listen"]` reads one; `plugins[name]` holds a plugin's options, and
    `kinds[name]` a kind's rule."""

    values: Mapping[str, str | int | float | bool]
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kinds: Mapping[str, KindRule] = field(default_factory=lambda: KIND_RULES)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def data(self) -> Path:
        return Path(str(self.values["data"]))

    @property
    def disabled_plugins(self) -> frozenset[str]:
        return frozenset(part.strip() for part in str(self.values["disabled_plugins"]).split(",") if part.strip())


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Resolve all settings. `overrides` with value None are ignored.

    Variables that look like ours and name no setting are logged as warnings.
    Raises `InvalidInput` that names the key, the value and where it came from.
    """
    environ = os.environ if environ is None else environ
    named = file or environ.get("VISAVIS_CONFIG")
    path = Path(named) if named else Path("visavis.toml")
    table = _read_toml(path, required=named is not None)
    plugins = table.pop("plugins", {})
    if not isinstance(plugins, dict) or not all(isinstance(value, dict) for value in plugins.values()):
        raise InvalidInput([FieldViolation("plugins", f"in {path} must hold one table a plugin: [plugins.popularity]")])
    kinds = read_kind_rules(table.pop("kinds", {}), str(path))
    values: dict[str, str | int | float | bool] = {setting.name: setting.default for setting in SETTINGS}
    for name, value in table.items():
        values[name] = _cast(_known(name, str(path)), value, str(path))
    for setting in SETTINGS:
        if setting.variable in environ:
            values[setting.name] = _cast(setting, environ[setting.variable], setting.variable)
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name] = _cast(_known(name, "argument"), value, "argument")
    _warn_of_strangers(environ)
    return Settings(values, plugins, kinds)


def _warn_of_strangers(environ: Mapping[str, str]) -> None:
    known = {setting.variable for setting in SETTINGS} | _OTHER_VARIABLES
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in known or name.startswith(_TEST_PREFIX):
            continue
        from difflib import get_close_matches  # for slips only

        # Without what all begin with: it would make all of them look alike.
        close = get_close_matches(name.removeprefix(_PREFIX).lower(), sorted(_BY_NAME), n=1)
        meant = f"did you mean {_BY_NAME[close[0]].variable}? " if close else ""
        log.warning("%s is no setting, and is ignored; %s`visavis settings` lists them all", name, meant)


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        if not required:
            return {}
        raise InvalidInput(f"settings file {path} does not exist; create it or unset VISAVIS_CONFIG") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"settings file {path} is not valid TOML: {error}") from None
    except OSError as error:
        raise InvalidInput(f"settings file {path} cannot be read: {error.strerror}") from None


def _known(name: str, source: str) -> Setting:
    if name not in _BY_NAME:
        raise InvalidInput(
            [
                FieldViolation(
                    name,
                    f"is no setting (from {source}); known are {', '.join(sorted(_BY_NAME))}, [plugins.*], [kinds.*]",
                )
            ]
        )
    return _BY_NAME[name]


def _cast(setting: Setting, value: object, source: str) -> str | int | float | bool:
    kind = type(setting.default)
    try:
        if kind is bool:
            return _as_bool(value)
        if kind is str:
            return _keep_rule(setting, _as_text(value), source)
        number = _as_number(value, whole=kind is int)
    except (TypeError, ValueError, OverflowError):
        wanted = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}[kind]
        raise InvalidInput([FieldViolation(setting.name, f"is {value!r} (from {source}); give {wanted}")]) from None
    if not setting.minimum <= number <= setting.maximum:
        limits = f"{setting.minimum:g} to {setting.maximum:g}"
        raise InvalidInput([FieldViolation(setting.name, f"is {value!r} (from {source}); give {limits}")])
    return number


def _keep_rule(setting: Setting, text: str, source: str) -> str:
    if setting.rule is not None and not setting.rule.holds(text):
        raise InvalidInput([FieldViolation(setting.name, f"is {text!r} (from {source}); give {setting.rule.wanted}")])
    return text


def _as_text(value: object) -> str:
    if not isinstance(value, str | Path):
        raise TypeError
    return str(value)


def _as_number(value: object, *, whole: bool) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    if not whole:
        return float(value)
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError
    return number


def _as_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


__all__ = ["SETTINGS", "Rule", "Setting", "Settings", "load_settings"]
