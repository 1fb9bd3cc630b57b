"""Checks the protos beside this file with buf: that they follow the rules, and that the API only grew.

    python protos/baseline.py             lint them, and compare them with the baseline
    python protos/baseline.py --release   the same; then the API as it stands becomes the baseline

The baseline, `baseline.binpb`, is the API as of the last release: a serialized FileDescriptorSet without comments. What
was added since may still change; what the baseline holds may not. buf comes from npm (`npm ci --prefix protos`), and
after that nothing needs the network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from generate import PACKAGE, PROTOS, include_paths

BASELINE = PROTOS / "baseline.binpb"
RULES = PROTOS / "buf.yaml"
BUF = PROTOS / "node_modules" / ".bin" / "buf"


def image(protos: Path, target: Path, *, comments: bool) -> None:
    """Write the protos under the folder `protos`, with all that they import, as one FileDescriptorSet."""
    from grpc_tools import protoc

    names = sorted(path.relative_to(protos).as_posix() for path in (protos / PACKAGE).glob("*.proto"))
    includes = [f"-I{path}" for path in (protos, *include_paths()[1:])]  # the first is the folder of our own protos
    wanted = ["--include_imports", *(["--include_source_info"] if comments else [])]
    if protoc.main(["protoc", *includes, *wanted, f"--descriptor_set_out={target}", *names]):
        raise SystemExit("protoc failed; its messages stand above")


def findings(protos: Path, baseline: Path) -> list[str]:
    """What buf has to say against the protos under the folder `protos`, one line each; empty if all is well."""
    with tempfile.TemporaryDirectory() as scratch:
        current = Path(scratch, "api.binpb")
        image(protos, current, comments=True)
        lint = _buf("lint", str(current))
        breaking = _buf("breaking", str(current), "--against", str(baseline))
    return [*(f"lint: {line}" for line in lint), *(f"breaking: {line}" for line in breaking)]


def _buf(*arguments: str) -> list[str]:
    command = [str(BUF), *arguments, "--config", str(RULES)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 100):  # 100 means findings
        raise SystemExit(f"buf {arguments[0]} failed: {run.stderr.strip()}")
    return run.stdout.splitlines()


def main() -> None:
    """Check, and with `--release` make the API as it stands the baseline."""
    if sys.argv[1:] not in ([], ["--release"]):
        raise SystemExit("usage: python protos/baseline.py [--release]")
    if not BUF.exists():
        raise SystemExit("buf is not installed; run: npm ci --prefix protos")
    if found := findings(PROTOS, BASELINE):
        print(*found, sep="\n", file=sys.stderr)
        raise SystemExit(f"{len(found)} found; see the rules in protos/buf.yaml")
    if sys.argv[1:]:
        image(PROTOS, BASELINE, comments=False)
    print(f"the protos follow the rules, and {'are the baseline now' if sys.argv[1:] else 'only grew'}")


__all__ = ["BASELINE", "BUF", "PROTOS", "RULES", "findings", "image", "main"]

if __name__ == "__main__":
    main()
