"""The OpenAPI document: whole, consistent, true to the protos, and served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from tests.rpc.http.talk import ask, post
from tests.rpc.http.test_calls import CONVERSATION, STREAMING, UNARY
from tests.rpc.standin import Standin

from visavis.rpc.http.errors import NAMES
from visavis.rpc.server import PACKAGE
from visavis.testing.server import serve

FILE = Path(__file__).resolve().parents[3] / "framework" / "visavis" / "api" / "v1" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from parts(one)
    elif isinstance(value, list):
        for one in value:
            yield from parts(one)


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    assert reference.startswith("#/")
    for step in reference[2:].split("/"):
        found = found[step]
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def test_it_is_served_as_it_is(address: str) -> None:
    answer = ask(address, "GET", "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == FILE.read_bytes()
    assert ask(address, "HEAD", "/openapi.json").body == b""


def test_every_unary_call_has_its_place_and_no_stream_has() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    posts = {path for path, verb, _ in operations() if verb == "post"}
    assert posts == {*UNARY, "/grpc.health.v1.Health/Check"}
    assert not posts & set(STREAMING)
    assert {path for path, verb, _ in operations() if verb == "get"} == {"/healthz", "/readyz"}


def test_every_reference_leads_somewhere_and_everything_is_used() -> None:
    references = {one["$ref"] for one in parts(DOCUMENT) if "$ref" in one}
    for reference in references:
        assert resolve(reference)
    named = {f"#/components/{kind}/{name}" for kind in ("schemas", "parameters", "responses")
             for name in DOCUMENT["components"][kind]}  # fmt: skip
    assert named == references


def test_operations_have_names_of_their_own_and_words() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for path, _, operation in operations():
        assert operation["summary"].endswith("."), path
        assert set(operation["tags"]) <= tags
        assert all("description" in resolve(one["$ref"]) if "$ref" in one else one["description"]
                   for one in operation["responses"].values())  # fmt: skip


def message_of(schema: str) -> Any:
    """The protobuf message of a schema."""
    for method in UNARY.values():
        for kind in (method.input_type, method.output_type):
            found = search(kind, schema, set())
            if found is not None:
                return found
    return None


def search(descriptor: Any, name: str, seen: set[str]) -> Any:
    if descriptor.name == name:
        return descriptor
    if descriptor.full_name in seen:
        return None
    seen.add(descriptor.full_name)
    found = (search(field.message_type, name, seen) for field in descriptor.fields if field.message_type)
    return next((one for one in found if one is not None), None)


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - {"Error", "ErrorDetail", "Health"}))
def test_every_schema_is_its_message(name: str) -> None:
    descriptor, schema = message_of(name), SCHEMAS[name]
    assert descriptor is not None
    assert descriptor.full_name == f"{PACKAGE}.{name}"
    assert list(schema["properties"]) == [field.json_name for field in descriptor.fields]
    assert schema["description"]
    for field in descriptor.fields:
        said = schema["properties"][field.json_name]
        assert said["description"], field.name
        if field.is_repeated and not field.message_type:
            assert said["type"] == "array"
        wanted = {FieldDescriptor.TYPE_BOOL: "boolean", FieldDescriptor.TYPE_DOUBLE: "number",
                  FieldDescriptor.TYPE_STRING: "string", FieldDescriptor.TYPE_INT32: "integer"}  # fmt: skip
        if field.type in wanted:
            assert (said["items"] if field.is_repeated else said)["type"] == wanted[field.type]


def test_alternatives_and_what_is_required() -> None:
    assert SCHEMAS["CustomerRef"]["not"] == {"anyOf": [{"required": ["customerId", "identifier"]}]}
    assert len(SCHEMAS["AttributeValue"]["not"]["anyOf"]) == 6
    assert "not" not in SCHEMAS["RecommendRequest"]  # optional fields are no alternatives
    assert SCHEMAS["RecommendRequest"]["required"] == ["customer"]
    assert SCHEMAS["Identifier"]["required"] == ["kind", "value"]
    assert SCHEMAS["SetConsentRequest"]["required"] == ["customer", "consent"]
    assert SCHEMAS["Error"]["properties"]["code"]["enum"] == list(NAMES.values())


@pytest.mark.parametrize(
    ("message", "name", "most"),
    [("BatchRecommendRequest", "customers", 1000), ("UpsertCustomersRequest", "customers", 1000),
     ("UpsertItemsRequest", "items", 1000), ("RecordInteractionsRequest", "interactions", 10_000)],
)  # fmt: skip
def test_lists_say_how_many_they_take(message: str, name: str, most: int) -> None:
    schema = SCHEMAS[message]
    assert name in schema["required"]
    assert (schema["properties"][name]["minItems"], schema["properties"][name]["maxItems"]) == (1, most)


def test_statuses_that_no_code_has_are_told(address: str) -> None:
    said = DOCUMENT["components"]["responses"]["Error"]["description"]
    get, path = "GET", "/visavis.api.v1.AdminService/GetStatus"
    answers = [ask(address, "POST", "/nosuch"), ask(address, get, path), post(address, path, b" " * (5 << 20)),
               ask(address, "POST", path, b"{}", {"Content-Type": "text/plain"}),
               post(address, path, b"{}", {"Host": "shop.example"}),
               post(address, path, b"{}", {f"X-{n}": "y" * 6000 for n in range(3)})]  # fmt: skip
    assert [answer.status for answer in answers] == [404, 405, 413, 415, 421, 431]
    assert all(str(answer.status) in said for answer in answers)


def test_what_is_really_said_fits(shop: Standin) -> None:
    with serve(shop, http_listen="127.0.0.1:0") as server:
        for name, request in CONVERSATION:
            path = f"/{PACKAGE}.{name}"
            operation = DOCUMENT["paths"][path]["post"]
            sent = json_format.MessageToDict(request)
            answer = post(server.http_address, path, request)
            if answer.status == 200:
                check(operation["requestBody"]["content"]["application/json"]["schema"], sent)
                check(operation["responses"]["200"]["content"]["application/json"]["schema"], answer.json)
            else:
                check(
                    resolve(operation["responses"]["default"]["$ref"])["content"]["application/json"]["schema"],
                    answer.json,
                )


_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}


def check(schema: dict[str, Any], value: Any, path: str = "") -> None:
    """What this document uses of JSON Schema."""
    schema = resolve(schema["$ref"]) if "$ref" in schema else schema
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(value, _TYPES[one]) for one in types), path
    if "enum" in schema:
        assert value in schema["enum"], path
    if "pattern" in schema and isinstance(value, str):
        assert re.search(schema["pattern"], value), path
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"]), path
        assert set(schema.get("required", ())) <= set(value), path
        for pair in schema.get("not", {}).get("anyOf", ()):
            assert not set(pair["required"]) <= set(value), path
        for name, one in value.items():
            check(schema["properties"][name], one, f"{path}.{name}")
    elif isinstance(value, dict) and "additionalProperties" in schema:
        for name, one in value.items():
            check(schema["additionalProperties"], one, f"{path}[{name}]")
    elif isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), path
        for row, one in enumerate(value):
            check(schema["items"], one, f"{path}[{row}]")
