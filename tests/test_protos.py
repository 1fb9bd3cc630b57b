"""The API holds its own rules, its generated code is in step, and every call of it is implemented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from visavis import errors
from visavis.api.v1 import error_reason_pb2
from visavis.plugin import Registry
from visavis.rpc.server import PACKAGE, SERVICES

ROOT = Path(__file__).resolve().parent.parent
GENERATE = ROOT / "protos" / "generate.py"
FOLDER = ROOT / "protos" / "visavis" / "api" / "v1"
GENERATED = ROOT / "framework" / "visavis" / "api" / "v1"

# Calls that change nothing that a repeat could change twice.
READS = {
    "Evaluate",
    "CreateBackup", "CreateSnapshot", "GetItem", "GetProfile", "GetStatus", "ListItems", "ListPlugins",
    "ListSegmentMembers", "ListSegments", "ListSimilarItems", "Recommend", "BatchRecommend",
}  # fmt: skip
# Lists that come whole: ranked, and bounded by `n`.
RANKED = {"ListSimilarItems"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """Our protos with their comments."""
    target = tmp_path_factory.mktemp("descriptors") / "set"
    code = (
        "import sys, generate\nfrom grpc_tools import protoc\n"
        "paths = [f'-I{path}' for path in generate.include_paths()]\n"
        "sys.exit(protoc.main(['protoc', *paths, '--include_source_info', *sys.argv[1:]]))"
    )
    names = [path.relative_to(GENERATE.parent).as_posix() for path in sorted(FOLDER.glob("*.proto"))]
    arguments = [sys.executable, "-c", code, f"--descriptor_set_out={target}", *names]
    subprocess.run(arguments, cwd=GENERATE.parent, check=True)
    return list(FileDescriptorSet.FromString(target.read_bytes()).file)


def services(files: list[FileDescriptorProto]) -> Iterator[tuple[FileDescriptorProto, ServiceDescriptorProto]]:
    return ((file, service) for file in files for service in file.service)


def messages(files: list[FileDescriptorProto]) -> dict[str, DescriptorProto]:
    """Messages by name, without the entries of maps."""
    return {message.name: message for file in files for message in file.message_type}


def commented(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Every named thing of a file with its leading comment."""
    comments = {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}

    def message(proto: DescriptorProto, path: tuple[int, ...], name: str) -> Iterator[tuple[str, str]]:
        yield name, comments.get(path, "")
        for at, field in enumerate(proto.field):
            yield f"{name}.{field.name}", comments.get((*path, 2, at), "")
        for at, oneof in enumerate(proto.oneof_decl):
            if not oneof.name.startswith("_"):
                yield f"{name}.{oneof.name}", comments.get((*path, 8, at), "")
        for at, nested in enumerate(proto.nested_type):
            if not nested.options.map_entry:
                yield from message(nested, (*path, 3, at), f"{name}.{nested.name}")

    def enum(proto: EnumDescriptorProto, path: tuple[int, ...]) -> Iterator[tuple[str, str]]:
        yield proto.name, comments.get(path, "")
        for at, value in enumerate(proto.value):
            yield value.name, comments.get((*path, 2, at), "")

    for at, service in enumerate(file.service):
        yield service.name, comments.get((6, at), "")
        for index, method in enumerate(service.method):
            yield f"{service.name}.{method.name}", comments.get((6, at, 2, index), "")
    for at, proto in enumerate(file.message_type):
        yield from message(proto, (4, at), proto.name)
    for at, kind in enumerate(file.enum_type):
        yield from enum(kind, (5, at))


def test_generated_code_is_in_step(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(GENERATE), str(tmp_path)], check=True)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "visavis" / "api" / "v1").iterdir()}
    kept = [*GENERATED.glob("*_pb2*.py*"), GENERATED / "openapi.json"]
    committed = {path.name: path.read_bytes() for path in kept}
    assert committed.keys() == fresh.keys(), "run: python protos/generate.py"
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, "run: python protos/generate.py"


