"""HTTP/2 by hand, for what no client library can be made to do: frames without regard to rules."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Wire:
    """A connection to a server that listens without TLS. Every second stream number is ours: 1, 3, 5 …"""

    def __init__(self, address: str, *, window: int = 65_535) -> None:
        """`window`: how many bytes of an answer the server may send before we allow more, which we never do."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.address = address
        self._stream = -1
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)
        self.socket.sendall(_PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, _ACK, 0))

    def begin(self, path: str, message: bytes | None = None, **headers: str) -> int:
        """Open a stream with a call, and send its only message; None: none yet. Answers the stream's number."""
        self._stream += 2
        self.socket.sendall(self.call(self._stream, path, message, **headers))
        return self._stream

    def call(self, stream: int, path: str, message: bytes | None = None, **headers: str) -> bytes:
        """The frames of a call."""
        given = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": self.address,
            "te": "trailers",
            "content-type": "application/grpc",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        # Literal header fields, neither indexed nor Huffman-coded.
        block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in given.items())
        frames = frame(HEADERS, _END_HEADERS, stream, block)
        if message is not None:
            frames += frame(DATA, _END_STREAM, stream, b"\x00" + struct.pack(">I", len(message)) + message)
        return frames

    def closed_within(self, seconds: float) -> bool:
        """Whether the server ends the connection; whatever it says until then is read and forgotten."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest = len(data) - 127
    length = bytearray([127])
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return bytes(length) + bytes([rest]) + data


__all__ = ["DATA", "GOAWAY", "HEADERS", "PING", "RST_STREAM", "SETTINGS", "Wire", "frame"]
