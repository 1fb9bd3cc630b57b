"""Describes the calls that HTTP/JSON answers as an OpenAPI 3.1 document, from the protos and their comments.

`generate.py` writes it to `framework/visavis/api/v1/openapi.json`; the server hands it out at `/openapi.json`.
Streams are left out: they need gRPC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

PACKAGE = "visavis.api.v1"
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE, _METHOD = 4, 5, 6, 2  # numbers of fields in the descriptors' own protos
_FIELD, _NESTED, _VALUE = 2, 3, 2
_ERROR = {"$ref": "#/components/responses/Error"}

_ABOUT = """\
The unary calls of Visavis as plain HTTP: POST a JSON object, get one back. It is the Connect protocol, so clients \
generated for it work too; streams (imports, fits, snapshots) need gRPC.

Fields may be named in camelCase, as here, or as in the protos, in snake_case; unknown ones are refused. Answers leave \
out what has its default: 0, false, an empty text or list. Whole numbers of 64 bits come as texts. Errors have one \
form for all calls, see the response `Error`. `application/proto` is taken and answered as well.

A JSON body may have 4 MiB and 250,000 commas and opening brackets, a protobuf body `max_message_mb`; this holds for \
what gzip unpacks, too, which beyond 64 KiB may be 100 times the packed size.
"""
_SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptorProto.TYPE_STRING: {"type": "string"},
    FieldDescriptorProto.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptorProto.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptorProto.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptorProto.TYPE_INT64: {"type": ["string", "integer"], "format": "int64", "pattern": "^-?[0-9]+$"},
    FieldDescriptorProto.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_GOOGLE: dict[str, dict[str, Any]] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+([.][0-9]+)?s$"},
    ".google.protobuf.FieldMask": {"type": "string"},
}


def document(descriptors: FileDescriptorSet) -> str:
    """The document as text. `descriptors` come with their source info."""
    source = _Source(descriptors)
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    tags: list[dict[str, str]] = []
    for service, comment, methods in source.services():
        tags.append({"name": service, "description": comment})
        for method, said in methods:
            if method.client_streaming or method.server_streaming:
                continue
            paths[f"/{PACKAGE}.{service}/{method.name}"] = {"post": _operation(service, method, said)}
            for name in (method.input_type, method.output_type):
                source.describe(name, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Visavis", "version": PACKAGE.rpartition(".")[2], "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "tags": [*tags, {"name": "Health", "description": "Whether the server is there, and whether it is ready."}],
        "paths": {**paths, **_HEALTH_PATHS},
        "components": {
            "schemas": {**dict(sorted(schemas.items())), **_OWN_SCHEMAS},
            "parameters": _PARAMETERS,
            "responses": _RESPONSES,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "id.secret",
                    "description": "A key, where the server asks for them; `visavis keys create` makes one.",
                }
            },
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


class _Source:
    """Messages, enums and services by name, with their comments."""

    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self._files = [file for file in descriptors.file if file.package == PACKAGE]
        self._messages: dict[str, tuple[DescriptorProto, FileDescriptorProto, tuple[int, ...]]] = {}
        self._enums: dict[str, tuple[EnumDescriptorProto, FileDescriptorProto, tuple[int, ...]]] = {}
        self._comments: dict[tuple[str, tuple[int, ...]], str] = {}
        for file in self._files:
            for place in file.source_code_info.location:
                self._comments[file.name, tuple(place.path)] = _flow(place.leading_comments)
            for at, message in enumerate(file.message_type):
                self._enter(f".{PACKAGE}.{message.name}", message, file, (_FILE_MESSAGE, at))
            for at, enum in enumerate(file.enum_type):
                self._enums[f".{PACKAGE}.{enum.name}"] = (enum, file, (_FILE_ENUM, at))

    def _enter(self, name: str, message: DescriptorProto, file: FileDescriptorProto, path: tuple[int, ...]) -> None:
        self._messages[name] = (message, file, path)
        for at, nested in enumerate(message.nested_type):
            self._enter(f"{name}.{nested.name}", nested, file, (*path, _NESTED, at))

    def services(self) -> Iterator[tuple[str, str, list[tuple[MethodDescriptorProto, str]]]]:
        """Name, comment, and methods with their comments."""
        for file in self._files:
            for at, service in enumerate(file.service):
                path = (_FILE_SERVICE, at)
                methods = [
                    (method, self._comment(file, (*path, _METHOD, index)))
                    for index, method in enumerate(service.method)
                ]
                yield service.name, self._comment(file, path), methods

    def describe(self, name: str, schemas: dict[str, Any]) -> None:
        """Put the schema of a message, and of all that it holds, into `schemas`."""
        short = name.rpartition(".")[2]
        if short in schemas:
            return
        message, file, path = self._messages[name]
        schema: dict[str, Any] = {"type": "object", "description": self._comment(file, path), "properties": {}}
        schemas[short] = schema
        required: list[str] = []
        for at, field in enumerate(message.field):
            comment = self._comment(file, (*path, _FIELD, at))
            counts = _counts(comment) if field.label == FieldDescriptorProto.LABEL_REPEATED else {}
            schema["properties"][field.json_name] = {**self._field(field, schemas), **counts, "description": comment}
            if counts or re.search(r"(^|\. |\n)Required[.;]", comment):
                required.append(field.json_name)
        if required:
            schema["required"] = required
        alternatives = [
            [field.json_name for field in message.field if field.HasField("oneof_index") and field.oneof_index == at]
            for at, oneof in enumerate(message.oneof_decl)
            if not oneof.name.startswith("_")  # those of optional fields
        ]
        pairs = [{"required": list(pair)} for names in alternatives for pair in combinations(names, 2)]
        if pairs:
            schema["not"] = {"anyOf": pairs}
            said = " ".join(f"Set at most one of {', '.join(f'`{name}`' for name in names)}." for names in alternatives)
            schema["description"] += f"\n\n{said}"

    def _field(self, field: FieldDescriptorProto, schemas: dict[str, Any]) -> dict[str, Any]:
        entry = self._messages.get(field.type_name)
        if entry is not None and entry[0].options.map_entry:
            return {"type": "object", "additionalProperties": self._one(entry[0].field[1], schemas)}
        one = self._one(field, schemas)
        return {"type": "array", "items": one} if field.label == FieldDescriptorProto.LABEL_REPEATED else one

    def _one(self, field: FieldDescriptorProto, schemas: dict[str, Any]) -> dict[str, Any]:
        if field.type == FieldDescriptorProto.TYPE_MESSAGE:
            if field.type_name in _GOOGLE:
                return dict(_GOOGLE[field.type_name])
            self.describe(field.type_name, schemas)
            return {"$ref": f"#/components/schemas/{field.type_name.rpartition('.')[2]}"}
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            return {"type": "string", "enum": [value.name for value in self._enums[field.type_name][0].value]}
        return dict(_SCALARS[field.type])

    def _comment(self, file: FileDescriptorProto, path: tuple[int, ...]) -> str:
        return self._comments.get((file.name, path), "")


def _operation(service: str, method: MethodDescriptorProto, comment: str) -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name.rpartition('.')[2]}"}}}

    return {
        "operationId": f"{service}_{method.name}",
        "tags": [service],
        "summary": re.split(r"(?<=\.)\s", comment, maxsplit=1)[0],
        "description": comment,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS],
        "requestBody": {"required": True, "content": content(method.input_type)},
        "responses": {"200": {"description": "The answer.", "content": content(method.output_type)}, "default": _ERROR},
    }


def _counts(comment: str) -> dict[str, int]:
    """How many entries a list must have, where its comment says `1 to 1,000` or the like."""
    found = re.search(r"\b1 to ([0-9][0-9,]*[0-9])\b", comment)
    return {"minItems": 1, "maxItems": int(found[1].replace(",", ""))} if found else {}


def _flow(comment: str) -> str:
    """A comment as running text: lines of one paragraph become one line."""
    paragraphs = re.split(r"\n\s*\n", comment.strip())
    return "\n\n".join(" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in paragraphs)


_PARAMETERS: dict[str, Any] = {
    "ProtocolVersion": {
        "name": "Connect-Protocol-Version",
        "in": "header",
        "description": "The version of the Connect protocol; may be left out.",
        "schema": {"type": "string", "const": "1"},
    },
    "TimeoutMs": {
        "name": "Connect-Timeout-Ms",
        "in": "header",
        "description": "How long the caller waits, in milliseconds. Left out: as long as it takes.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,10}$"},
    },
}
_CODES = (
    "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
    "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
    "data_loss", "unauthenticated",
)  # fmt: skip
_OWN_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "description": "What went wrong.",
        "required": ["code"],
        "properties": {
            "code": {"type": "string", "enum": list(_CODES), "description": "What sort of error, for programs."},
            "message": {"type": "string", "description": "One line for a person, which says what to do next."},
            "details": {
                "type": "array",
                "description": "More for programs: `google.rpc.ErrorInfo` with the reason (see `ErrorReason` in the "
                "protos), `google.rpc.BadRequest` with the fields to blame.",
                "items": {"$ref": "#/components/schemas/ErrorDetail"},
            },
        },
    },
    "ErrorDetail": {
        "type": "object",
        "description": "One detail of an error.",
        "required": ["type", "value"],
        "properties": {
            "type": {"type": "string", "description": "The protobuf message, e.g. `google.rpc.BadRequest`."},
            "value": {"type": "string", "description": "The message, binary, as base64 without padding."},
            "debug": {"description": 'The same as JSON, e.g. `{"fieldViolations": [{"field": …}]}`.'},
        },
    },
    "Health": {
        "type": "object",
        "description": "The state of the server.",
        "properties": {"status": {"type": "string", "description": "`UP`, `SERVING` or `NOT_SERVING`."}},
    },
}
_RESPONSES: dict[str, Any] = {
    "Error": {
        "description": "An error. The HTTP status follows from the code, as the Connect protocol says, but for what "
        "HTTP itself is about: 404 (no such path), 405 (not POST), 413 (the body or the answer is too large), 415 "
        "(neither JSON nor protobuf), 421 (a server on loopback was asked for by another name) and 431 (more than "
        "16 KiB of headers). Those have the code that is nearest.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    },
    "Health": {
        "description": "The state.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}},
    },
}
_HEALTH_PATHS: dict[str, Any] = {
    "/grpc.health.v1.Health/Check": {
        "post": {
            "operationId": "Health_Check",
            "tags": ["Health"],
            "summary": "Whether the server, or one service of it, takes calls.",
            "security": [],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "service": {"type": "string", "description": "Empty or unset means the server."}
                            },
                        }
                    }
                },
            },
            "responses": {"200": {"$ref": "#/components/responses/Health"}, "default": _ERROR},
        }
    },
    "/healthz": {
        "get": {
            "operationId": "Health_Live",
            "tags": ["Health"],
            "summary": "Whether the process is up.",
            "security": [],
            "responses": {"200": {"$ref": "#/components/responses/Health"}},
        }
    },
    "/readyz": {
        "get": {
            "operationId": "Health_Ready",
            "tags": ["Health"],
            "summary": "Whether the server takes calls; 503 while it warms up or goes down.",
            "security": [],
            "responses": {
                "200": {"$ref": "#/components/responses/Health"},
                "503": {"$ref": "#/components/responses/Health"},
            },
        }
    },
}

__all__ = ["PACKAGE", "document"]
