"""Interactions from the bytes of protobuf messages, straight into columns.

To ask a message for one value after the other takes ten times longer. The layouts are those of
`visavis.api.v1.StreamInteractionsRequest` and `RecordInteractionsRequest`, whose field numbers never change.

Columns are numbered as the fields of the stream's message, from `kind` on: 0 kind, 1 customer_id, 2 identifier_kind,
3 identifier_value, 4 item_id, 5 interaction_id, 6 occurred_micros, 7 quantity, 8 amount_minor_units,
9 amount_currency, 10 rating, 11 order_id, 12 touchpoint, 13 decision_id, 14 reverses_id. Text i is
`data[ends[i]:ends[i + 1]]`, UTF-8 as it came; columns of texts hold i.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Bytes = NDArray[np.uint8]
_NAN = np.array([np.nan]).view(np.uint64)[0]
_ONE = np.array([1.0]).view(np.uint64)[0]


class WireColumns(NamedTuple):
    """Interactions as they came: `codes` int64 [15, n] but for the two columns of `numbers` float64 [2, n], which are
    quantity (1 where unset) and rating (NaN where unset); texts `data` uint8 and `ends` int64 [n_texts + 1]."""

    codes: NDArray[np.int64]
    numbers: NDArray[np.float64]
    data: Bytes
    ends: NDArray[np.int64]


def read_batch(message: Bytes) -> WireColumns | None:
    """The rows of one `StreamInteractionsRequest`; texts are its strings.

    None for columns that differ in length (one that is empty stands for unset values), and for bytes that are no
    message. Whether codes lead to texts is for the caller to check.
    """
    content = _check.array("message", message, np.uint8)
    counts = np.zeros(20, np.int64)
    if not _measure_batch(content, counts):
        return None
    n = int(counts[4])
    if ((counts[4:19] != 0) & (counts[4:19] != n)).any():
        return None
    codes, bits = np.zeros((15, n), np.int64), np.empty((2, n), np.uint64)
    bits[0], bits[1] = _ONE, _NAN
    data, ends = np.empty(int(counts[19]), np.uint8), np.zeros(int(counts[3]) + 1, np.int64)
    _fill_batch(content, codes, bits, data, ends)
    return WireColumns(codes, bits.view(np.float64), data, ends)


def read_calls(messages: Bytes, starts: NDArray[np.int64]) -> tuple[WireColumns, NDArray[np.int64]] | None:
    """The rows of several `RecordInteractionsRequest`s and, int64 [n_calls + 1], where those of each call begin.

    Call i is `messages[starts[i]:starts[i + 1]]`. Text 0 is the empty one. None where a message says something that
    columns cannot: a customer that names nobody, a time that is 1970 to the microsecond, a field twice.
    """
    content = _check.array("messages", messages, np.uint8)
    begins = _check.row_starts("starts", starts, len(content))
    row_starts = np.zeros(len(begins), np.int64)
    if not _count_rows(content, begins, row_starts):
        return None
    n = int(row_starts[-1])
    codes, bits = np.zeros((15, n), np.int64), np.empty((2, n), np.uint64)
    bits[0], bits[1] = _ONE, _NAN
    # A text takes three bytes of a message at least, and its own bytes are all in it.
    data, ends = np.empty(len(content), np.uint8), np.zeros(len(content) // 3 + 2, np.int64)
    n_texts = int(_fill_calls(content, begins, codes, bits, data, ends))
    if n_texts < 0:
        return None
    ends = ends[: n_texts + 1]
    return WireColumns(codes, bits.view(np.float64), data[: ends[-1]], ends), row_starts


@serial
def _varint(data: Bytes, at: int, end: int) -> tuple[np.uint64, int]:
    """A number, and where the next byte stands; −1 if it is cut off or too long."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return value, at
        shift += np.uint64(7)
    return value, -1


@serial
def _body(data: Bytes, at: int, end: int, wire: Any) -> tuple[int, Any]:
    """Where the content of a field of that wire type begins and ends; −1, −1 if it reaches too far or is a group."""
    if wire == 0:
        _, after = _varint(data, at, end)
        return (at, after) if after >= 0 else (-1, -1)
    if wire == 1:
        return (at, at + 8) if at + 8 <= end else (-1, -1)
    if wire == 5:
        return (at, at + 4) if at + 4 <= end else (-1, -1)
    if wire == 2:
        length, begin = _varint(data, at, end)
        if begin >= 0 and length <= np.uint64(end - begin):
            return begin, begin + np.int64(length)
    return -1, -1


