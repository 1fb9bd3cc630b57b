"""Calls that no honest client sends: valid messages of every RPC, with every field set, then broken in many ways.

Every call must end with a code that blames the caller, or well; the server must be right afterwards.
"""

from __future__ import annotations

import io
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from tests.soak.found import Found
from tests.soak.serving import make_store

import visavis
from visavis.rpc.server import PACKAGE, SERVICES
from visavis.testing.server import serve

_SHORT, _FULL = 600, 40_000
_TIMEOUT_S = 30.0
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED, grpc.StatusCode.DATA_LOSS}
_LATE = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}

_TEXTS = (
    "", " ", "junk", "junk-2", "\x00", "a\x00b", "\n\r", "\u202ejunk", "\ufeff", "é" * 300, "j" * 5000, "😀" * 40,
    "'; DROP TABLE items; --", "../../junk", "NaN", "-1", "purchase", "view", "rating", "return", "EUR", "eur", "email",
    "marketing", "personalization", "UTC", "Europe/Nowhere", "item_similarity", "popularity", "console", "name", "*",
    "customers[0].customer_id", "attributes", "available", "junk.csv", "csv", "jsonl", ";", "1e400", "9" * 40,
)  # fmt: skip
_INTEGERS = (
    0, 1, -1, 2, 7, 10, 1000, 1001, 10_001, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1,
)  # fmt: skip
_NUMBERS = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308, -1.7e308, 1e9, 1e9 + 1, 0.1)


def methods() -> list[MethodDescriptor]:
    """Every RPC of the public API."""
    services = [Default().FindServiceByName(f"{PACKAGE}.{name}") for name, _, _ in SERVICES]
    return [method for service in services for method in service.methods]


