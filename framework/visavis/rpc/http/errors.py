"""Errors as the Connect protocol writes them: a JSON object, and an HTTP status for each code."""

from __future__ import annotations

import base64
import json
from typing import Any

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from visavis.errors import Overloaded

NAMES: dict[int, str] = {code.value[0]: code.name.lower() for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
NAMES[grpc.StatusCode.CANCELLED.value[0]] = "canceled"
"""Connect's name of each code."""

HTTP_STATUS: dict[str, int] = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}
"""The protocol's HTTP status of each code."""

_TOO_LARGE = "MESSAGE_TOO_LARGE"
_DETAILS: dict[str, Any] = {
    cls.DESCRIPTOR.full_name: cls
    for cls in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
}


def too_large(what: str, limit: int, way_out: str = " (max_message_mb); send or ask for less at once") -> Overloaded:
    """The error of a message of more than `limit` bytes, with the code that gRPC has for it."""
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return Overloaded(
        f"{what} is larger than {size}{way_out}",
        reason="MESSAGE_TOO_LARGE",
        metadata={"limit": str(limit)},
    )


def http_status(status: status_pb2.Status) -> int:
    """The HTTP status of an error."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(info)
    # Where there are two, the narrower: a client that reads 429 would come back with the same body.
    return 413 if info.reason == _TOO_LARGE else HTTP_STATUS[NAMES.get(status.code, "unknown")]


def error_headers(status: status_pb2.Status) -> dict[str, str]:
    """Headers that go with an error: for too much work, when to come back."""
    pause = error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(pause)
    seconds = pause.retry_delay.seconds + (pause.retry_delay.nanos > 0)
    return {"Retry-After": str(seconds)} if seconds else {}


def error_body(status: status_pb2.Status) -> bytes:
    """The JSON text of an error."""
    error: dict[str, object] = {"code": NAMES.get(status.code, "unknown"), "message": status.message}
    if status.details:
        error["details"] = [_detail(detail) for detail in status.details]
    return json.dumps(error, ensure_ascii=False).encode()


def _detail(packed: Any) -> dict[str, object]:
    name = packed.TypeName()
    # The protocol wants base64 without padding, and a readable form beside it.
    detail: dict[str, object] = {"type": name, "value": base64.b64encode(packed.value).decode().rstrip("=")}
    if name in _DETAILS:
        detail["debug"] = json_format.MessageToDict(_DETAILS[name].FromString(packed.value))
    return detail


__all__ = ["HTTP_STATUS", "NAMES", "error_body", "error_headers", "http_status", "too_large"]
