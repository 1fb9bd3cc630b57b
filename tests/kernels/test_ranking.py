from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.kernels import reference, samples

from visavis import kernels
from visavis.errors import InvalidInput


@pytest.mark.parametrize(("n_customers", "n_items"), [(0, 0), (3, 0), (1, 1), (8, 6), (5, 40)])
def test_best_entries_like_their_twin(rng: np.random.Generator, n_customers: int, n_items: int) -> None:
    own = [rng.permutation(n_items + 2)[: rng.integers(0, n_items + 1)] for _ in range(n_customers)]
    indptr, exclude = samples.lists(rng, n_customers, n_items)
    size = sum(map(len, own))
    asked: dict[str, Any] = {
        "indptr": np.cumsum([0, *map(len, own)]).astype(np.int64),
        "items": np.concatenate([np.zeros(0), *own]).astype(np.int32),
        "scores": rng.choice([np.nan, -1.0, 0.5, 2.0], size),
        "everywhere": rng.random(n_items) < 0.2, "exclude_indptr": indptr, "exclude_items": exclude,
    }  # fmt: skip
    for n in (0, 1, 3, n_items + 2):
        codes, scores = kernels.best_entries(**asked, n=n)
        expected = reference.best_entries(**asked, n=n)
        assert [codes.dtype.name, scores.dtype.name] == ["int32", "float64"]
        np.testing.assert_array_equal(codes, expected[0])
        np.testing.assert_array_equal(scores, expected[1])


def test_best_entries_name_what_is_wrong() -> None:
    asked: dict[str, Any] = {
        "indptr": np.array([0, 1]), "items": np.zeros(1, np.int32), "scores": np.ones(1),
        "everywhere": np.zeros(1, bool), "exclude_indptr": np.zeros(2, np.int64),
        "exclude_items": np.zeros(0, np.int32), "n": 1,
    }  # fmt: skip
    for field, wrong in (("indptr", np.array([0, 2])), ("scores", np.ones(2)), ("n", -1)):
        with pytest.raises(InvalidInput, match=field):
            kernels.best_entries(**(asked | {field: wrong}))
