"""Ranked lists as the bytes of a protobuf message, written straight from columns.

Building a message object by object takes a hundred times longer than writing its bytes. The layout is that of
`visavis.api.v1.RecommendResponse` and `BatchRecommendResponse`, whose field numbers never change; the bytes are those
that protobuf itself would write. The plain form beside this one is the message built from `Answers.rows()`; a test
compares the two.

A message within a message begins with its length. So everything is written from its end to its beginning, as protobuf
does itself: when a length is due, what it is of stands there already, and nothing is measured beforehand.

Texts come as UTF-8 in one array of bytes each, with places to cut it at; those that always stand in the same field come
with the field's tag and length before them (`tagged`). A label is an item's id and name, each tagged as fields 1 and 2
of a message, behind three little-endian uint32 that say how many bytes the two have with their tags, and how many the
name has without (see `live.labels`).

A label may be replaced while a call runs: its new bytes are put elsewhere, then the place where it begins is changed.
So each place is read once, and what there is room for is what is written.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import copy_4, copy_8, copy_16, lean, serial

Bytes = NDArray[np.uint8]
_LABEL_HEAD = 12


def encode_lists(
    ids: Bytes,
    id_starts: NDArray[np.int64],
    decisions: Bytes,
    tails: Bytes,
    tail_starts: NDArray[np.int64],
    tail: NDArray[np.int64],
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
) -> tuple[Bytes, NDArray[np.int64]]:
    """One `Recommendation` after the other, each as field 1 of a message: `(bytes uint8 [b], begins int64 [n + 1])`.

    List r is for customer `ids[id_starts[r]:id_starts[r+1]]` (empty: nobody); its decision id is `d-` and the
    hexadecimal digits of `decisions[16 · r : 16 · r + 16]`; fields 3 to 6 are number `tail[r]` of `tails`, cut at
    `tail_starts`. Its items are row r of `items` (int32 [n_lists, n], −1 behind the last), with `scores`, and `by` the
    number of a scorer. Scorer s is called `names[name_starts[s]:name_starts[s+1]]`, tagged. The reasons of place p of
    list r are those from `starts[r · n + p]` to the next start: `template`, `cause` (an item or −1) and `amount`.
    Template t is cut out of `words` at `cuts[first_cut[t]:first_cut[t+1]]`: its kind, tagged, then the pieces of its
    text, between which the name of the cause stands. The label of item i begins at `labels[label_starts[i]]`;
    `label_starts` may change meanwhile, `labels` not.
    """
    codes = _check.array("items", items, np.int32, ndim=2)
    values = _check.array("scores", scores, np.float64, ndim=2)
    numbers = _check.array("by", by, np.int8, ndim=2)
    if not codes.shape == values.shape == numbers.shape:
        _check.refuse("items", "must have the shape of scores and of by")
    used = _check.array("template", template, np.int32)
    out, begins, wrong = _encode_lists(
        _check.array("ids", ids, np.uint8),
        _check.array("id_starts", id_starts, np.int64, length=len(codes) + 1),
        _check.array("decisions", decisions, np.uint8, length=16 * len(codes)),
        _check.array("tails", tails, np.uint8),
        _check.array("tail_starts", tail_starts, np.int64),
        _check.array("tail", tail, np.int64, length=len(codes)),
        codes,
        values.ravel().view(np.int64),
        numbers,
        _check.array("names", names, np.uint8),
        _check.array("name_starts", name_starts, np.int64),
        _check.array("starts", starts, np.int64, length=codes.size + 1),
        used,
        _check.array("cause", cause, np.int32, length=len(used)),
        _check.array("amount", amount, np.float64, length=len(used)).view(np.int64),
        _check.array("words", words, np.uint8),
        _check.array("cuts", cuts, np.int64),
        _check.array("first_cut", first_cut, np.int64),
        _check.array("labels", labels, np.uint8),
        _check.array("label_starts", label_starts, np.int64),
    )
    if wrong:
        _check.refuse(*_WRONG[wrong])
    return out, begins


_WRONG = (
    ("", ""),
    ("id_starts", "must rise from 0 and stay within ids"),
    ("tail", "holds a number that has no tail"),
    ("items", "or cause hold a number that has no label"),
    ("by", "or template hold a number that has no name or text"),
    ("starts", "must rise and stay within the reasons"),
)


@lean
def _uint32(source: Bytes, at: int) -> int:
    value = 0
    for place in range(4):
        value |= int(source[at + place]) << (8 * place)
    return value


@lean
def _label(code: int, labels: Bytes, label_starts: NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Where a label's texts begin, and how many bytes id and name have with their tags, and the name without.
    Nothing for −1; a beginning below 0 where there is no such label."""
    if code == -1:
        return 0, 0, 0, 0
    if code < 0 or code >= len(label_starts):
        return -1, 0, 0, 0
    at = label_starts[code]  # once: the next look may find another
    if not 0 <= at <= len(labels) - _LABEL_HEAD:
        return -1, 0, 0, 0
    first, second, name = _uint32(labels, at), _uint32(labels, at + 4), _uint32(labels, at + 8)
    if at + _LABEL_HEAD + first + second > len(labels) or name > second:
        return -1, 0, 0, 0
    return at + _LABEL_HEAD, first, second, name


