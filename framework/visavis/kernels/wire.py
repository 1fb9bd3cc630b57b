"""Ranked lists as the bytes of a protobuf message, written straight from columns.

Building a message object by object takes a hundred times longer than writing its bytes. The layout is that of
`visavis.api.v1.RecommendResponse` and `BatchRecommendResponse`, whose field numbers never change; the bytes are those
that protobuf itself would write. The plain form beside this one is the message built from `Answers.rows()`; a test
compares the two.

Texts come as UTF-8 in one array of bytes each, with places to cut it at. A label is an item's id and name: two
little-endian uint32 that say how long each is, then the id, then the name.

A label may be replaced while a call runs: its new bytes are put elsewhere, then the place where it begins is changed.
So each place is read once, before anything is measured, and what is measured is what is written.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial

Bytes = NDArray[np.uint8]


def encode_lists(
    heads: Bytes,
    head_starts: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    by: NDArray[np.int8],
    names: Bytes,
    name_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    cause: NDArray[np.int32],
    amount: NDArray[np.float64],
    words: Bytes,
    cuts: NDArray[np.int64],
    first_cut: NDArray[np.int64],
    labels: Bytes,
    label_starts: NDArray[np.int64],
) -> Bytes:
    """The bytes of one `Recommendation` after the other, each as field 1 of a message: uint8 [n].

    List r: `heads[head_starts[r]:head_starts[r+1]]` are the bytes of its fields 1 to 6; its items are row r of `items`
    (int32 [n_lists, n], −1 behind the last), with `scores`, and `by` the number of a scorer. Scorer s is called
    `names[name_starts[s]:name_starts[s+1]]`. The reasons of place p of list r are those from `starts[r · n + p]` to
    the next start: `template`, `cause` (an item or −1) and `amount`. Template t is cut out of `words` at
    `cuts[first_cut[t]:first_cut[t+1]]`: its kind, then the pieces of its text, between which the name of the cause
    stands. The label of item i begins at `labels[label_starts[i]]`; `label_starts` may change meanwhile, `labels` not.
    """
    head_cuts = _check.array("head_starts", head_starts, np.int64)
    codes = _check.array("items", items, np.int32, ndim=2, length=len(head_cuts) - 1)
    values = _check.array("scores", scores, np.float64, ndim=2, length=len(codes))
    numbers = _check.array("by", by, np.int8, ndim=2, length=len(codes))
    begins = _check.array("starts", starts, np.int64, length=codes.size + 1)
    used = _check.array("template", template, np.int32)
    causes = _check.array("cause", cause, np.int32, length=len(used))
    amounts = _check.array("amount", amount, np.float64, length=len(used))
    if not codes.shape == values.shape == numbers.shape:
        _check.refuse("items", "must have the shape of scores and of by")
    blob, places = _check.array("labels", labels, np.uint8), _check.array("label_starts", label_starts, np.int64)
    item_labels, cause_labels = np.empty((codes.size, 3), np.int64), np.empty((len(causes), 3), np.int64)
    if not (_locate(codes.ravel(), blob, places, item_labels) and _locate(causes, blob, places, cause_labels)):
        _check.refuse("items", "or cause hold a number that has no label")
    arguments = (
        _check.array("heads", heads, np.uint8), head_cuts, codes, values.view(np.int64), numbers,
        _check.array("names", names, np.uint8), _check.array("name_starts", name_starts, np.int64),
        begins, used, amounts.view(np.int64),
        _check.array("words", words, np.uint8), _check.array("cuts", cuts, np.int64),
        _check.array("first_cut", first_cut, np.int64),
        blob, item_labels, cause_labels,
    )  # fmt: skip
    item_sizes, reason_sizes = np.empty(codes.size, np.int64), np.empty(len(used), np.int64)
    list_sizes = np.empty(len(codes), np.int64)
    size = _measure(*arguments, item_sizes, reason_sizes, list_sizes)
    if size < 0:
        _check.refuse("by", "or template hold a number that has no name or text")
    out = np.empty(size, np.uint8)
    _write(*arguments, item_sizes, reason_sizes, list_sizes, out)
    return out


@serial
def _varint_size(value: int) -> int:
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@serial
def _field_size(length: int) -> int:
    """Bytes of a text or a message within a message, with its tag; an empty text is not written."""
    return 1 + _varint_size(length) + length if length else 0


@serial
def _uint32(source: Bytes, at: int) -> int:
    value = 0
    for place in range(4):
        value |= int(source[at + place]) << (8 * place)
    return value


@serial
def _text_size(cuts: NDArray[np.int64], first: int, last: int, name_size: int) -> int:
    """Bytes of a reason's text: the pieces between the cuts, and a name between two pieces."""
    return int(cuts[last - 1] - cuts[first + 1]) + (last - first - 3) * name_size


@serial
def _locate(
    codes: NDArray[np.int32], labels: Bytes, label_starts: NDArray[np.int64], places: NDArray[np.int64]
) -> bool:
    """Where in `labels` the id begins, the name begins and the name ends; false where there is no such label."""
    for row in range(len(codes)):
        code = codes[row]
        if code < 0:
            places[row] = 0
            continue
        if code >= len(label_starts):
            return False
        label = label_starts[code]  # once: the next look may find another
        if not 0 <= label <= len(labels) - 8:
            return False
        middle = label + 8 + _uint32(labels, label)
        end = middle + _uint32(labels, label + 4)
        if end > len(labels):
            return False
        places[row, 0], places[row, 1], places[row, 2] = label + 8, middle, end
    return True


