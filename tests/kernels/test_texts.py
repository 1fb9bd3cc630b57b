from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput

KEY = 0x0123456789ABCDEF
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def some(texts: list[str]) -> tuple[reference.Array, reference.Array]:
    return reference.joined([one.encode() for one in texts])


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(words, max_size=8), st.lists(st.integers(0, 7), max_size=12))
def test_texts_are_taken_like_their_twin_takes_them(texts: list[str], places: list[int]) -> None:
    data, ends = some(texts)
    at = np.array([place for place in places if place < len(texts)], np.int64)
    taken, expected = kernels.take_texts(data, ends, at), reference.take_texts(data, ends, at)
    for own, twin in zip(taken, expected, strict=True):
        assert own.dtype == twin.dtype
        np.testing.assert_array_equal(own, twin)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(words | st.sampled_from(["", "a\x1fb", "\x7f", "é🍵é🍵", "é" * 5, "\x00", "a b"]), max_size=8))
def test_texts_fit_like_their_twin_says(texts: list[str]) -> None:
    fit = kernels.texts_fit(*some(texts), 4)
    assert fit.dtype == np.bool_
    np.testing.assert_array_equal(fit, reference.texts_fit(*some(texts), 4))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 300])
def test_texts_are_found_like_their_twins_finds_them(n: int) -> None:
    """Added in two goes, through several growths; of every length around a word, also with zero bytes."""
    texts = [f"{number:x}" * (number % 5) + "é\x00"[: number % 3] + str(number) for number in range(n)]
    data, ends = some(texts)
    half = n // 2
    first = kernels.text_index_add(kernels.text_index_new(1), data[: ends[half]], ends[: half + 1], 0, KEY)
    index = kernels.text_index_add(first, data, ends, half, KEY)
    twin = reference.text_index_add(reference.text_index_new(1), data, ends, 0, KEY)
    wanted, wanted_ends = some([*reversed(texts), "", "none of them", *[f"{one}!" for one in texts]])
    at = np.arange(len(wanted_ends) - 1)
    found = kernels.text_index_find(index, data, ends, wanted, wanted_ends, at, KEY)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, reference.text_index_find(twin, data, ends, wanted, wanted_ends, at, KEY))
    assert (found[:n] == np.arange(n)[::-1]).all()
    assert (found[n:] == -1).all()


def test_texts_that_crowd_are_told_apart() -> None:
    """Half of the slots are taken at most, and whose hash is alike is compared in full."""
    texts = [f"{number}" for number in range(20_000)]
    data, ends = some(texts)
    index = kernels.text_index_add(kernels.text_index_new(0), data, ends, 0, 0)
    assert len(index) >= 2 * len(texts)
    assert (index != 0).sum() == len(texts)
    found = kernels.text_index_find(index, data, ends, data, ends, np.arange(len(texts)), 0)
    np.testing.assert_array_equal(found, np.arange(len(texts)))


def test_another_key_places_texts_elsewhere() -> None:
    data, ends = some([f"text {number}" for number in range(50)])
    one, other = (kernels.text_index_add(kernels.text_index_new(50), data, ends, 0, key) for key in (KEY, 1))
    assert not np.array_equal(one != 0, other != 0)


def test_what_lies_outside_is_refused() -> None:
    data, ends = some(["a", "bc"])
    for wrong in (np.array([0, 1]), np.array([0, 2, 1, 3]), np.array([1, 3]), np.empty(0, np.int64)):
        with pytest.raises(InvalidInput, match="ends: must start at 0, never fall and end at the number of bytes"):
            kernels.take_texts(data, wrong, np.zeros(0, np.int64))
    with pytest.raises(InvalidInput, match="places: must lie in 0 … 1, but hold 0 … 2"):
        kernels.take_texts(data, ends, np.array([0, 2]))
    with pytest.raises(InvalidInput, match="index: must have a power of two of slots"):
        kernels.text_index_find(np.zeros(3, np.uint64), data, ends, data, ends, np.array([0]), 0)
    with pytest.raises(InvalidInput, match="ends: must never fall and end within the bytes"):
        kernels.text_index_add(kernels.text_index_new(2), data, np.array([0, 2, 1]), 0, 0)
    full = kernels.text_index_add(kernels.text_index_new(2), data, ends, 0, 0)
    assert kernels.text_index_find(full, data[:0], ends[:1], data, ends, np.array([0, 1]), 0).tolist() == [-1, -1]
