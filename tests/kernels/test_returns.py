from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput

NAN = np.nan


def match(rows: Sequence[tuple[int, bool, float, float]]) -> tuple[list[int], list[float]]:
    """Rows of (group, is it a return, quantity, price)."""
    group, is_return, quantity, price = zip(*rows, strict=True)
    reversed_row, remaining = kernels.match_returns(
        np.array(group), np.array(is_return), np.array(quantity, float), np.array(price, float)
    )
    return reversed_row.tolist(), remaining.tolist()


@pytest.mark.parametrize(("n", "n_groups"), [(0, 1), (1, 1), (2, 1), (40, 1), (40, 6), (200, 40)])
def test_match_returns_like_its_twin(rng: np.random.Generator, n: int, n_groups: int) -> None:
    for share in (0.0, 0.3, 0.7, 1.0):
        group = np.sort(rng.integers(-1, n_groups, n))
        is_return = rng.random(n) < share
        quantity = rng.integers(0, 6, n) / 2
        price = rng.choice([1.0, 2.5, NAN], n)
        reversed_row, remaining = kernels.match_returns(group, is_return, quantity, price)
        expected_row, expected_remaining = reference.match_returns(group, is_return, quantity, price)
        assert [reversed_row.dtype.name, remaining.dtype.name] == ["int64", "float64"]
        np.testing.assert_array_equal(reversed_row, expected_row)
        np.testing.assert_array_equal(remaining, expected_remaining)


def test_the_latest_purchase_is_reversed() -> None:
    assert match([(0, False, 1, 2), (0, False, 1, 2), (0, True, 1, 2)]) == ([-1, -1, 1], [1, 0, 0])


def test_the_same_price_comes_before_the_latest() -> None:
    assert match([(0, False, 1, 2), (0, False, 1, 3), (0, True, 1, 2)]) == ([-1, -1, 0], [0, 1, 0])


def test_a_return_spans_purchases_and_says_what_it_could_not_place() -> None:
    rows = [(0, False, 1, 2), (0, False, 2, 3), (0, False, 1, 2), (0, True, 3, 2), (0, True, 2, 2)]
    assert match(rows) == ([-1, -1, -1, 2, 1], [0, 0, 0, 0, 1])


def test_neither_later_purchases_nor_other_groups_are_reversed() -> None:
    rows = [(0, False, 1, 2), (1, True, 1, 2), (1, False, 1, 2), (2, True, 1, 2)]
    assert match(rows) == ([-1, -1, -1, -1], [1, 1, 1, 1])


def test_an_unknown_price_equals_nothing_but_still_matches_last() -> None:
    assert match([(0, False, 1, NAN), (0, False, 1, 5), (0, True, 1, NAN)]) == ([-1, -1, 1], [1, 0, 0])


def test_a_return_of_nothing_reverses_nothing() -> None:
    assert match([(0, False, 1, 2), (0, True, 0, 2)]) == ([-1, -1], [1, 0])


rows_of_one_shop = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 5), st.sampled_from([1.0, 2.0])), max_size=25
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(rows_of_one_shop)
def test_goods_are_neither_made_nor_lost(rows: list[tuple[int, bool, int, float]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    if not rows:
        return
    reversed_row, remaining = match([(g, r, float(q), p) for g, r, q, p in rows])
    for group in range(4):
        here = [at for at, row in enumerate(rows) if row[0] == group]
        placed = sum(rows[at][2] - remaining[at] for at in here if rows[at][1])
        given_back = sum(rows[at][2] - remaining[at] for at in here if not rows[at][1])
        assert placed == given_back
        for at in here:
            assert 0 <= remaining[at] <= rows[at][2]
            if reversed_row[at] >= 0:
                assert rows[at][1]
                assert reversed_row[at] < at
                assert rows[reversed_row[at]][:2] == (group, False)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"group": np.array([1, 0])}, "group"),
        ({"is_return": np.array([0, 1])}, "is_return"),
        ({"is_return": np.array([True])}, "is_return"),
        ({"quantity": np.array([1.0, -1.0])}, "quantity"),
        ({"quantity": np.array([1.0, NAN])}, "quantity"),
        ({"price": np.array([1.0])}, "price"),
    ],
)
def test_match_returns_names_what_is_wrong(options: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {
        "group": np.array([0, 0]), "is_return": np.array([False, True]), "quantity": np.ones(2), "price": np.ones(2),
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        kernels.match_returns(**(arguments | options))
    assert caught.value.violations[0].field == field