def test_another_generator_is_refused() -> None:
    code = "import generate; generate.GENERATOR = '0.0.1'; generate.main()"
    run = subprocess.run([sys.executable, "-c", code], cwd=GENERATE.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.strip().endswith("need 0.0.1: pip install grpcio-tools==0.0.1")
    assert len(run.stderr.splitlines()) == 1


def test_every_rpc_is_implemented(files: list[FileDescriptorProto]) -> None:
    assert [service.name for _, service in services(files)] == [name for name, _, _ in SERVICES]
    for (file, service), (_, servicer, _) in zip(services(files), SERVICES, strict=True):
        generated = import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2_grpc")
        base = getattr(generated, f"{service.name}Servicer")
        assert inspect.isclass(servicer)
        assert issubclass(servicer, base)
        wanted = {method.name for method in service.method}
        assert {name for name in vars(base) if name[0].isupper()} == wanted
        assert {name for name in vars(servicer) if name[0].isupper()} == wanted


def test_files_and_packages(files: list[FileDescriptorProto]) -> None:
    for file in files:
        path = Path(file.name)
        assert file.package == PACKAGE == ".".join(path.parts[:-1])
        assert re.fullmatch(r"[a-z][a-z0-9_]*\.proto", path.name)
        assert len(file.service) == (1 if path.stem.endswith("_service") else 0)
        for service in file.service:
            assert service.name.lower() == path.stem.replace("_", "")


def test_everything_has_a_comment(files: list[FileDescriptorProto]) -> None:
    bare = [name for file in files for name, comment in commented(file) if len(comment) < 4]
    assert not bare
    ragged = [name for file in files for name, comment in commented(file) if not comment.endswith((".", "reading."))]
    assert not ragged


def test_every_rpc_has_its_own_messages(files: list[FileDescriptorProto]) -> None:
    used: list[str] = []
    for file, service in services(files):
        own = [message.name for message in file.message_type]
        for method in service.method:
            pair = [f"{method.name}Request", f"{method.name}Response"]
            assert [method.input_type, method.output_type] == [f".{PACKAGE}.{name}" for name in pair]
            assert set(pair) <= set(own)
            used += pair
        in_call_order = [name for name in own if name in used]
        assert in_call_order == [
            f"{method.name}{end}" for method in service.method for end in ("Request", "Response")
        ], file.name
    assert len(used) == len(set(used))
    loose = [name for name in messages(files) if name.endswith(("Request", "Response")) and name not in used]
    assert not loose


def test_mutations_take_a_request_id(files: list[FileDescriptorProto]) -> None:
    all_messages = messages(files)
    methods = {method.name for _, service in services(files) for method in service.method}
    assert methods >= READS
    for name in methods - READS:
        request = all_messages[f"{name}Request"]
        fields = {field.name for field in request.field}
        if name == "ImportFile":  # a stream whose first message is the options
            fields = {field.name for field in all_messages["ImportOptions"].field}
        assert "request_id" in fields, name


def test_lists_page(files: list[FileDescriptorProto]) -> None:
    all_messages = messages(files)
    for _, service in services(files):
        for method in service.method:
            if not method.name.startswith("List") or method.name in RANKED:
                continue
            assert not method.server_streaming, method.name
            request = {field.name: field for field in all_messages[f"{method.name}Request"].field}
            assert request["page_size"].type == FieldDescriptorProto.TYPE_INT32, method.name
            assert request["page_token"].type == FieldDescriptorProto.TYPE_STRING, method.name
            assert "next_page_token" in {f.name for f in all_messages[f"{method.name}Response"].field}, method.name


def test_updates_take_a_mask(files: list[FileDescriptorProto]) -> None:
    upserts = [message for name, message in messages(files).items() if re.fullmatch(r"(Upsert|Update)\w+Request", name)]
    assert upserts
    for message in upserts:
        types = {field.name: field.type_name for field in message.field}
        assert types["update_mask"] == ".google.protobuf.FieldMask", message.name


def test_fields_follow_the_rules(files: list[FileDescriptorProto]) -> None:
    integers = {
        FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.TYPE_INT64, FieldDescriptorProto.TYPE_UINT32,
        FieldDescriptorProto.TYPE_UINT64,
    }  # fmt: skip
    for name, message in messages(files).items():
        maps = {
            f".{PACKAGE}.{name}.{entry.name}": {field.name: field for field in entry.field}
            for entry in message.nested_type
            if entry.options.map_entry
        }
        for field in message.field:
            where = f"{name}.{field.name}"
            assert re.fullmatch(r"[a-z][a-z0-9_]*", field.name), where
            if field.name.endswith("_at") or field.name == "at":
                assert field.type_name == ".google.protobuf.Timestamp", where
            if field.type_name == ".google.protobuf.Timestamp":
                assert field.name.endswith("_at") or field.name == "at", where
            if field.name.endswith("_count"):
                assert field.type in integers, where
            if field.name.endswith("_id") and name != "StreamInteractionsRequest":  # columns hold positions of texts
                assert field.type == FieldDescriptorProto.TYPE_STRING, where
            if field.name in {"price", "amount"}:
                assert field.type_name == f".{PACKAGE}.Money", where
            assert field.type_name not in {".google.protobuf.Struct", ".google.protobuf.Value", ".google.protobuf.Any"}
            if field.type_name in maps and maps[field.type_name]["value"].type == FieldDescriptorProto.TYPE_MESSAGE:
                assert field.name == "attributes", where


def test_enums_follow_the_rules(files: list[FileDescriptorProto]) -> None:
    enums = [enum for file in files for enum in file.enum_type]
    enums += [enum for message in messages(files).values() for enum in message.enum_type]
    assert enums
    for enum in enums:
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
        assert (enum.value[0].number, enum.value[0].name) == (0, f"{prefix}UNSPECIFIED")
        assert all(value.name.startswith(prefix) for value in enum.value)


def reasons_in_code() -> dict[str, set[str]]:
    """Reasons → places: of the error classes, and those that code gives to errors."""
    classes = {name: getattr(errors, name) for name in errors.__all__ if name != "FieldViolation"}
    found: dict[str, set[str]] = {}
    for name, cls in classes.items():
        found.setdefault(cls.reason, set()).add(name)
    for path in (*ROOT.glob("framework/visavis/**/*.py"), *ROOT.glob("plugins/visavis_plugins/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            callee = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                if keyword.arg == "reason" and callee in classes and isinstance(keyword.value, ast.Constant):
                    found.setdefault(str(keyword.value.value), set()).add(f"{path.name}:{node.lineno}")
    return found


def test_error_reasons_are_those_of_the_code() -> None:
    documented = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert documented - {"UNSPECIFIED"} == reasons_in_code().keys()


def test_error_reasons_document_code_and_metadata(files: list[FileDescriptorProto]) -> None:
    (file,) = [file for file in files if file.enum_type]
    for name, comment in commented(file):
        if name.startswith("ERROR_REASON_") and not name.endswith("UNSPECIFIED"):
            assert re.search(r"Code [A-Z_]+\.", comment), name
            assert "Metadata:" in comment, name


def test_plugin_kinds_are_documented(files: list[FileDescriptorProto], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nosuch_module\n")
    (tmp_path / "hears.py").write_text(
        "from visavis import hookimpl\n\n\n@hookimpl\ndef visavis_interactions_recorded(context):\n    pass\n"
    )
    kinds = {info.kind for info in Registry.load(plugins_dir=tmp_path).infos()}
    assert kinds == {"scorer", "segmenter", "channel", "observer", "module"}
    (comment,) = [comment for file in files for name, comment in commented(file) if name == "Plugin.kind"]
    assert kinds == set(re.findall(r"`(\w+)`", comment))
