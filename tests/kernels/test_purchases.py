"""What customers bought, in one walk: against the twins, with nobody's rows, baskets that interleave, and nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput

SIGN = np.array([1, -1, 0], np.int8)


def rows(rng: np.random.Generator, n: int, n_customers: int, n_items: int) -> dict[str, Any]:
    """Sorted by customer, then time; a third of the amounts unknown."""
    customer = np.sort(rng.integers(-1, n_customers, n)).astype(np.int32)
    time = rng.integers(0, 1000, n)
    time = time[np.lexsort((time, customer))]
    return {
        "customer": customer,
        "item": rng.integers(-1, n_items, n).astype(np.int32),
        "kind": rng.integers(0, 3, n).astype(np.uint16),
        "time": time,
        "basket": rng.integers(-4, 4, n),
        "amount": np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 99, n).astype(float)),
    }


@pytest.mark.parametrize(("n", "n_customers"), [(0, 0), (0, 3), (1, 1), (60, 4), (300, 90), (90, 1)])
def test_purchase_totals_like_its_twin(rng: np.random.Generator, n: int, n_customers: int) -> None:
    made = rows(rng, n, n_customers, 5)
    columns = [made[name] for name in ("customer", "kind", "time", "basket", "amount")]
    found = kernels.purchase_totals(*columns, SIGN, n_customers)
    for one, expected in zip(found, reference.purchase_totals(*columns, SIGN, n_customers), strict=True):
        assert one.dtype == expected.dtype
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize(("n", "n_customers", "n_items"), [(0, 0, 0), (0, 2, 2), (1, 1, 1), (80, 5, 4), (300, 60, 30)])
def test_last_of_pairs_like_its_twin(rng: np.random.Generator, n: int, n_customers: int, n_items: int) -> None:
    made = rows(rng, n, n_customers, n_items)
    chosen = rng.random(n) < 0.7
    found = kernels.last_of_pairs(made["customer"], made["item"], chosen, n_items)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, reference.last_of_pairs(made["customer"], made["item"], chosen, n_items))


def test_what_cannot_be_walked_is_refused() -> None:
    two, times = np.array([0, 1], np.int32), np.zeros(2, np.int64)
    kinds, amounts = np.zeros(2, np.uint16), np.zeros(2)
    for changed, said in (
        ({"customer": two[::-1]}, "customer: must be sorted, but entry 1 is smaller than the one before"),
        ({"n_customers": 1}, "customer: must be below 1, but the last entry is 1"),
        ({"kind": np.array([0, 3], np.uint16)}, "kind: must be 0 to 2, but entry 1 is 3"),
        ({"time": times[:1]}, "time: must have length 2"),
    ):
        arguments = {"customer": two, "kind": kinds, "time": times, "basket": times, "amount": amounts, "sign": SIGN}
        with pytest.raises(InvalidInput, match=said):
            kernels.purchase_totals(**{**arguments, "n_customers": 2, **changed})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="item: must be below 1, but entry 1 is 1"):
        kernels.last_of_pairs(two, two, np.ones(2, np.bool_), 1)