@lean
def _put(out: Bytes, at: int, source: Bytes, first: int, size: int) -> int:
    """Write `source[first:first+size]` so that it ends at `at`; answers where it begins. Here and below."""
    at -= size
    if size >= 16:
        for done in range(0, size - 16, 16):
            copy_16(out, at + done, source, first + done)
        copy_16(out, at + size - 16, source, first + size - 16)
    elif size >= 8:
        copy_8(out, at, source, first)
        copy_8(out, at + size - 8, source, first + size - 8)
    elif size >= 4:
        copy_4(out, at, source, first)
        copy_4(out, at + size - 4, source, first + size - 4)
    else:
        for place in range(size):
            out[at + place] = source[first + place]
    return at


@lean
def _put_length(out: Bytes, at: int, tag: int, length: int) -> int:
    """The tag and the length, or another number, of what stands behind them."""
    size, rest = 1, length >> 7
    while rest:
        size += 1
        rest >>= 7
    at -= size
    rest = length
    for place in range(size - 1):
        out[at + place] = (rest & 127) | 128
        rest >>= 7
    out[at + size - 1] = rest
    out[at - 1] = tag
    return at - 1


@lean
def _put_double(out: Bytes, at: int, tag: int, bits: NDArray[np.int64], data: Bytes, index: int) -> int:
    """Number `index` of those whose bits and bytes these are; 0 is not written, −0 is."""
    if bits[index] == 0:
        return at
    copy_8(out, at - 8, data, 8 * index)
    out[at - 9] = tag
    return at - 9


@lean
def _put_head(out: Bytes, at: int, ids: Bytes, first: int, last: int, decisions: Bytes, row: int) -> int:
    """Customer and decision."""
    for place in range(15, -1, -1):
        byte = int(decisions[16 * row + place])
        low, high = byte & 15, byte >> 4
        at -= 2
        out[at], out[at + 1] = high + (48 if high < 10 else 87), low + (48 if low < 10 else 87)
    at -= 4
    out[at], out[at + 1], out[at + 2], out[at + 3] = 0x12, 34, 100, 45  # decision_id: `d-` and 32 digits
    if last > first:
        at = _put(out, at, ids, first, last - first)
        at = _put_length(out, at, 0x0A, last - first)  # customer_id
    return at


@lean
def _put_reason(
    out: Bytes,
    at: int,
    words: Bytes,
    cuts: NDArray[np.int64],
    first: int,
    last: int,
    amount: NDArray[np.int64],
    amount_bytes: Bytes,
    reason: int,
    labels: Bytes,
    label: int,
    id_size: int,
    name_size: int,
    name: int,
) -> int:
    end = at
    if name_size:
        at = _put(out, at, labels, label + id_size, name_size)
        out[at] = 0x2A  # item_name; in a label it bears the tag of an item's name
    if id_size:
        at = _put(out, at, labels, label, id_size)
        out[at] = 0x22  # item_id
    at = _put_double(out, at, 0x19, amount, amount_bytes, reason)  # contribution
    text = at
    for cut in range(last - 2, first + 1, -1):
        at = _put(out, at, words, cuts[cut], cuts[cut + 1] - cuts[cut])
        at = _put(out, at, labels, label + id_size + name_size - name, name)
    at = _put(out, at, words, cuts[first + 1], cuts[first + 2] - cuts[first + 1])
    if text > at:
        at = _put_length(out, at, 0x12, text - at)  # text
    at = _put(out, at, words, cuts[first], cuts[first + 1] - cuts[first])  # kind, tagged
    return _put_length(out, at, 0x32, end - at)  # RecommendedItem.reasons


