"""Files between a client and its server: sent for an import, received from a snapshot or a backup."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from visavis.api.v1 import interaction_service_pb2 as interaction_pb
from visavis.errors import Conflict, StoreUnwritable, Unavailable
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
    # Here, because it loads what the store needs, and no other call of a client does.
    from visavis.store.source_files import check_source, plain_name, unchanged

    check_source(path)
    options.file_name = plain_name(path)
    # Said, because the server may shorten the name: the rows must be known by it wherever the file is imported.
    options.source = options.source or options.file_name
    stream = path.open("rb")
    total = os.fstat(stream.fileno()).st_size
    failures: list[Exception] = []
    sent_all = threading.Event()

    def parts() -> Iterator[interaction_pb.ImportFileRequest]:
        # gRPC runs this in a thread of its own and would swallow what is raised here. A stream that just ended would
        # look like a short file; an empty message makes the server refuse all of it.
        try:
            yield interaction_pb.ImportFileRequest(options=options)
            sent = 0
            with unchanged(path):
                while chunk := stream.read(_CHUNK_BYTES):
                    yield interaction_pb.ImportFileRequest(chunk=chunk)
                    sent += len(chunk)
                    if progress is not None:
                        progress(Progress("upload", sent, total))
            sent_all.set()
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            failures.append(error)
            yield interaction_pb.ImportFileRequest()

    with stream:
        try:
            yield from caller.stream(method, parts())
        except Unavailable as error:
            if not sent_all.is_set():
                raise
            raise Unavailable(
                f"the import broke off ({error.message}); import the file again when the server runs: what is stored "
                "already is not stored twice"
            ) from None
        except Exception:
            if not failures:
                raise
            raise failures[0] from None


def receive_file(
    answers: Iterator[Any],
    path: Path,
    event: str,
    progress: Callable[[Progress], None] | None,
) -> Any:
    """Write the chunks to the new file `path`; what the last answer says, which is its `event`.

    Nothing is left under `path` unless all of it came, and nobody but its owner may read it. Raises `Conflict` when the
    path is taken, `StoreUnwritable` when it cannot be written.
    """
    _check_free(path)
    partial = path.with_name(path.name + ".partial")
    answer = None
    received = 0
    try:
        # Left by a crash, or put there by somebody else, who would read what comes: a new one, never what is there.
        partial.unlink(missing_ok=True)
        with open(partial, "wb", opener=_new_private) as stream:
            for answer in answers:
                match answer.WhichOneof("event"):
                    case "chunk":
                        received += stream.write(answer.chunk)
                    case "progress" if progress is not None:
                        progress(progress_from_proto(answer.progress))
            stream.flush()
            os.fsync(stream.fileno())
            ours = os.path.samestat(os.fstat(stream.fileno()), os.lstat(partial))
        if answer is None or answer.WhichOneof("event") != event or getattr(answer, event).byte_count != received:
            raise Unavailable(f"the {event} broke off after {received} bytes; try again")
        if not ours:
            raise Conflict(f"{partial} was replaced while it grew; give another path", metadata={"path": str(path)})
        _check_free(path)
        partial.rename(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreUnwritable(f"{path} cannot be written: {reason}", metadata={"path": str(path)}) from None
    finally:
        with suppress(OSError):  # what led here is the error to tell
            partial.unlink()
    return getattr(answer, event)


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise Conflict(f"{path} exists already; give the path of a new file", metadata={"path": str(path)})


def _new_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


__all__ = ["receive_file", "send_file"]
