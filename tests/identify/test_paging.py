"""Pages: all of a list, in order, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.errors import InvalidInput
from visavis.identify.paging import page_of


@settings(max_examples=100, derandomize=True)
@given(length=st.integers(0, 50), size=st.integers(1, 60))
def test_pages_cover_the_list(length: int, size: int) -> None:
    seen: list[int] = []
    token = ""
    for _ in range(60):
        page = page_of(length, lambda place: place, size, token)
        seen += page.items
        token = page.next_page_token
        if not token:
            break
    assert seen == list(range(length))


def test_sizes() -> None:
    assert len(page_of(5000, str, 0, "").items) == 100
    assert len(page_of(5000, str, 9999, "").items) == 1000
    assert page_of(5, str, 10, "77").items == ()


@pytest.mark.parametrize("size", [-1, True, 1.5, None])
def test_bad_sizes(size: Any) -> None:
    with pytest.raises(InvalidInput, match="page_size"):
        page_of(5, str, size, "")


@pytest.mark.parametrize("token", ["x", "-1", "٣", "1" * 12, None, 5])
def test_bad_tokens(token: Any) -> None:
    with pytest.raises(InvalidInput, match="page_token"):
        page_of(5, str, 1, token)
