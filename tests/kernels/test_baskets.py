from __future__ import annotations

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize("n_rows", [0, 1, 5, 200])
def test_baskets_like_their_twin(rng: np.random.Generator, n_rows: int) -> None:
    for n_customers, n_baskets in ((1, 1), (4, 3), (30, 500)):
        customer = np.sort(rng.integers(-1, n_customers, n_rows)).astype(np.int32)
        arguments = (
            customer,
            rng.integers(-n_baskets, n_baskets, n_rows),
            rng.integers(-1, 9, n_rows).astype(np.int32),
            rng.random(n_rows) < 0.8,
        )
        found, expected = kernels.basket_items(*arguments), reference.basket_items(*arguments)
        assert [one.dtype.name for one in found] == ["int64", "int32"]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(InvalidInput, match="item: must have length 1"):
        kernels.basket_items(np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(2, np.int32), np.ones(1, bool))
