"""A plain HTTP client, and one of raw bytes for what no client would send."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from google.protobuf import json_format
from google.protobuf.message import Message

RECOMMEND = "/visavis.api.v1.RecommendationService/Recommend"
RECORD = "/visavis.api.v1.InteractionService/RecordInteractions"
ANN = b'{"customer": {"customerId": "ann"}, "n": 1}'


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["code"])

    @property
    def message(self) -> str:
        """The line of an error."""
        return str(self.json["message"])

    @property
    def reason(self) -> str:
        """The reason of an error."""
        return str(self.json["details"][0]["debug"]["reason"])

    @property
    def fields(self) -> list[str]:
        """The fields that an error blames."""
        found = [one for one in self.json["details"] if one["type"] == "google.rpc.BadRequest"]
        return [violation["field"] for one in found for violation in one["debug"]["fieldViolations"]]


def ask(
    address: str,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One request on a connection of its own."""
    place = urlsplit(address)
    assert place.hostname is not None
    if place.scheme == "https":
        connection = http.client.HTTPSConnection(place.hostname, place.port, timeout=20, context=tls)
    else:
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers or {}))
        got = connection.getresponse()
        return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
    finally:
        connection.close()


def post(
    address: str,
    path: str,
    body: Any = ANN,
    headers: Mapping[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """A call. A message goes as JSON."""
    if isinstance(body, Message):
        body = json_format.MessageToJson(body).encode()
    return ask(address, "POST", path, body, {"Content-Type": "application/json", **(headers or {})}, tls=tls)


def raw(address: str) -> socket.socket:
    """A connection to write bytes to."""
    place = urlsplit(address)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def head(path: str = RECOMMEND, length: int | None = len(ANN), **headers: str) -> bytes:
    """The head of a call, as bytes."""
    lines = {"Host": "localhost", "Content-Type": "application/json"}
    if length is not None:
        lines["Content-Length"] = str(length)
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{text}\r\n".encode()


def drain(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    got = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return got
        if not part:
            return got
        got += part


__all__ = ["ANN", "RECOMMEND", "RECORD", "Answer", "ask", "drain", "head", "post", "raw"]
