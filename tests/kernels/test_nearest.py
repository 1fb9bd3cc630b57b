from __future__ import annotations

import numpy as np
import pytest
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize(("n_rows", "n_known", "n_columns"), [(0, 0, 0), (3, 0, 4), (0, 4, 4), (1, 1, 1), (9, 30, 12)])
@pytest.mark.parametrize("whole", [True, False])
def test_nearest_means_like_their_twin(
    rng: np.random.Generator, n_rows: int, n_known: int, n_columns: int, whole: bool
) -> None:
    """Whole numbers make many that are equally near."""
    rows, known = (samples.ratings(rng, n, n_columns, whole=whole) for n in (n_rows, n_known))
    ours, twins = kernels.known_rows(*known, n_columns), reference.known_rows(*known, n_columns)
    assert len(ours) == n_known
    own = rng.integers(-1, n_known, n_rows).astype(np.int32) if n_known else np.full(n_rows, -1, np.int32)
    for k in (1, 4, 50):
        found = kernels.nearest_means(*rows, ours, own, k)
        expected = reference.nearest_means(*rows, twins, own, k)
        assert [one.dtype.name for one in found] == ["int64", "int32", "float64"]
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[2], expected[2], rtol=1e-12, atol=1e-12)


def test_few_of_many_columns_like_its_twin(rng: np.random.Generator) -> None:
    """Few columns are sorted, many are walked over."""
    rows, known = (samples.ratings(rng, n, 3000, density=0.0005) for n in (6, 20))
    own = np.full(6, -1, np.int32)
    found = kernels.nearest_means(*rows, kernels.known_rows(*known, 3000), own, 3)
    expected = reference.nearest_means(*rows, reference.known_rows(*known, 3000), own, 3)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_who_shares_nothing_may_be_nearest() -> None:
    """A customer of little is nearer to anybody than one of much else."""
    known = np.array([0, 2, 3]), np.array([0, 1, 2], np.int32), np.array([1.0, 9.0, 0.5])
    row = np.array([0, 1]), np.array([0], np.int32), np.array([1.0])
    _, columns, means = kernels.nearest_means(*row, kernels.known_rows(*known, 3), np.array([-1], np.int32), 1)
    assert (columns.tolist(), means.tolist()) == ([0, 2], [0.0, 0.5])


def test_columns_that_nobody_known_has_stay_with_a_mean_of_nothing() -> None:
    known = np.array([0, 1]), np.array([0], np.int32), np.ones(1)
    row = np.array([0, 2]), np.array([0, 7], np.int32), np.ones(2)
    for own, mean in ((-1, 1.0), (0, 0.0)):
        found = kernels.nearest_means(*row, kernels.known_rows(*known, 1), np.array([own], np.int32), 3)
        assert [one.tolist() for one in found] == [[0, 2], [0, 7], [mean, 0.0]]


def test_nearest_means_name_what_is_wrong() -> None:
    row = np.array([0, 1]), np.array([0], np.int32), np.ones(1)
    known, none = kernels.known_rows(*row, 1), np.array([-1], np.int32)
    with pytest.raises(InvalidInput, match="own"):
        kernels.nearest_means(*row, known, none[:0], 1)
    with pytest.raises(InvalidInput, match="k: "):
        kernels.nearest_means(*row, known, none, 0)
    with pytest.raises(InvalidInput, match="data"):
        kernels.nearest_means(*row[:2], np.array([np.inf]), known, none, 1)
    with pytest.raises(InvalidInput, match="indices"):
        kernels.known_rows(*row, 0)
    with pytest.raises(InvalidInput, match="data"):
        kernels.known_rows(*row[:2], np.array([np.nan]), 1)
