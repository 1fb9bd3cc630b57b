from __future__ import annotations

import numpy as np
import pytest
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("n_rows", "n_columns"), [*samples.SHAPES, (40, 50)])
def test_gram_like_its_twin(rng: np.random.Generator, n_rows: int, n_columns: int, whole: bool) -> None:
    matrix = samples.ratings(rng, n_rows, n_columns, whole=whole)
    expected = reference.gram(*matrix, n_columns)
    for threads in (1, 3):
        products = kernels.gram(*matrix, n_columns, threads=threads)
        assert products.dtype == np.float64
        np.testing.assert_array_equal(products, expected)
        np.testing.assert_array_equal(products, products.T)


def test_gram_names_what_is_wrong() -> None:
    parts = np.array([0, 1]), np.array([3], np.int32), np.ones(1)
    with pytest.raises(InvalidInput, match="indices"):
        kernels.gram(*parts, 3)
    with pytest.raises(InvalidInput, match="threads"):
        kernels.gram(*parts, 4, threads=0)
