"""Generates `framework/visavis/api/v1` from the protos beside this file.

    python protos/generate.py [target folder]

The output is committed. It is the same, byte for byte, only with the very version of the generator that is pinned
here, so another version is refused. `tests/test_protos.py` holds protos and output in step.
"""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

GENERATOR = "1.76.0"
PROTOS = Path(__file__).resolve().parent
TARGET = PROTOS.parent / "framework"
PACKAGE = Path("visavis", "api", "v1")


def generate(target: Path) -> None:
    """Write `visavis/api/v1/*_pb2.py`, `.pyi`, `*_pb2_grpc.py` and `openapi.json` under `target`; stale ones go."""
    import openapi
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from grpc_tools import protoc

    folder = target / PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*_pb2*.py*"):
        stale.unlink()
    names = sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / PACKAGE).glob("*.proto"))
    services = [name for name in names if name.endswith("_service.proto")]
    _run(protoc, [f"--python_out={target}", f"--pyi_out={target}", *names])
    _run(protoc, [f"--grpc_python_out={target}", *services])
    with TemporaryDirectory() as scratch:
        descriptors = Path(scratch, "set")
        _run(protoc, ["--include_source_info", f"--descriptor_set_out={descriptors}", *names])
        described = openapi.document(FileDescriptorSet.FromString(descriptors.read_bytes()))
    (folder / "openapi.json").write_text(described, encoding="utf-8")


def include_paths() -> list[str]:
    """Where imports are looked up: our protos, Google's common ones, and those that come with the generator."""
    common = next(path for path in metadata.files("googleapis-common-protos") or () if path.name == "status.proto")
    google = Path(str(common.locate())).parents[2]
    return [str(PROTOS), str(google), str(files("grpc_tools") / "_proto")]


def _run(protoc: object, arguments: list[str]) -> None:
    main = protoc.main  # type: ignore[attr-defined]
    if main(["protoc", *(f"-I{path}" for path in include_paths()), *arguments]):
        raise SystemExit("protoc failed; its messages stand above")


def main() -> None:
    """Check the generator's version, then generate."""
    try:
        found = metadata.version("grpcio-tools")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != GENERATOR:
        raise SystemExit(f"grpcio-tools is {found}, need {GENERATOR}: pip install grpcio-tools=={GENERATOR}")
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)


__all__ = ["GENERATOR", "PACKAGE", "PROTOS", "TARGET", "generate", "include_paths", "main"]

if __name__ == "__main__":
    main()
