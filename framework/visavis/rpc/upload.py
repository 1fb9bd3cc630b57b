"""A file that a client sends, kept beside the store until it is read."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from visavis.api.v1 import interaction_service_pb2 as pb
from visavis.errors import StoreUnwritable
from visavis.rpc.convert import invalid
from visavis.rpc.work import Work
from visavis.store.room import check_room
from visavis.store.source_files import plain_name

_LAST_LOOK_S = 0.05
_BUFFER_BYTES = 1 << 20


class Upload:
    """One file in a folder of its own, under the client's name, which errors about the file then give.

    `name` is that name without folders, in one line. `limit_mb`: how large the file may be, MiB. Raises
    `InvalidInput` for a name that no file has, `StoreUnwritable` where nothing can be written.
    """

    def __init__(self, folder: Path, file_name: str, work: Work, limit_mb: int) -> None:
        name = re.split(r"[\\/]", file_name)[-1]
        if not name or name in {".", ".."} or "\0" in name or len(name.encode()) > 255:
            raise invalid("options.file_name", f"is {file_name[:100]!r}; give a file name such as 'sales.csv'")
        try:
            self._folder = Path(tempfile.mkdtemp(dir=folder))
        except OSError as error:
            raise _unwritable(folder, error) from None
        self.path = self._folder / name
        self.name = plain_name(self.path)
        self._work = work
        self._limit_mb = limit_mb

    async def receive(self, requests: AsyncIterator[pb.ImportFileRequest]) -> None:
        """Write the chunks down to the end of the stream. What came is removed if the stream breaks off.

        Raises `InvalidInput` for a file beyond the limit, `StoreUnwritable` when the disk is about to be full.
        """
        complete = False
        try:
            await self._write(requests)
            # A caller that goes away looks like one that has come to the end, until gRPC ends this call.
            await asyncio.sleep(_LAST_LOOK_S)
            complete = True
        except OSError as error:
            raise _unwritable(self._folder.parent, error) from None
        finally:
            if not complete:
                self.discard()

    async def _write(self, requests: AsyncIterator[pb.ImportFileRequest]) -> None:
        buffer = bytearray()
        received = 0
        with self.path.open("wb") as stream:  # here and not in a thread: a cancelled call would lose the open file
            async for request in requests:
                if request.WhichOneof("part") != "chunk":
                    raise invalid("chunk", "is missing; after the options, every message holds bytes of the file")
                received += len(request.chunk)
                if received > self._limit_mb << 20:
                    raise invalid(
                        "chunk",
                        f"goes beyond {self._limit_mb:,} MiB, the largest file taken (max_upload_mb); send the file in "
                        "parts or compressed, or import it on the server's machine",
                    )
                buffer += request.chunk
                if len(buffer) >= _BUFFER_BYTES:
                    await self._work.call(self._put, stream, bytes(buffer))
                    buffer.clear()
            await self._work.call(self._put, stream, bytes(buffer))

    def _put(self, stream: BinaryIO, data: bytes) -> None:
        check_room(self._folder.parent, len(data))
        stream.write(data)

    def discard(self) -> None:
        """Remove the file, soon."""
        self._work.soon(partial(shutil.rmtree, self._folder, ignore_errors=True))


def _unwritable(folder: Path, error: OSError) -> StoreUnwritable:
    return StoreUnwritable(
        f"the file could not be kept in {folder}: {error.strerror}; free some space, or give the server the right to "
        "write there",
        metadata={"path": str(folder)},
    )


__all__ = ["Upload"]
