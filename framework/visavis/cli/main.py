"""The entry point: which commands there are, and how every one of them ends.

Exit codes: 0 done, 1 refused or failed with one clear line, 2 the command line itself is wrong, 130 interrupted,
141 the reader of our output went away. Only errors that nobody foresaw show a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from visavis._version import __version__
from visavis.cli.commands import (
    backup,
    compact,
    consent,
    demo,
    doctor,
    evaluate,
    fit,
    import_file,
    keys,
    kinds,
    plugins,
    profile,
    recommend,
    report,
    restore,
    segments,
    send,
    serve,
    settings,
    similar,
    snapshot,
    status,
)
from visavis.cli.options import add_everywhere
from visavis.cli.output import Output, safe
from visavis.cli.warnings import warnings_told
from visavis.errors import InvalidInput, VisavisError

COMMANDS = (
    import_file,
    fit,
    evaluate,
    report,
    recommend,
    similar,
    profile,
    segments,
    consent,
    send,
    serve,
    keys,
    plugins,
    snapshot,
    backup,
    restore,
    compact,
    status,
    settings,
    kinds,
    doctor,
    demo,
)

_EPILOG = """\
examples:
  visavis demo                                      see it work, with a simulated shop
  visavis import sales.csv --data shop.duckdb       make a store of a sales file
  visavis fit --data shop.duckdb
  visavis recommend 17850 --data shop.duckdb
  visavis COMMAND --help                            what a command takes, with an example

The store is --data, else VISAVIS_DATA, else visavis.duckdb. While a server owns it, commands go through the server.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="visavis",
        description="One-to-one marketing: what to offer each single customer, and because of what.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"visavis {__version__}")
    add_everywhere(parser, defaults=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code. `argv` None means the process's own arguments.

    A wrong command line raises `SystemExit(2)`, `--help` and `--version` raise `SystemExit(0)`.
    """
    # gRPC would write of its own troubles, such as a port in use, beside the one line in which we do.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _never_fail_on_a_character(sys.stdout)
    _never_fail_on_a_character(sys.stderr)
    try:
        return _run(argv)
    except VisavisError as error:
        for line in _lines(error):
            print(f"visavis: {safe(line)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("visavis: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = build_parser().parse_args(argv)
    except SystemExit:
        sys.stdout.flush()
        raise
    out = Output(sys.stdout, as_json=args.format == "json")
    try:
        with warnings_told(sys.stderr):
            code: int = args.run(args, out)
    except KeyboardInterrupt:
        print(f"visavis: interrupted; {args.interrupted}", file=sys.stderr)
        return 130
    out.flush()
    return code


def _lines(error: VisavisError) -> list[str]:
    if isinstance(error, InvalidInput) and len(error.violations) > 1:
        return [f"{violation.field}: {violation.description}" for violation in error.violations]
    return [error.message]


def _never_fail_on_a_character(stream: TextIO) -> None:
    # What a terminal's encoding lacks, and lone surrogates everywhere, are written as escapes.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


__all__ = ["COMMANDS", "build_parser", "main"]
