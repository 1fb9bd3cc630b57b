from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput
from visavis.store.interactions import text_hash


def test_text_hashes_like_their_twin_at_every_length(rng: np.random.Generator) -> None:
    # Past 55, 63, 119 and 127 bytes a text needs one block more.
    data = rng.integers(0, 256, 700).astype(np.uint8)
    begins = rng.integers(0, 400, 300).astype(np.int64)
    ends = begins + np.arange(300)
    hashes = kernels.text_hashes(data, begins, ends)
    assert hashes.dtype == np.uint64
    np.testing.assert_array_equal(hashes, reference.text_hashes(data, begins, ends))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_a_text_has_the_hash_that_the_store_gives_it(texts: list[str]) -> None:
    encoded = [text.encode("utf-8", "replace") for text in texts]
    ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
    begins = ends - np.array([len(one) for one in encoded], dtype=np.int64)
    hashes = kernels.text_hashes(np.frombuffer(b"".join(encoded), np.uint8), begins, ends)
    assert hashes.tolist() == [text_hash(one.decode()) for one in encoded]


@pytest.mark.parametrize(("begin", "end"), [(-1, 1), (2, 1), (0, 4)])
def test_a_text_outside_is_refused(begin: int, end: int) -> None:
    with pytest.raises(InvalidInput, match=f"ends: must lie in begins … 3, but text 1 is {begin} … {end}"):
        kernels.text_hashes(np.zeros(3, np.uint8), np.array([0, begin]), np.array([0, end]))
