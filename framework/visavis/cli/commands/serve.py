"""`visavis serve`: answer over gRPC, and over HTTP if asked, until a stop signal."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import Any

from visavis.cli.options import add_command
from visavis.cli.output import Output, safe
from visavis.cli.session import private_log, settings_of
from visavis.config import SETTINGS, Settings

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
        interrupted="what was acknowledged is written",
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
    from visavis.engine import open_engine
    from visavis.rpc.key_file import keys_path
    from visavis.rpc.server import Server
    from visavis.rpc.server import run as serve

    def serving(server: Server) -> None:
        # What is loaded stays as long as the process: without this every full search for garbage goes through all of
        # it, and no call is answered meanwhile (80 ms with 50,000 customers).
        gc.collect()
        gc.freeze()
        if out.as_json:
            answer = {"address": server.address, "data": str(settings.data), "pid": os.getpid()}
            out.json({**answer, "http_address": server.http_address, "asks_for_keys": server.asks_for_keys})
        else:
            places = f"{server.address} and {server.http_address}" if server.http_address else server.address
            out.line(f"serving {settings.data} at {places}; stop with Ctrl-C or `kill {os.getpid()}`")
            if not server.asks_for_keys:
                out.line("no keys: whoever reaches this address may do everything; `visavis keys create` ends that")
        if server.asks_for_keys and not _any_good(settings):
            path = keys_path(settings)
            text = f"no key in {path} is good any more, so every call is refused; `visavis keys create` makes one"
            print(f"visavis: warning: {safe(text)}", file=sys.stderr)
        out.flush()

    create = args.create
    with private_log(settings.data), open_engine(settings=settings, create=create, purpose="visavis serve") as engine:
        serve(engine, serving)
    if not out.as_json:
        out.line("stopped; everything is written")
    return 0


def _any_good(settings: Settings) -> bool:
    """Whether a client can have a key that is good now."""
    from visavis.rpc.key_file import keys_path, now, read_keys

    keys = read_keys(keys_path(settings)) or {}
    return any(key.state(now()) == "valid" for key in keys.values())


__all__ = ["add", "run"]
