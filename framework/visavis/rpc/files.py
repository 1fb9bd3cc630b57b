"""Files between a client and its server: sent for an import, received from a snapshot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from visavis.api.v1 import admin_service_pb2 as admin_pb
from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.errors import Conflict, FieldViolation, InvalidInput, NotFound, StoreUnwritable, Unavailable
from visavis.model import Progress
from visavis.rpc.caller import Caller
from visavis.rpc.convert import progress_from_proto

_CHUNK_BYTES = 1 << 20


def send_file(
    caller: Caller,
    method: Any,
    path: Path,
    options: interaction_pb.ImportOptions,
    progress: Callable[[Progress], None] | None,
) -> Iterator[interaction_pb.ImportFileResponse]:
    """Send the options and the file; the server's answers. Raises `NotFound` or `InvalidInput` for the file."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}; check the name", metadata={"path": str(path)}) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    total = os.fstat(stream.fileno()).st_size
    failures: list[Exception] = []

    def parts() -> Iterator[interaction_pb.ImportFileRequest]:
        # gRPC runs this in a thread of its own and would swallow what is raised here. A stream that just ended would
        # look like a short file; an empty message makes the server refuse all of it.
        try:
            yield interaction_pb.ImportFileRequest(options=options)
            sent = 0
            while chunk := stream.read(_CHUNK_BYTES):
                yield interaction_pb.ImportFileRequest(chunk=chunk)
                sent += len(chunk)
                if progress is not None:
                    progress(Progress("upload", sent, total))
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            failures.append(error)
            yield interaction_pb.ImportFileRequest()

    with stream:
        try:
            yield from caller.stream(method, parts())
        except Exception:
            if not failures:
                raise
            failure = failures[0]
            raise (_unreadable(path, failure) if isinstance(failure, OSError) else failure) from None


def receive_file(
    answers: Iterator[admin_pb.CreateSnapshotResponse], path: Path, progress: Callable[[Progress], None] | None
) -> admin_pb.CreateSnapshotResponse:
    """Write the chunks to the new file `path`; the last answer. Nothing is left under `path` unless all of it came.

    Raises `Conflict` when the path is taken, `StoreUnwritable` when it cannot be written.
    """
    if path.exists():
        raise Conflict(f"{path} exists already; give the path of a new file", metadata={"path": str(path)})
    partial = path.with_name(path.name + ".partial")
    answer = admin_pb.CreateSnapshotResponse()
    received = 0
    try:
        with partial.open("wb") as stream:
            for answer in answers:
                match answer.WhichOneof("event"):
                    case "chunk":
                        received += stream.write(answer.chunk)
                    case "progress" if progress is not None:
                        progress(progress_from_proto(answer.progress))
            stream.flush()
            os.fsync(stream.fileno())
        if answer.WhichOneof("event") != "snapshot" or answer.snapshot.byte_count != received:
            raise Unavailable(f"the snapshot broke off after {received} bytes; try again")
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreUnwritable(f"{path} cannot be written: {reason}", metadata={"path": str(path)}) from None
    finally:
        partial.unlink(missing_ok=True)
    return answer


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput([FieldViolation("path", f"is {str(path)!r}, which cannot be read: {error.strerror}")])


__all__ = ["receive_file", "send_file"]
