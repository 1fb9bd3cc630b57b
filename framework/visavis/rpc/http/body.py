"""The body of a request: read with bounds on its size and its slowness, unpacked, and made a message."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import hdrs, web
from google.protobuf.message import DecodeError, Message

from visavis.errors import DeadlineExceeded, InvalidInput, VisavisError
from visavis.rpc.http.errors import too_large
from visavis.rpc.http.requests import parse_json
from visavis.rpc.work import Work

JSON = "application/json"
PROTO = "application/proto"

PATIENCE_S = 10.0
"""How long a body may take whatever its size."""
SLOWEST = 32 * 1024
"""Bytes a second that it must come with after that."""

_SHORT_BYTES = 64 * 1024  # what a connection buffers anyway
_RATIO = 100  # unpacked to packed, beyond a short body; real requests have 25
_INLINE_BYTES = 2048  # less than 0.5 ms of parsing; larger bodies leave the event loop free


@dataclass(frozen=True, slots=True)
class Bound:
    """How many bytes a body may have, packed and unpacked, and the end of the line that says so."""

    size: int
    way_out: str = " (max_message_mb); send less at once"


class Body:
    """A request that is still to be read. The edge takes it for a message: it has a size, the one announced."""

    def __init__(self, request: web.BaseRequest, work: Work, bound: Bound) -> None:
        self._request = request
        self._work = work
        self._bound = bound
        self._early: bytes | VisavisError | None = None

    def ByteSize(self) -> int:  # noqa: N802
        """The announced length, 0 where none was."""
        return self._request.content_length or 0

    @property
    def content_type(self) -> str:
        """`application/json` or `application/proto`; the answer has the same."""
        return self._request.content_type

    async def fetch_short(self) -> None:
        """Wait for a short body, so that its call need not stop in the middle to read it.

        A longer one is read by the call, within the edge: for who has no key, or comes on top of too many, nobody
        waits and nothing is kept.
        """
        if self.ByteSize() > _SHORT_BYTES or hdrs.TRANSFER_ENCODING in self._request.headers:
            return
        try:
            self._early = await self._read()
        except VisavisError as error:
            self._early = error

    async def message(self, parse: Callable[[bytes], Message], make: Callable[[], Message]) -> Message:
        """The message in the body. Raises `InvalidInput`, `too_large` or `DeadlineExceeded`."""
        packed = self._request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower() == "gzip"
        if isinstance(self._early, VisavisError):
            raise self._early
        data = await self._read() if self._early is None else self._early
        is_json = self.content_type == JSON

        def read() -> Message:
            plain = _unpack(data, self._bound) if packed else data
            return parse_json(plain, make) if is_json else _parse(plain, parse, make)

        return read() if len(data) <= _INLINE_BYTES and not packed else await self._work.call(read)

    async def _read(self) -> bytes:
        """All bytes, with a bound on how many and on how slowly they come."""
        bound = self._bound
        if self.ByteSize() > bound.size:
            raise too_large("the body", bound.size, bound.way_out)
        if self._request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0  # the answer has not begun
        loop = asyncio.get_running_loop()
        began, size, chunks = loop.time(), 0, list[bytes]()
        while True:
            left = began + PATIENCE_S + size / SLOWEST - loop.time()
            try:
                async with asyncio.timeout(max(left, 0)):
                    chunk = await self._request.content.readany()
            except TimeoutError:
                raise DeadlineExceeded(
                    f"the body came more slowly than {SLOWEST >> 10} KiB a second; send it faster, or less at once"
                ) from None
            except (web.RequestPayloadError, zlib.error) as error:
                raise InvalidInput(f"the body is not framed as its headers say: {type(error).__name__}") from None
            if not chunk:
                return b"".join(chunks)
            size += len(chunk)
            if size > bound.size:
                raise too_large("the body", bound.size, bound.way_out)
            chunks.append(chunk)


def _parse(data: bytes, parse: Callable[[bytes], Message], make: Callable[[], Message]) -> Message:
    try:
        return parse(data)
    except DecodeError:
        name = make().DESCRIPTOR.full_name
        raise InvalidInput(f"the request is not a valid protobuf message for {name}") from None


def _unpack(data: bytes, bound: Bound) -> bytes:
    """What a gzip stream holds; it is never unpacked further than the bound, or than so many times its size."""
    limit = min(bound.size, max(_SHORT_BYTES, _RATIO * len(data)))
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise InvalidInput("the body is not gzip, as content-encoding says") from None
    if len(plain) > bound.size:
        raise too_large("the body, unpacked,", bound.size, bound.way_out)
    if len(plain) > limit:
        raise InvalidInput(f"the body unpacks to more than {_RATIO} times its size; send it without content-encoding")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidInput("the body is not one whole gzip stream; it is cut off, or something follows it")
    return plain


__all__ = ["JSON", "PATIENCE_S", "PROTO", "SLOWEST", "Body", "Bound"]
