"""A flood of unary calls from one thread, by HTTP/2 written by hand: one call costs it a tenth of what it costs gRPC's
client for Python, which asks at most as much as one server can answer.

It keeps the rules that client libraries keep: as many calls at once on a connection as the server allows, the others
wait here; no more bytes than the server has room for; a deadline, told to the server, and given up here when it has
passed.
"""

from __future__ import annotations

import heapq
import itertools
import re
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.rpc.frames import DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, Wire, frame
from tests.soak.serving import Tally

_WINDOW_UPDATE = 8
_END_STREAM, _ACK = 1, 1
_HEADER_TABLE_SIZE, _MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE = 1, 3, 4
_ROOM = 1 << 30  # bytes of answers that may come before more are allowed
_CODES = {
    "0": "OK",
    "1": "CANCELLED",
    "4": "DEADLINE_EXCEEDED",
    "8": "RESOURCE_EXHAUSTED",
    "14": "UNAVAILABLE",
}
# What client libraries make of a stream that is reset: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
_CODES_OF_RESETS = {7: "UNAVAILABLE", 8: "CANCELLED", 11: "RESOURCE_EXHAUSTED"}
_STATUS = re.compile(rb"grpc-status[\x01\x02](\d+)")
_PAUSE = re.compile(rb"grpc-retry-pushback-ms.(\d+)", re.DOTALL)
_LEAST_PAUSE_S = 0.5  # of who is refused without being told how long to wait


