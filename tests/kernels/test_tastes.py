from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput

KINDS: dict[str, Any] = {
    "weight_of": np.array([1.0, 0.2, 0.0, 0.5, 0.0]), "cause_of": np.array([3, 0, 0, 1, 0], np.int8),
    "purchase": 0, "skip": 2,
}  # fmt: skip
"""Purchase, view, skip, cart, rating."""


def columns(rng: np.random.Generator, sizes: list[int], n_items: int) -> dict[str, Any]:
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(indptr[-1])
    return {
        "indptr": indptr,
        "item": rng.integers(-1, n_items, n).astype(np.int32),
        "kind": rng.integers(0, 5, n).astype(np.uint16),
        "quantity": rng.choice([0.0, 1.0, 2.5], n),
        "rating": rng.choice([np.nan, 1.0, 5.0], n),
        "basket": rng.integers(0, 3, n).astype(np.int64),
    }


@pytest.mark.parametrize("signal", ["presence", "weight", "rating"])
@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 7], [30, 2], [200]])
def test_tastes_like_their_twin(rng: np.random.Generator, sizes: list[int], signal: str) -> None:
    for n_items in (1, 4, 60):
        rows = columns(rng, sizes, n_items)
        found = kernels.tastes_of(**rows, **KINDS, signal=signal)
        expected = reference.tastes_of(**rows, **KINDS, signal=signal)
        assert [one.dtype.name for one in found] == ["int64", "int32", "float64", "int8"]
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-14)
        for place in (0, 1, 3):
            np.testing.assert_array_equal(found[place], expected[place])


@pytest.mark.parametrize("signal", ["presence", "weight", "rating"])
def test_fading_tastes_like_their_twin(rng: np.random.Generator, signal: str) -> None:
    for half_life_of in ([3.0, 0.5, 0.0, 0.01, 0.0], [0.0] * 5, [1e-9] * 5):
        rows = columns(rng, [30, 0, 7], 4)
        n = len(rows["item"])
        fading = {"time": np.sort(rng.integers(0, 30, n)), "half_life_of": np.array(half_life_of), "now": 20}
        found = kernels.tastes_of(**rows, **KINDS, signal=signal, **fading)
        expected = reference.tastes_of(**rows, **KINDS, signal=signal, **fading)
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-12)
        for place in (0, 1, 3):
            np.testing.assert_array_equal(found[place], expected[place])


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["presence", "weight", "rating"]))
def test_a_customer_alone_is_read_as_in_company(seed: int, signal: str) -> None:
    rows = columns(np.random.default_rng(seed), [3, 0, 12], 4)
    indptr, *together = kernels.tastes_of(**rows, **KINDS, signal=signal)
    for row in range(3):
        own = slice(*rows["indptr"][row : row + 2])
        alone = {name: values[own] for name, values in rows.items() if name != "indptr"}
        alone["indptr"] = np.array([0, len(alone["item"])])
        _, *single = kernels.tastes_of(**alone, **KINDS, signal=signal)
        for whole, part in zip(together, single, strict=True):
            np.testing.assert_array_equal(whole[indptr[row] : indptr[row + 1]], part)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"signal": "mood"}, "signal"),
        ({"kind": np.array([9], np.uint16)}, "kind"),
        ({"indptr": np.array([0, 2])}, "indptr"),
        ({"indptr": np.array([0, 2, 1])}, "indptr"),
        ({"basket": np.zeros(2, np.int64)}, "basket"),
        ({"half_life_of": np.zeros(2), "time": np.zeros(1, np.int64)}, "half_life_of"),
        ({"half_life_of": np.zeros(5)}, "time"),
        ({"cause_of": np.zeros(2, np.int8)}, "cause_of"),
    ],
)
def test_what_is_wrong_is_named(rng: np.random.Generator, options: dict[str, Any], field: str) -> None:
    arguments = columns(rng, [1], 3) | KINDS | {"signal": "presence"}
    with pytest.raises(InvalidInput) as caught:
        kernels.tastes_of(**(arguments | options))
    assert caught.value.violations[0].field == field
