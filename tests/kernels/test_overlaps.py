from __future__ import annotations

import numpy as np
import pytest
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize(("n_rows", "n_columns"), samples.SHAPES)
def test_overlaps_like_its_twin(rng: np.random.Generator, n_rows: int, n_columns: int) -> None:
    indptr, indices, _ = samples.ratings(rng, n_rows, n_columns)
    left, right = (rng.integers(0, max(n_rows, 1), 40 if n_rows else 0).astype(np.int32) for _ in range(2))
    shared = kernels.overlaps(indptr, indices, n_columns, left, right)
    assert shared.dtype == np.int64
    np.testing.assert_array_equal(shared, reference.overlaps(indptr, indices, n_columns, left, right))


def test_a_row_with_itself_shares_all_of_it() -> None:
    indptr, indices = np.array([0, 3, 3], np.int64), np.array([1, 4, 5], np.int32)
    both = np.array([0, 1], np.int32)
    assert kernels.overlaps(indptr, indices, 6, both, both).tolist() == [3, 0]


@pytest.mark.parametrize("wrong", [-1, 2])
@pytest.mark.parametrize("field", ["left", "right"])
def test_a_row_that_is_not_there_is_refused(field: str, wrong: int) -> None:
    rows = {"left": np.array([0, 1], np.int32), "right": np.array([0, 1], np.int32)}
    rows[field] = np.array([0, wrong], np.int32)
    with pytest.raises(InvalidInput, match=f"{field}: must be 0 to 1, but entry 1 is {wrong}"):
        kernels.overlaps(np.zeros(3, np.int64), np.empty(0, np.int32), 4, **rows)
