"""`visavis serve`: answer over gRPC, and over HTTP if asked, until a stop signal."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.cli.session import settings_of
from visavis.config import SETTINGS
from visavis.errors import FieldViolation, InvalidInput

# The settings that have an option; their help is the table's.
_OPTIONS = (
    "listen",
    "http_listen",
    "cors_origins",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "keys_file",
    "allow_plaintext",
    "allow_no_keys",
    "max_message_mb",
    "max_concurrent_rpcs",
    "executor_threads",
    "shutdown_grace_s",
    "log_level",
)
_SHORT = {"http_listen": "--http"}
_LEVELS = ("debug", "info", "warning", "error")


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "serve",
        run,
        help="answer over gRPC until a stop signal",
        description="Answer over gRPC, and with --http over HTTP/JSON, until SIGTERM or Ctrl-C. "
        "Other addresses than loopback need TLS and keys.",
        example="visavis serve --data shop.duckdb --listen 127.0.0.1:50051",
    )
    parser.add_argument("--create", action="store_true", help="make an empty store if there is none")
    for setting in SETTINGS:
        if setting.name not in _OPTIONS:
            continue
        option = _SHORT.get(setting.name, f"--{setting.name.replace('_', '-')}")
        if isinstance(setting.default, bool):
            parser.add_argument(option, dest=setting.name, action="store_const", const=True, help=setting.help)
        else:
            text = f"{setting.help} (default: {setting.default})" if setting.default != "" else setting.help
            parser.add_argument(option, dest=setting.name, metavar="VALUE", help=text)


def run(args: argparse.Namespace, out: Output) -> int:
    """Serve until told to stop."""
    settings = settings_of(args, **{name: getattr(args, name) for name in _OPTIONS})
    level = settings["log_level"]
    if level not in _LEVELS:
        raise InvalidInput([FieldViolation("log_level", f"is {level!r}; give {', '.join(_LEVELS)}")])
    from visavis.engine import open_engine
    from visavis.rpc.server import Server
    from visavis.rpc.server import run as serve

    def serving(server: Server) -> None:
        if out.as_json:
            answer = {"address": server.address, "data": str(settings.data), "pid": os.getpid()}
            out.json({**answer, "http_address": server.http_address, "asks_for_keys": server.asks_for_keys})
        else:
            places = f"{server.address} and {server.http_address}" if server.http_address else server.address
            out.line(f"serving {settings.data} at {places}; stop with Ctrl-C or `kill {os.getpid()}`")
            if not server.asks_for_keys:
                out.line("no keys: whoever reaches this address may do everything; `visavis keys create` ends that")
        out.flush()

    _keep_private(settings.data)
    with open_engine(settings=settings, create=args.create, purpose="visavis serve") as engine:
        serve(engine, serving)
    if not out.as_json:
        out.line("stopped; everything is written")
    return 0


def _keep_private(data: Path) -> None:
    """See to it that the log that DuckDB makes beside the store can be read by those only who may read the store.

    The mask holds for the whole process, which does nothing but serve.
    """
    try:
        shared = data.stat().st_mode
    except OSError:
        shared = 0  # a new store is its owner's alone
    os.umask(os.umask(0o077) | (0o066 & ~shared))


__all__ = ["add", "run"]