@serial
def _measure(
    heads: Bytes,
    head_starts: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.int64],
    by: NDArray[np.int8],
    names: Bytes,
    name_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    amount: NDArray[np.int64],
    words: Bytes,
    cuts: NDArray[np.int64],
    first_cut: NDArray[np.int64],
    labels: Bytes,
    item_labels: NDArray[np.int64],
    cause_labels: NDArray[np.int64],
    item_sizes: NDArray[np.int64],
    reason_sizes: NDArray[np.int64],
    list_sizes: NDArray[np.int64],
) -> int:
    """Bytes in all; also of each item, reason and list, without tag and length. −1 for a number that is not there."""
    total = 0
    for row in range(len(items)):
        list_size = head_starts[row + 1] - head_starts[row]
        for place in range(items.shape[1]):
            if items[row, place] < 0:
                break
            scorer = by[row, place]
            if not 0 <= scorer < len(name_starts) - 1:
                return -1
            which = row * items.shape[1] + place
            label, middle, end = item_labels[which, 0], item_labels[which, 1], item_labels[which, 2]
            size = _field_size(middle - label) + _field_size(end - middle)
            size += 1 + _varint_size(place + 1) + _field_size(name_starts[scorer + 1] - name_starts[scorer])
            if scores[row, place]:
                size += 9
            for reason in range(starts[which], starts[which + 1]):
                if not 0 <= template[reason] < len(first_cut) - 1:
                    return -1
                first, last = first_cut[template[reason]], first_cut[template[reason] + 1]
                label, middle, end = cause_labels[reason, 0], cause_labels[reason, 1], cause_labels[reason, 2]
                reason_size = _field_size(cuts[first + 1] - cuts[first])
                reason_size += _field_size(middle - label) + _field_size(end - middle)
                reason_size += _field_size(_text_size(cuts, first, last, end - middle))
                if amount[reason]:
                    reason_size += 9
                reason_sizes[reason] = reason_size
                size += 1 + _varint_size(reason_size) + reason_size
            item_sizes[which] = size
            list_size += 1 + _varint_size(size) + size
        list_sizes[row] = list_size
        total += 1 + _varint_size(list_size) + list_size
    return total


@serial
def _put_varint(out: Bytes, at: int, value: int) -> int:
    while value > 127:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@serial
def _put_double(out: Bytes, at: int, tag: int, bits: int) -> int:
    if bits == 0:
        return at
    out[at] = tag
    for place in range(8):
        out[at + 1 + place] = (bits >> (8 * place)) & 255
    return at + 9


@serial
def _put_bytes(out: Bytes, at: int, source: Bytes, first: int, last: int) -> int:
    size = last - first
    target, origin = out[at : at + size], source[first:last]
    for place in range(size):
        target[place] = origin[place]
    return at + size


@serial
def _put_text(out: Bytes, at: int, tag: int, source: Bytes, first: int, last: int) -> int:
    if first == last:
        return at
    out[at] = tag
    at = _put_varint(out, at + 1, last - first)
    return _put_bytes(out, at, source, first, last)


@serial
def _write(
    heads: Bytes,
    head_starts: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.int64],
    by: NDArray[np.int8],
    names: Bytes,
    name_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    amount: NDArray[np.int64],
    words: Bytes,
    cuts: NDArray[np.int64],
    first_cut: NDArray[np.int64],
    labels: Bytes,
    item_labels: NDArray[np.int64],
    cause_labels: NDArray[np.int64],
    item_sizes: NDArray[np.int64],
    reason_sizes: NDArray[np.int64],
    list_sizes: NDArray[np.int64],
    out: Bytes,
) -> None:
    at = 0
    for row in range(len(items)):
        out[at] = 0x0A  # recommendation, or recommendations
        at = _put_varint(out, at + 1, list_sizes[row])
        at = _put_bytes(out, at, heads, head_starts[row], head_starts[row + 1])
        for place in range(items.shape[1]):
            if items[row, place] < 0:
                break
            which = row * items.shape[1] + place
            out[at] = 0x3A  # Recommendation.items
            at = _put_varint(out, at + 1, item_sizes[which])
            label, middle, end = item_labels[which, 0], item_labels[which, 1], item_labels[which, 2]
            scorer = by[row, place]
            at = _put_text(out, at, 0x0A, labels, label, middle)  # item_id
            at = _put_text(out, at, 0x12, labels, middle, end)  # name
            out[at] = 0x18  # rank
            at = _put_varint(out, at + 1, place + 1)
            at = _put_double(out, at, 0x21, scores[row, place])
            at = _put_text(out, at, 0x2A, names, name_starts[scorer], name_starts[scorer + 1])
            for reason in range(starts[which], starts[which + 1]):
                out[at] = 0x32  # RecommendedItem.reasons
                at = _put_varint(out, at + 1, reason_sizes[reason])
                first, last = first_cut[template[reason]], first_cut[template[reason] + 1]
                at = _put_text(out, at, 0x0A, words, cuts[first], cuts[first + 1])  # kind
                label, middle, end = cause_labels[reason, 0], cause_labels[reason, 1], cause_labels[reason, 2]
                size = _text_size(cuts, first, last, end - middle)
                if size:
                    out[at] = 0x12  # text
                    at = _put_varint(out, at + 1, size)
                    at = _put_bytes(out, at, words, cuts[first + 1], cuts[first + 2])
                    for cut in range(first + 2, last - 1):
                        at = _put_bytes(out, at, labels, middle, end)
                        at = _put_bytes(out, at, words, cuts[cut], cuts[cut + 1])
                at = _put_double(out, at, 0x19, amount[reason])
                at = _put_text(out, at, 0x22, labels, label, middle)  # item_id
                at = _put_text(out, at, 0x2A, labels, middle, end)  # item_name


__all__ = ["encode_lists"]