def filled(message: Message, chance: random.Random, *, odd: float, depth: int = 0) -> Message:
    """Set every field, of each oneof one; a share `odd` of the values is extreme."""
    chosen = {oneof.name: chance.choice(oneof.fields).name for oneof in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and chosen[field.containing_oneof.name] != field.name:
            continue
        _fill(message, field, chance, odd, depth)
    return message


def _fill(message: Message, field: FieldDescriptor, chance: random.Random, odd: float, depth: int) -> None:
    target: Any = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        for _ in range(chance.randint(1, 3)):
            name = _value(key, chance, odd)
            if value.message_type is not None:
                filled(target[name], chance, odd=odd, depth=depth + 1)
            else:
                target[name] = _value(value, chance, odd)
    elif field.is_repeated:
        count = chance.choice((0, 10_001, 300)) if chance.random() < odd / 20 else chance.randint(1, 3)
        if depth and count > 3:
            count = 3
        for _ in range(count):
            if field.message_type is not None:
                filled(target.add(), chance, odd=odd if count <= 3 else 0.0, depth=depth + 1)
            else:
                target.append(_value(field, chance, odd))
    elif field.message_type is not None:
        filled(target, chance, odd=odd, depth=depth + 1)
        target.SetInParent()
    else:
        setattr(message, field.name, _value(field, chance, odd))


def _value(field: FieldDescriptor, chance: random.Random, odd: float) -> Any:
    strange = chance.random() < odd
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = chance.choice(_TEXTS) if strange else _sensible(field.name, chance)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return chance.choice(_NUMBERS) if strange else float(chance.randint(1, 5))
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return chance.choice((0, 1, 2, -1, 2**31 - 1)) if strange else 1
    low, high = {
        FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    }[field.cpp_type]
    return min(max(chance.choice(_INTEGERS), low), high) if strange else chance.randint(0, 3)


def _sensible(name: str, chance: random.Random) -> str:
    """A value that this field may well hold; never a name of the shop that is looked at afterwards."""
    fixed = {
        "kind": "view", "scorer": "popularity", "currency": "EUR", "time_zone": "UTC", "purpose": "marketing",
        "channel": "console", "file_name": "junk.csv", "page_token": "", "request_id": f"junk-{chance.random()}",
        "interaction_id": f"junk-{chance.random()}", "paths": "name", "format": "", "delimiter": "", "strings": "",
    }  # fmt: skip
    return fixed.get(name, f"junk-{chance.randrange(20)}")


def broken(data: bytes, chance: random.Random) -> bytes:
    """The bytes of a message, damaged in one of the ways that a parser must bear."""
    ways: tuple[Callable[[bytes, random.Random], bytes], ...]
    ways = (_flip, _cut, _lie, _deep, _wire_type, _not_utf8, _unknown, _twice)
    return chance.choice(ways)(data, chance)


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"\x00")
    for _ in range(chance.choice((1, 1, 2, 8))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _lie(data: bytes, chance: random.Random) -> bytes:
    """A length that is not true."""
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice((b"\xff\xff\xff\xff\x0f", b"\x7f", b"\xff" * 10)) + data[place + 1 :]


def _deep(data: bytes, chance: random.Random) -> bytes:
    """Messages within messages, deeper than any parser goes; or groups, which nobody uses any more."""
    depth, number = chance.choice((50, 101, 2000)), chance.randint(1, 20)
    if chance.random() < 0.3:
        return data + _varint(number << 3 | 3) * depth
    inner = b""
    for _ in range(depth):
        inner = _varint(number << 3 | 2) + _varint(len(inner)) + inner
    return data + inner


def _wire_type(data: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    rest = {0: b"\x05", 1: bytes(8), 2: b"\x01x", 5: bytes(4)}.get(kind, b"")
    return data + _varint(chance.randint(0, 20) << 3 | kind) + rest


def _not_utf8(data: bytes, chance: random.Random) -> bytes:
    if b"junk" in data:
        return data.replace(b"junk", chance.choice((b"\xff\xfe\xfd\xfc", b"\xed\xa0\x80k", b"\xc0\x80ab")), 1)
    return data + _varint(chance.randint(1, 20) << 3 | 2) + b"\x02\xff\xfe"


def _unknown(data: bytes, chance: random.Random) -> bytes:
    return data + _varint(chance.choice((100, 19_000, 2**29 - 1)) << 3 | 2) + b"\x04junk"


def _twice(data: bytes, chance: random.Random) -> bytes:
    return data * chance.choice((2, 3, 50))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def attempts(count: int, seed: int) -> Iterator[tuple[MethodDescriptor, list[bytes]]]:
    """Calls: a method and the messages to send. Long work (one request, many answers) is not begun, only refused."""
    chance = random.Random(seed)
    every = methods()
    made = 0
    while made < count:
        method = every[made % len(every)]
        make = GetMessageClass(method.input_type)
        data = filled(make(), chance, odd=chance.choice((0.0, 0.05, 0.3, 1.0))).SerializeToString()
        if chance.random() < 0.6:
            data = broken(data, chance)
        if method.server_streaming and not method.client_streaming and _parses(make, data):
            data = b"\xff" + data
        first = filled(make(), chance, odd=0.0).SerializeToString()
        yield method, [data] if not method.client_streaming or chance.random() < 0.5 else [first, data]
        made += 1


def _parses(make: type[Message], data: bytes) -> bool:
    try:
        make.FromString(data)
    except DecodeError:
        return False
    return True


def send(channel: grpc.Channel, method: MethodDescriptor, messages: list[bytes]) -> grpc.StatusCode:
    """How the call ended."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            list(channel.stream_stream(path)(iter(messages), timeout=_TIMEOUT_S))
        elif method.server_streaming:
            list(channel.unary_stream(path)(messages[0], timeout=_TIMEOUT_S))
        else:
            channel.unary_unary(path)(messages[0], timeout=_TIMEOUT_S)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def run(folder: Path, *, full: bool, seed: int) -> Iterator[Found]:
    """Send the corpus, and look whether the server still answers as before."""
    path = make_store(folder, customers=60, items=60, days=90, seed=seed)
    count = _FULL if full else _SHORT
    codes: Counter[grpc.StatusCode] = Counter()
    with (
        visavis.open(path, linger_ms=0) as engine,
        serve(engine) as server,
        visavis.connect(server.address) as client,
        grpc.insecure_channel(server.address) as channel,
    ):
        customers = [str(10001 + number) for number in range(20)]
        before = [_shown(client, one) for one in customers]
        bad = []
        with redirect_stdout(io.StringIO()):  # where the channel `console` sends its messages
            for method, messages in attempts(count, seed):
                code = send(channel, method, messages)
                codes[code] += 1
                if code in _FAULTS or code in _LATE:
                    said = [message[:2000].hex() for message in messages]
                    bad.append(Found(False, f"{method.full_name} ended with {code.name} for {said}"))
        yield from bad
        told = ", ".join(f"{code.name} {times:,}" for code, times in codes.most_common())
        yield Found(len(codes) > 1, f"{count:,} calls of {len(methods())} RPCs, malformed or extreme: {told}")
        after = [_shown(client, one) for one in customers]
        yield Found(before == after, f"{len(customers)} customers have the recommendations and profiles of before")
        counted = client.admin.status().interactions
    with visavis.open(path) as engine:
        stored = engine.admin.status().interactions
    yield Found(counted == stored, f"{counted:,} interactions counted by the server, {stored:,} after opening again")


def _shown(client: Any, customer: str) -> tuple[Any, ...]:
    answer = client.recommend(customer)
    return (client.profile(customer).interaction_count, [(one.item_id, one.score, one.reasons) for one in answer.items])


__all__ = ["attempts", "broken", "filled", "methods", "run", "send"]
