"""The one table from errors to gRPC status codes, and the way back.

A status carries `google.rpc.ErrorInfo` always, `google.rpc.BadRequest` where fields are to blame and
`google.rpc.RetryInfo` where there is too much work. Status details travel in HTTP/2 trailers, which clients limit to
8 KiB, so long texts and long lists are cut here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from visavis import errors
from visavis.errors import FieldViolation, InvalidInput, VisavisError

DOMAIN = "visavis"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""Trailer that client libraries which repeat calls by themselves obey; `google.rpc.RetryInfo` says the same."""

CODES: dict[type[VisavisError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.ALREADY_EXISTS,
    errors.NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.PluginError: grpc.StatusCode.INTERNAL,
    errors.StoreError: grpc.StatusCode.INTERNAL,
    errors.NotAStore: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreTooNew: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreInUse: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreBehind: grpc.StatusCode.DATA_LOSS,
    errors.StoreDamaged: grpc.StatusCode.DATA_LOSS,
    errors.StoreUnwritable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.VisavisError: grpc.StatusCode.INTERNAL,
}

# Reasons whose class the status code alone does not tell; every other reason belongs to its code's first class.
_CLASS_BY_REASON: dict[str, type[VisavisError]] = {
    cls.reason: cls for cls in CODES if cls is not errors.VisavisError
} | {"INTERNAL": errors.VisavisError}
_CLASS_BY_CODE: dict[grpc.StatusCode, type[VisavisError]] = {
    code: cls for cls, code in reversed(CODES.items()) if cls is not errors.PluginError and cls is not errors.StoreError
}

_MESSAGE_BYTES = 600
_VIOLATIONS_BYTES = 2000
_VIOLATION_BYTES = 300
_METADATA_BYTES = 800
_VIOLATION_COUNT = "violation_count"
LEAST_PAUSE_S = 0.5
"""What callers who met too much work are asked to wait, on average, while they are few."""


def code_of(error: VisavisError) -> grpc.StatusCode:
    """The status code of an error: its class's, or its nearest parent's."""
    return next(CODES[cls] for cls in type(error).__mro__ if cls in CODES)


def to_status(error: VisavisError, pause_s: float = LEAST_PAUSE_S) -> status_pb2.Status:
    """The error as `google.rpc.Status`, small enough for trailers.

    `pause_s`: what a caller who met too much work should wait, on average; ignored for other errors. Each is told
    another time around it, so that callers who are refused together do not come back together.
    """
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    left = _METADATA_BYTES
    for key, value in error.metadata.items():
        text = _cut(str(value), 200)
        left -= len(key.encode()) + len(text.encode())
        if left >= 0:
            info.metadata[key] = text
    details = [info]
    if isinstance(error, InvalidInput) and error.violations:
        info.metadata[_VIOLATION_COUNT] = str(len(error.violations))
        details.append(_bad_request(error.violations))
    if error.reason == errors.Overloaded.reason:
        pause_s = max(pause_s, int(error.metadata.get("wait_ms", 0)) / 1000)
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(pause_s * random.uniform(0.5, 1.5) * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code_of(error).value[0], message=_cut(_one_line(error.message), _MESSAGE_BYTES))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def from_status(status: status_pb2.Status) -> VisavisError:
    """The error that a status stands for, looked up in static tables."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    code = next((code for code in grpc.StatusCode if code.value[0] == status.code), grpc.StatusCode.UNKNOWN)
    metadata = dict(info.metadata)
    metadata.pop(_VIOLATION_COUNT, None)
    cls = _CLASS_BY_REASON.get(info.reason, VisavisError)
    if CODES[cls] is not code:  # a reason that other classes use too
        cls = _CLASS_BY_CODE.get(code, VisavisError)
    if not issubclass(cls, InvalidInput):
        return cls(status.message, reason=info.reason or None, metadata=metadata)
    violations = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
    invalid = cls(violations or status.message, reason=info.reason or None, metadata=metadata)
    # The message counts violations that were cut from the list.
    invalid.message = status.message
    invalid.args = (status.message,)
    return invalid


def from_call(error: grpc.RpcError, address: str) -> VisavisError:
    """The error that a failed call to `address` stands for."""
    call: grpc.Call = error
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY:
            with suppress(DecodeError):  # damaged on the way: the code still counts
                return from_status(status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode()))
    return _foreign(call.code(), call.details() or "", address)


def _foreign(code: grpc.StatusCode, details: str, address: str) -> VisavisError:
    """An error that gRPC itself made, or a proxy between."""
    said = f"{_cut(_one_line(details), 200)} ({code.name})"
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return errors.Unavailable(f"no answer from a server at {address}; is it running? {said}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(f"no answer from {address} in the time given; give more time")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return InvalidInput(f"the message is too large; send or ask for less at once: {said}")
        case grpc.StatusCode.CANCELLED:
            return errors.Overloaded(
                f"the server at {address} has too much to do and dropped the call; try again later"
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return errors.NotFound(
                f"the server at {address} does not know this call; is it older than this client? {said}"
            )
        case _:
            return _CLASS_BY_CODE.get(code, VisavisError)(f"the server at {address} answered: {said}")


def _bad_request(violations: Iterable[FieldViolation]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    left = _VIOLATIONS_BYTES
    for violation in violations:
        field, description = _cut(violation.field, 200), _cut(_one_line(violation.description), _VIOLATION_BYTES)
        left -= len(field.encode()) + len(description.encode())
        if left < 0:
            break
        bad.field_violations.add(field=field, description=description)
    return bad


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8; surrogates, which no message can carry, are replaced."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode(errors="ignore") + "…"


__all__ = [
    "CODES",
    "DETAILS_KEY",
    "DOMAIN",
    "LEAST_PAUSE_S",
    "PUSHBACK_KEY",
    "code_of",
    "from_call",
    "from_status",
    "to_status",
]