class _Connection:
    """One connection: calls under way, and what is still to be sent."""

    def __init__(self, address: str, path: str) -> None:
        self._wire = Wire(address, window=_ROOM)
        self.socket = self._wire.socket
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without a table of headers each answer says in full how it ended.
        plain = frame(SETTINGS, 0, 0, struct.pack(">HI", _HEADER_TABLE_SIZE, 0))
        self.socket.sendall(plain + frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _ROOM)))
        whole = self._wire.call(0, path, b"", grpc_timeout="0000000m")
        head = whole[: 9 + int.from_bytes(whole[:3], "big")]
        at = head.index(b"0000000m")
        self._head, self._tail = head[9:at], head[at + 7 :]
        self._frame = head[:5]
        self._came = bytearray()
        self._acknowledged = False  # the first settings are, by `Wire`, before they come
        self._out = bytearray()
        self._stream = -1
        self.most = 100  # calls at once, until the server says
        self._window = 65_535  # bytes that the server has room for
        self.open: dict[int, tuple[float, float]] = {}
        """Calls under way by stream: when it was due, when it was sent; the oldest first."""

    @property
    def has_room(self) -> bool:
        return len(self.open) < self.most and self._window > 1000 and len(self._out) < 1 << 20

    def call(self, message: bytes, due: float, now: float, timeout: float) -> None:
        """Begin a call; `has_room` says whether that may be. `timeout`: seconds from when it was due."""
        self._stream += 2
        stream = struct.pack(">I", self._stream)
        left_ms = max(int((due + timeout - now) * 1000), 1)
        self._out += self._frame + stream + self._head + b"%07d" % left_ms + self._tail
        length = len(message) + 5
        self._out += struct.pack(">I", length)[1:] + bytes((DATA, _END_STREAM)) + stream
        self._out += b"\x00" + struct.pack(">I", length - 5) + message
        self._window -= length
        self.open[self._stream] = (due, now)

    def cancel(self, stream: int) -> None:
        self._out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))

    def send(self) -> None:
        if self._out:
            with suppress(BlockingIOError):
                del self._out[: self.socket.send(self._out)]

    def ended(self) -> list[tuple[float, float, str, float]]:
        """Calls that ended by what came: when it was due and sent, its code, the pause that it was told."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionError("the server ended the connection")
        self._came += data
        came, at, ended = bytes(self._came), 0, []
        while at + 9 <= len(came):
            end = at + 9 + (came[at] << 16 | came[at + 1] << 8 | came[at + 2])
            if end > len(came):
                break
            kind, flags = came[at + 3], came[at + 4]
            stream = int.from_bytes(came[at + 5 : at + 9], "big")
            if kind == HEADERS and flags & _END_STREAM:
                call = self.open.pop(stream, None)
                if call is not None:
                    ended.append((*call, *_outcome(came[at + 9 : end])))
            elif kind == RST_STREAM:
                call = self.open.pop(stream, None)
                if call is not None:
                    code = int.from_bytes(came[at + 9 : end], "big")
                    ended.append((*call, _CODES_OF_RESETS.get(code, f"reset {code}"), _LEAST_PAUSE_S))
            elif kind not in (DATA, HEADERS):
                self._hear(kind, flags, stream, came[at + 9 : end])
            at = end
        del self._came[:at]
        return ended

    def _hear(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & _ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == _MAX_CONCURRENT_STREAMS:
                    self.most = value
            if self._acknowledged:
                self._out += frame(SETTINGS, _ACK, 0)
            self._acknowledged = True
        elif kind == PING and not flags & _ACK:
            self._out += frame(PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            raise ConnectionError(f"the server said goodbye: {payload[8:]!r}")

    def close(self) -> None:
        self.socket.close()


def _outcome(block: bytes) -> tuple[str, float]:
    status = _STATUS.search(block)
    if status is None:
        raise ValueError(f"headers without a status: {block[:200]!r}")
    code, pause = status[1].decode(), _PAUSE.search(block)
    return _CODES.get(code, f"status {code}"), int(pause[1]) / 1000 if pause else _LEAST_PAUSE_S


class Flood:
    """Calls of one method, spread over some connections."""

    def __init__(self, address: str, path: str, message: Callable[[], bytes], *, connections: int = 4) -> None:
        self._address, self._path, self._message = address, path, message
        self._connections = connections

    def ask(self, callers: int, seconds: float, *, timeout: float, patient: bool = True) -> Tally:
        """So many callers, each again as soon as it has its answer. `patient`: who is refused waits as he is told."""
        return self._run(seconds, timeout, callers=callers, patient=patient)

    def ask_at(self, rate: float, seconds: float, *, timeout: float) -> Tally:
        """So many calls a second, whatever becomes of them. Those that find no room wait here."""
        return self._run(seconds, timeout, rate=rate)

    def _run(
        self, seconds: float, timeout: float, *, rate: float = 0.0, callers: int = 0, patient: bool = False
    ) -> Tally:
        connections = [_Connection(self._address, self._path) for _ in range(self._connections)]
        try:
            return self._flood(connections, seconds, timeout, rate, callers, patient)
        finally:
            for one in connections:
                one.close()

    def _flood(
        self,
        connections: list[_Connection],
        seconds: float,
        timeout: float,
        rate: float,
        callers: int,
        patient: bool,
    ) -> Tally:
        by_socket = {one.socket.fileno(): one for one in connections}
        poll: Any = select.epoll()
        for one in connections:
            one.socket.setblocking(False)
            poll.register(one.socket.fileno(), select.EPOLLIN)
        start = time.monotonic()
        end = start + seconds
        tally = Tally(end)
        due: deque[float] = deque([start] * callers)
        resting: list[float] = []  # a heap: when callers who were refused come back
        begun = 0  # of those that come at a rate
        turns = itertools.cycle(connections)
        while (now := time.monotonic()) < end or any(one.open for one in connections):
            if now < end:
                while begun < (now - start) * rate:
                    due.append(start + begun / rate)
                    begun += 1
                while resting and resting[0] <= now:
                    due.append(heapq.heappop(resting))
                while due and due[0] < now - timeout:
                    _count(tally, "DEADLINE_EXCEEDED", due.popleft(), now, now)
                    if callers:
                        due.append(now)
                full = 0
                while due and full < len(connections):
                    one = next(turns)
                    if one.has_room:
                        one.call(self._message(), due.popleft(), now, timeout)
                        full = 0
                    else:
                        full += 1
            for one in connections:
                one.send()
            for number, _ in poll.poll(0.001):
                for was_due, sent, code, pause in by_socket[number].ended():
                    moment = time.monotonic()
                    _count(tally, code, was_due, sent, moment)
                    if callers and code != "OK" and patient:
                        heapq.heappush(resting, moment + pause)
                    elif callers:
                        due.append(moment)
            for one in connections:
                while one.open:
                    stream, (was_due, sent) = next(iter(one.open.items()))
                    if was_due >= now - timeout:
                        break
                    del one.open[stream]
                    one.cancel(stream)
                    _count(tally, "DEADLINE_EXCEEDED", was_due, sent, now)
                    if callers:
                        due.append(now)
        for moment in due if rate else ():
            _count(tally, "DEADLINE_EXCEEDED", moment, end, end)
        return tally


def _count(tally: Tally, code: str, due: float, sent: float, now: float) -> None:
    tally.codes[code] += 1
    if code == "OK":
        if now <= tally.until:
            tally.good_ms.append((now - due) * 1000)
    elif code == "RESOURCE_EXHAUSTED":
        tally.refused_ms.append((now - sent) * 1000)
    elif code == "CANCELLED":
        tally.dropped_ms.append((now - sent) * 1000)


__all__ = ["Flood"]