@serial
def _bits(data: Bytes, at: int) -> np.uint64:
    """The eight bytes of a double."""
    value = np.uint64(0)
    for place in range(8):
        value |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return value


@serial
def _measure_batch(data: Bytes, counts: NDArray[np.int64]) -> bool:
    """Count the entries of each field into `counts`, the bytes of all strings into the last; whether all is well."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, len(data))
        if at < 0:
            return False
        field, wire = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7))
        begin, at = _body(data, at, len(data), wire)
        if at < 0:
            return False
        if field == 3 and wire == 2:
            counts[3] += 1
            counts[19] += at - begin
        elif field == 11 or field == 14:
            if wire == 1:
                counts[field] += 1
            elif wire == 2:
                if (at - begin) % 8:
                    return False
                counts[field] += (at - begin) // 8
        elif 4 <= field <= 18:
            if wire == 0:
                counts[field] += 1
            elif wire == 2:
                while begin < at:
                    _, begin = _varint(data, begin, at)
                    if begin < 0:
                        return False
                    counts[field] += 1
    return True


@serial
def _fill_batch(
    data: Bytes, codes: NDArray[np.int64], bits: NDArray[np.uint64], text: Bytes, ends: NDArray[np.int64]
) -> None:
    """What `_measure_batch` counted."""
    filled = np.zeros(19, np.int64)
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, len(data))
        field, wire = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7))
        begin, at = _body(data, at, len(data), wire)
        if field == 3 and wire == 2:
            start = ends[filled[3]]
            for place in range(at - begin):
                text[start + place] = data[begin + place]
            filled[3] += 1
            ends[filled[3]] = start + at - begin
        elif (field == 11 or field == 14) and (wire == 1 or wire == 2):
            row = 0 if field == 11 else 1
            while begin < at:
                bits[row, filled[field]] = _bits(data, begin)
                filled[field] += 1
                begin += 8
        elif 4 <= field <= 18 and field != 11 and field != 14 and (wire == 0 or wire == 2):
            # The time and the amount have 64 bits, codes have 32.
            mask = np.uint64(0xFFFFFFFFFFFFFFFF) if field == 10 or field == 12 else np.uint64(0xFFFFFFFF)
            while begin < at:
                value, begin = _varint(data, begin, at)
                codes[field - 4, filled[field]] = np.int64(value & mask)
                filled[field] += 1


@serial
def _count_rows(data: Bytes, starts: NDArray[np.int64], row_starts: NDArray[np.int64]) -> bool:
    """Where the rows of each call begin; whether all is well."""
    for call in range(len(starts) - 1):
        rows, at = row_starts[call], starts[call]
        while at < starts[call + 1]:
            tag, at = _varint(data, at, starts[call + 1])
            if at < 0:
                return False
            _, at = _body(data, at, starts[call + 1], np.int64(tag & np.uint64(7)))
            if at < 0:
                return False
            rows += tag == np.uint64(10)
        row_starts[call + 1] = rows
    return True


@serial
def _put(data: Bytes, begin: int, end: int, text: Bytes, ends: NDArray[np.int64], n_texts: int) -> int:
    """One more text; how many there are then."""
    start = ends[n_texts]
    for place in range(end - begin):
        text[start + place] = data[begin + place]
    ends[n_texts + 1] = start + end - begin
    return n_texts + 1


@serial
def _pair(
    data: Bytes, at: int, end: int, wires: tuple[int, int], found: NDArray[np.int64], values: NDArray[np.uint64]
) -> bool:
    """The fields 1 and 2 of a message, of these wire types: where each lies, `found` [2, 2], or −1, and numbers.

    False if one comes twice, or what is there is no message.
    """
    found[:] = -1
    values[:] = np.uint64(0)
    while at < end:
        tag, at = _varint(data, at, end)
        if at < 0:
            return False
        field, wire = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7))
        begin, at = _body(data, at, end, wire)
        if at < 0:
            return False
        if (field == 1 and wire == wires[0]) or (field == 2 and wire == wires[1]):
            if found[field - 1, 0] >= 0:
                return False
            found[field - 1, 0] = begin
            found[field - 1, 1] = at
            if wire == 0:
                values[field - 1], _ = _varint(data, begin, at)
    return True


@serial
def _fill_calls(
    data: Bytes,
    starts: NDArray[np.int64],
    codes: NDArray[np.int64],
    bits: NDArray[np.uint64],
    text: Bytes,
    ends: NDArray[np.int64],
) -> int:
    """How many texts there are, the empty one counted; −1 for what columns cannot say."""
    found, values = np.empty((2, 2), np.int64), np.empty(2, np.uint64)
    n_texts, row = 1, 0
    for call in range(len(starts) - 1):
        at = starts[call]
        while at < starts[call + 1]:
            tag, at = _varint(data, at, starts[call + 1])
            begin, at = _body(data, at, starts[call + 1], np.int64(tag & np.uint64(7)))
            if tag != np.uint64(10):
                continue
            n_texts = _fill_row(data, begin, at, codes, bits, row, text, ends, n_texts, found, values)
            if n_texts < 0:
                return -1
            row += 1
    return n_texts


@serial
def _fill_row(
    data: Bytes,
    at: int,
    end: int,
    codes: NDArray[np.int64],
    bits: NDArray[np.uint64],
    row: int,
    text: Bytes,
    ends: NDArray[np.int64],
    n_texts: int,
    found: NDArray[np.int64],
    values: NDArray[np.uint64],
) -> int:
    """One `Interaction`; answers how many texts there are then."""
    seen: Any = 0
    while at < end:
        tag, at = _varint(data, at, end)
        if at < 0:
            return -1
        field, wire = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7))
        begin, at = _body(data, at, end, wire)
        if at < 0:
            return -1
        is_number = field == 6 or field == 8
        if field < 1 or field > 12 or wire != (1 if is_number else 2):
            continue  # of a later version of the message
        if seen >> field & 1:
            return -1
        seen |= 1 << field
        if is_number:
            value = _bits(data, begin)
            # Not a number: columns would take it for unset.
            if (value & np.uint64(0x7FFFFFFFFFFFFFFF)) > np.uint64(0x7FF0000000000000):
                return -1
            bits[0 if field == 6 else 1, row] = value
        elif field == 2:
            if not _pair(data, begin, at, (2, 2), found, values):
                return -1
            if (found[0, 0] >= 0) == (found[1, 0] >= 0):
                return -1
            if found[0, 0] >= 0:
                if found[0, 0] == found[0, 1]:
                    return -1
                codes[1, row] = n_texts
                n_texts = _put(data, found[0, 0], found[0, 1], text, ends, n_texts)
                continue
            if not _pair(data, found[1, 0], found[1, 1], (2, 2), found, values):
                return -1
            for part in range(2):
                if found[part, 0] == found[part, 1]:
                    return -1
                codes[2 + part, row] = n_texts
                n_texts = _put(data, found[part, 0], found[part, 1], text, ends, n_texts)
        elif field == 5:
            if not _pair(data, begin, at, (0, 0), found, values):
                return -1
            seconds, nanos = np.int64(values[0]), np.int64(values[1])
            # To the last second of the year 9999; what lies before 1970 is not good either way.
            if seconds < 0 or seconds > 253402300799 or nanos < 0 or nanos > 999999999:
                return -1
            micros = seconds * 1000000 + nanos // 1000
            if micros == 0:
                return -1
            codes[6, row] = micros
        elif field == 7:
            if not _pair(data, begin, at, (0, 2), found, values):
                return -1
            if found[1, 0] == found[1, 1]:
                return -1
            codes[8, row] = np.int64(values[0])
            codes[9, row] = n_texts
            n_texts = _put(data, found[1, 0], found[1, 1], text, ends, n_texts)
        elif begin < at:
            column = 0 if field == 1 else (field + 1 if field < 5 else field + 2)
            codes[column, row] = n_texts
            n_texts = _put(data, begin, at, text, ends, n_texts)
    return n_texts


__all__ = ["WireColumns", "read_batch", "read_calls"]
