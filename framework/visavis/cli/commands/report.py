"""`visavis report`: what was found, as one HTML file that needs nothing else."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from visavis.cli.commands import evaluate
from visavis.cli.options import add_command
from visavis.cli.output import Output
from visavis.errors import InvalidInput, VisavisError


def add(commands: Any) -> None:
    """Describe the command."""
    parser = add_command(
        commands,
        "report",
        run,
        help="an evaluation as one HTML page with plots",
        description="Evaluates as `visavis evaluate` does, and writes one self-contained HTML file.",
        example="visavis report evaluation --out evaluation.html --data shop.duckdb",
    )
    parser.add_argument("subject", choices=("evaluation",), metavar="SUBJECT", help="what about: evaluation")
    parser.add_argument("--out", metavar="FILE", default="evaluation.html", help="default: evaluation.html")
    parser.add_argument("--replace", action="store_true", help="write over a file that is there")
    evaluate.add_asked(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Evaluate and write the page."""
    from visavis.customize.evaluation.page import page_of

    path = Path(args.out)
    if path.exists() and not args.replace:
        raise InvalidInput(f"--out: {path} is there already; say --replace to write over it, or name another file")
    if not path.parent.is_dir():
        raise InvalidInput(f"--out: there is no folder {path.parent}; make it, or name another file")
    report = evaluate.evaluated(args)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(page_of(report), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise VisavisError(f"{path} could not be written: {error.strerror}; name another file with --out") from None
    if out.as_json:
        out.json({"path": str(path), "evaluation": report})
    else:
        out.line(f"wrote {path}")
    return evaluate.tell_failures(args, report)


__all__ = ["add", "run"]
