from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.api.v1 import interaction_service_pb2 as pb

words = st.sampled_from(["", "ann", "é🍵", "x" * 300, "a\x00b"])
codes = st.integers(0, 2**32 - 1)
micros = st.integers(-(2**63), 2**63 - 1)
numbers = st.floats()


def bytes_of(message: Any) -> reference.Array:
    return np.frombuffer(message.SerializeToString(), np.uint8)


def assert_same(own: Any, twin: Any) -> None:
    assert (own is None) == (twin is None)
    for left, right in zip(own or (), twin or (), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@st.composite
def batches(draw: Callable[..., Any]) -> pb.StreamInteractionsRequest:
    n = draw(st.integers(0, 4))
    message = pb.StreamInteractionsRequest(batch_id=draw(words), request_id=draw(words))
    message.strings.extend(draw(st.lists(words, max_size=5)))
    for name in reference.COLUMNS:
        if name == "kind" or draw(st.booleans()):
            one = numbers if name in ("quantity", "rating") else micros if "mi" in name[:12] else codes
            size = n if draw(st.integers(0, 20)) else n + 1
            getattr(message, name).extend(draw(st.lists(one, min_size=size, max_size=size)))
    return message


@settings(derandomize=True, max_examples=100, deadline=None)
@given(batches())
def test_a_batch_is_read_like_its_twin_reads_it(message: pb.StreamInteractionsRequest) -> None:
    assert_same(kernels.read_batch(bytes_of(message)), reference.read_batch(bytes_of(message)))


def test_a_batch_that_is_not_packed_is_read_like_its_twin_reads_it() -> None:
    """As an old client would send it, in any order, with a field that we do not know, of each wire type."""
    unknown = b"\xa0\x06\x05" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x01x" + b"\xa5\x06" + bytes(4)
    two = b"\x1a\x00" + b"\x1a\x01v" + b"\x20\x01" * 2 + b"\x50\x80\x80\x80\x80\x80\x01" * 2
    message = unknown + b"\x59" + np.array(2.5).tobytes() + two + unknown + b"\x59" + np.array(-1.5).tobytes()
    read = kernels.read_batch(np.frombuffer(message, np.uint8))
    assert read is not None
    assert_same(read, reference.read_batch(np.frombuffer(message, np.uint8)))
    assert read.codes[[0, 6]].tolist() == [[1, 1], [2**35, 2**35]]
    assert read.numbers[0].tolist() == [2.5, -1.5]


@st.composite
def interactions(draw: Callable[..., Any]) -> pb.Interaction:
    one = pb.Interaction()
    for name in ("kind", "item_id", "interaction_id", "order_id", "touchpoint", "decision_id", "reverses_id"):
        setattr(one, name, draw(words))
    odd = draw(st.integers(0, 7)) == 0
    for name in ("quantity", "rating"):
        if draw(st.booleans()):
            setattr(one, name, draw(numbers if odd else st.floats(0, 9)))
    who = draw(st.sampled_from(["nobody", "customer", "identifier"]))
    if who == "customer":
        one.customer.customer_id = draw(words) if odd else "ann"
    elif who == "identifier":
        one.customer.identifier.kind = "email"
        one.customer.identifier.value = draw(words) if odd else "a@x"
    elif odd:
        one.customer.SetInParent()
    if draw(st.booleans()):
        one.occurred_at.seconds = draw(st.integers(-1, 1) if odd else st.integers(1, 2**33))
        one.occurred_at.nanos = draw(st.integers(-1, 1) if odd else st.integers(0, 10**9 - 1))
    if draw(st.booleans()):
        one.amount.minor_units = draw(micros)
        one.amount.currency = draw(words) if odd else "EUR"
    return one


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.lists(st.lists(interactions(), max_size=3), max_size=4))
def test_calls_are_read_like_their_twin_reads_them(calls: list[list[pb.Interaction]]) -> None:
    messages = [
        pb.RecordInteractionsRequest(interactions=rows, request_id="r" * (len(rows) % 2)).SerializeToString()
        for rows in calls
    ]
    content, starts = reference.joined(messages)
    own, twin = kernels.read_calls(content, starts), reference.read_calls(content, starts)
    assert (own is None) == (twin is None)
    if own is None or twin is None:
        return
    np.testing.assert_array_equal(own[1], twin[1])
    np.testing.assert_array_equal(own[0].numbers, twin[0].numbers)
    # Texts may come in another order: what each column says is the same.
    texts, others = reference.cut(own[0].data, own[0].ends), reference.cut(twin[0].data, twin[0].ends)
    for column in range(15):
        first, second = own[0].codes[column].tolist(), twin[0].codes[column].tolist()
        if column not in (6, 7, 8, 10):
            first, second = [texts[code] for code in first], [others[code] for code in second]  # type: ignore[misc]
        assert first == second, column


def test_a_field_that_comes_twice_is_left_to_others() -> None:
    for twice in (b"\x0a\x01a\x0a\x01b", b"\x12\x06\x0a\x01a\x0a\x01b", b"\x12\x08\x0a\x01a\x12\x03\x0a\x01b"):
        message = b"\x0a" + bytes([len(twice)]) + twice
        assert kernels.read_calls(np.frombuffer(message, np.uint8), np.array([0, len(message)])) is None


@pytest.mark.parametrize("read", ["batch", "calls"])
def test_no_bytes_lead_outside(read: str, rng: np.random.Generator) -> None:
    """Cut off anywhere, and with any byte changed; with `NUMBA_BOUNDSCHECK` each look outside is an error."""
    row = pb.Interaction(kind="view", item_id="tea", quantity=2.0, order_id="o")
    row.customer.identifier.kind, row.customer.identifier.value, row.occurred_at.seconds = "email", "a@x", 7
    row.amount.minor_units, row.amount.currency = 5, "EUR"
    batch = pb.StreamInteractionsRequest(strings=["", "view"], kind=[1, 1], item_id=[1, 1], quantity=[1.0, 2.0])
    message = batch if read == "batch" else pb.RecordInteractionsRequest(interactions=[row, row])
    whole = bytes_of(message)
    tried = [whole[:end] for end in range(len(whole))]
    for _ in range(2_000):
        changed = whole.copy()
        changed[rng.integers(len(whole), size=rng.integers(1, 4))] = rng.integers(256)
        tried.append(changed)
    for content in tried:
        if read == "batch":
            kernels.read_batch(content)
        else:
            kernels.read_calls(content, np.array([0, len(content)]))
