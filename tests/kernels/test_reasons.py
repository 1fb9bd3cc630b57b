from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.kernels import reference

from visavis import kernels
from visavis.errors import InvalidInput


def parts(rng: np.random.Generator, sizes: list[int], *, whole: bool) -> dict[str, Any]:
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    n = int(starts[-1])
    amount = rng.integers(-3, 4, n).astype(float) if whole else rng.normal(size=n)
    return {
        "starts": starts,
        "template": rng.integers(0, 4, n).astype(np.int32),
        "item": rng.integers(-1, 9, n).astype(np.int32),
        "amount": amount,
        "chosen": np.arange(len(sizes), dtype=np.int32),
        "scores": np.array([amount[a:b].sum() for a, b in pairwise(starts)]),
        "n_templates": 4,
        "n_items": 9,
        "within": 1e-9,
    }


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("sizes", [[], [0], [1, 3, 0, 2], [40, 1], [150]])
def test_parts_are_folded_like_their_twins(rng: np.random.Generator, sizes: list[int], whole: bool) -> None:
    given = parts(rng, sizes, whole=whole)
    for most in (0, 1, 2, 3, 100):
        kept = kernels.fold_parts(**given, most=most)
        for found, expected in zip(kept, reference.fold_parts(**given, most=most), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        if most:
            sums = [kept[3][a:b].sum() for a, b in pairwise(kept[0])]
            np.testing.assert_allclose(sums, given["scores"], atol=1e-9)
        assert (np.diff(kept[0]) <= most).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scores": np.array([4.0])}, "reasons that add up to 3.0, and the score is 4.0"),
        ({"amount": np.array([np.nan, 1.0])}, "reasons that add up to nan"),
        ({"template": np.array([0, 4], np.int32)}, "template 4, and there are 4"),
        ({"item": np.array([0, 9], np.int32)}, "item code 9, and there are 9 items"),
        ({"item": np.array([0, -2], np.int32)}, "item code -2"),
        ({"chosen": np.array([-1], np.int32)}, "a reason for place 0, which has no item"),
        ({"starts": np.array([0, 3])}, "starts that fall, or do not fit"),
        ({"starts": np.array([0, 1, 2])}, "2 lists for 1 items"),
    ],
)
def test_what_is_wrong_is_told(rng: np.random.Generator, options: dict[str, Any], told: str) -> None:
    given = parts(rng, [2], whole=True) | {"amount": np.array([1.0, 2.0]), "scores": np.array([3.0])}
    kernels.fold_parts(**given, most=3)
    with pytest.raises(InvalidInput, match=told):
        kernels.fold_parts(**(given | options), most=3)