@lean
def _put_list(
    out: Bytes,
    at: int,
    row: int,
    ids: Bytes,
    id_starts: NDArray[np.int64],
    decisions: Bytes,
    tails: Bytes,
    tail_starts: NDArray[np.int64],
    tail: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.int64],
    score_bytes: Bytes,
    by: NDArray[np.int8],
    names: Bytes,
    name_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    cause: NDArray[np.int32],
    amount: NDArray[np.int64],
    amount_bytes: Bytes,
    words: Bytes,
    cuts: NDArray[np.int64],
    first_cut: NDArray[np.int64],
    labels: Bytes,
    label_starts: NDArray[np.int64],
) -> int:
    """Or −1 if there is no room, and less than that for what is wrong (`_WRONG`)."""
    behind, n = at, items.shape[1]
    first_id, last_id = id_starts[row], id_starts[row + 1]
    if not 0 <= first_id <= last_id <= len(ids):
        return -2
    if not 0 <= tail[row] < len(tail_starts) - 1:
        return -3
    tail_at, tail_size = tail_starts[tail[row]], tail_starts[tail[row] + 1] - tail_starts[tail[row]]
    if tail_at < 0 or tail_size < 0 or tail_at + tail_size > len(tails):
        return -3
    for place in range(n - 1, -1, -1):
        code = items[row, place]
        if code < 0:
            continue
        end, which, scorer = at, row * n + place, by[row, place]
        label, id_size, name_size, _name = _label(code, labels, label_starts)
        if label < 0:
            return -4
        if not 0 <= scorer < len(name_starts) - 1:
            return -5
        if not 0 <= starts[which] <= starts[which + 1] <= len(cause):
            return -6
        for reason in range(starts[which + 1] - 1, starts[which] - 1, -1):
            if not 0 <= template[reason] < len(first_cut) - 1:
                return -5
            first, last = first_cut[template[reason]], first_cut[template[reason] + 1]
            of, of_id, of_name, pure = _label(cause[reason], labels, label_starts)
            if of < 0:
                return -4
            # Four tags and lengths, and a number.
            if at < cuts[last - 1] - cuts[first] + (last - first) * pure + of_id + of_name + 48:
                return -1
            at = _put_reason(
                out, at, words, cuts, first, last, amount, amount_bytes, reason, labels, of, of_id, of_name, pure
            )
        scorer_at, scorer_size = name_starts[scorer], name_starts[scorer + 1] - name_starts[scorer]
        if at < id_size + name_size + scorer_size + 32:
            return -1
        at = _put(out, at, names, scorer_at, scorer_size)  # scorer, tagged
        at = _put_double(out, at, 0x21, scores, score_bytes, which)
        at = _put_length(out, at, 0x18, place + 1)  # rank
        at = _put(out, at, labels, label, id_size + name_size)  # item_id and name, tagged
        at = _put_length(out, at, 0x3A, end - at)  # Recommendation.items
    if at < tail_size + last_id - first_id + 64:
        return -1
    at = _put(out, at, tails, tail_at, tail_size)
    at = _put_head(out, at, ids, first_id, last_id, decisions, row)
    return _put_length(out, at, 0x0A, behind - at)  # recommendation, or recommendations


@serial
def _encode_lists(
    ids: Bytes,
    id_starts: NDArray[np.int64],
    decisions: Bytes,
    tails: Bytes,
    tail_starts: NDArray[np.int64],
    tail: NDArray[np.int64],
    items: NDArray[np.int32],
    scores: NDArray[np.int64],
    by: NDArray[np.int8],
    names: Bytes,
    name_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    cause: NDArray[np.int32],
    amount: NDArray[np.int64],
    words: Bytes,
    cuts: NDArray[np.int64],
    first_cut: NDArray[np.int64],
    labels: Bytes,
    label_starts: NDArray[np.int64],
) -> tuple[Bytes, NDArray[np.int64], int]:
    n_lists = len(items)
    begins = np.zeros(n_lists + 1, np.int64)
    score_bytes, amount_bytes = scores.view(np.uint8), amount.view(np.uint8)
    out = np.empty(128 * n_lists + 96 * items.size + 128 * len(cause), np.uint8)
    at = len(out)
    for row in range(n_lists - 1, -1, -1):
        begins[row + 1] = len(out) - at  # from the end, for now
        while True:
            put = _put_list(
                out, at, row, ids, id_starts, decisions, tails, tail_starts, tail, items, scores, score_bytes, by,
                names, name_starts, starts, template, cause, amount, amount_bytes, words, cuts, first_cut, labels,
                label_starts,
            )  # fmt: skip
            if put != -1:
                break
            used = len(out) - at
            larger = np.empty(2 * len(out) + 256, np.uint8)
            larger[len(larger) - used :] = out[at:]
            out, at = larger, len(larger) - used
        if put < 0:
            return out, begins, -1 - put
        at = put
    begins[0] = len(out) - at
    for row in range(n_lists + 1):
        begins[row] = len(out) - at - begins[row]
    return out[at:], begins, 0


__all__ = ["encode_lists"]
