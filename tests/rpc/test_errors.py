from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.test_protos import reasons_in_code

from visavis import errors
from visavis.errors import FieldViolation, InvalidInput, VisavisError
from visavis.rpc.caller import _pause_asked
from visavis.rpc.errors import CODES, code_of, from_call, from_status, to_status

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "FieldViolation"]


def test_every_error_class_has_a_code() -> None:
    assert set(CODES) == set(CLASSES)
    assert grpc.StatusCode.OK not in CODES.values()


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_come_back_as_they_went(cls: type[VisavisError]) -> None:
    error = cls("what, where, what to do", metadata={"path": "shop.duckdb"})
    back = from_status(to_status(error))
    assert type(back) is cls
    assert (back.message, str(back), back.reason) == (error.message, error.message, cls.reason)
    assert back.metadata == error.metadata


def test_reasons_given_in_code_keep_their_class() -> None:
    plain = {cls.reason for cls in CLASSES}
    special = reasons_in_code().keys() - plain
    assert special
    for cls in (errors.NotFound, errors.Conflict, errors.InvalidInput):
        for reason in special:
            back = from_status(to_status(cls("text", reason=reason)))
            assert (type(back), back.reason) == (cls, reason)


def test_a_reason_that_several_classes_use_follows_the_code() -> None:
    assert type(from_status(to_status(errors.NotFound("no file", reason="NOT_A_STORE")))) is errors.NotFound
    assert type(from_status(to_status(errors.NotAStore("no store")))) is errors.NotAStore


def test_subclasses_made_elsewhere_take_their_parents_code() -> None:
    class Odd(errors.StoreDamaged):
        pass

    assert code_of(Odd("x")) is grpc.StatusCode.DATA_LOSS


def test_violations_come_back() -> None:
    violations = (FieldViolation("interactions[3].kind", "is 'X'"), FieldViolation("n", "is 0"))
    back = from_status(to_status(InvalidInput(violations)))
    assert isinstance(back, InvalidInput)
    assert back.violations == violations
    assert back.message == "interactions[3].kind: is 'X' (and 1 more field)"


@pytest.mark.parametrize("letter", ["x", "é", "☕", "\x00", "\n", "\ud800"])
def test_statuses_fit_into_trailers(letter: str) -> None:
    violations = [FieldViolation(f"items[{row}]." + letter * 5000, letter * 20_000) for row in range(5000)]
    metadata = {f"key{at}": letter * 9000 for at in range(50)}
    status = to_status(InvalidInput(violations, metadata=metadata))
    # gRPC sends the message percent-encoded, and the details in base64; clients take 8 KiB of trailers.
    encoded = sum(3 if byte > 126 or byte < 32 else 1 for byte in status.message.encode())
    assert encoded + len(status.SerializeToString()) * 4 / 3 < 7500
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert info.metadata["violation_count"] == "5000"
    assert 1 <= len(bad.field_violations) < 5000
    assert status.message.isprintable()
    back = from_status(status)
    assert isinstance(back, InvalidInput)
    assert "(and 4999 more fields)" in back.message or back.message.endswith("…")


class Failed(grpc.RpcError):
    """What a call raises, with trailers as something between might send them."""

    def __init__(self, code: grpc.StatusCode, **trailers: str | bytes) -> None:
        self._code, self._trailers = code, tuple((key.replace("_", "-"), value) for key, value in trailers.items())

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "text"

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._trailers


_INSIDE = to_status(errors.NotFound("gone")).SerializeToString().replace(b"NOT_FOUND", b"\xff" * 9)


@pytest.mark.parametrize("damaged", [b"\x0a\xff", b"\xff" * 30, b"\x08", "text", _INSIDE])
def test_damaged_details_leave_the_code(damaged: bytes | str) -> None:
    error = from_call(Failed(grpc.StatusCode.NOT_FOUND, grpc_status_details_bin=damaged), "here")
    assert type(error) is errors.NotFound
    assert error.message == "the server at here answered: text (NOT_FOUND)"


@pytest.mark.parametrize(
    ("said", "asked"),
    [("250", 0.25), ("0", 0.0), *((odd, None) for odd in ("-1", "soon", "", "1.5", "²", "9" * 5000))],
)
def test_what_a_server_asks_before_a_repeat(said: str, asked: float | None) -> None:
    failed = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc_retry_pushback_ms=said)
    assert _pause_asked(failed) == asked
    assert _pause_asked(Failed(grpc.StatusCode.RESOURCE_EXHAUSTED)) is None
