"""Every measure beside its definition, written out customer by customer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.customize.evaluation import measures
from visavis.customize.evaluation.stage import Truth

Array = NDArray[Any]
N_ITEMS = 40


def sampled(rng: np.random.Generator, n: int = 60) -> tuple[Array, Truth, list[set[int]]]:
    """Lists of 20 with empty places at their ends, and what each customer bought, 1 to 25 items."""
    lists = np.full((n, 20), -1, np.int32)
    wanted = []
    for row in range(n):
        length = int(rng.integers(0, 21))
        lists[row, :length] = rng.permutation(N_ITEMS)[:length]
        wanted.append(set(rng.permutation(N_ITEMS)[: rng.integers(1, 26)].tolist()))
    indptr = np.cumsum([0, *map(len, wanted)], dtype=np.int64)
    items = np.array([item for own in wanted for item in sorted(own)], np.int32)
    return lists, Truth(np.arange(n, dtype=np.int32), indptr, items), wanted


@pytest.mark.parametrize("k", measures.PLACES)
def test_accuracies_as_they_are_defined(rng: np.random.Generator, k: int) -> None:
    lists, truth, wanted = sampled(rng)
    accuracy = measures.accuracy_at(measures.hits_of(lists, truth), np.diff(truth.indptr), k)
    for row, own in enumerate(wanted):
        shown = lists[row, :k].tolist()
        places = [place for place, item in enumerate(shown, 1) if item in own]
        gain = sum(1 / math.log2(place + 1) for place in places)
        ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(own)) + 1))
        assert accuracy.recall[row] == pytest.approx(len(places) / len(own))
        assert accuracy.ndcg[row] == pytest.approx(gain / ideal)
        assert accuracy.hit_rate[row] == bool(places)
        assert accuracy.mrr[row] == pytest.approx(1 / places[0] if places else 0)


def test_a_perfect_list_has_all_of_everything() -> None:
    truth = Truth(np.array([0], np.int32), np.array([0, 3], np.int64), np.array([1, 4, 6], np.int32))
    lists = np.array([[6, 1, 4, 0, 2, 3, 5, 7, 8, 9]], np.int32)
    accuracy = measures.accuracy_at(measures.hits_of(lists, truth), np.array([3]), 10)
    assert [values[0] for values in accuracy] == [1, 1, 1, 1]


def test_what_is_shown_and_to_how_many(rng: np.random.Generator) -> None:
    lists, _, _ = sampled(rng)
    shown = [item for row in lists.tolist() for item in row if item >= 0]
    counts = [shown.count(item) for item in range(N_ITEMS)]
    assert measures.coverage(lists, N_ITEMS) == len(set(shown)) / N_ITEMS
    differences = sum(abs(a - b) for a in counts for b in counts)
    assert measures.gini(lists, N_ITEMS) == pytest.approx(differences / (2 * N_ITEMS * sum(counts)))
    even = np.arange(N_ITEMS, dtype=np.int32).reshape(2, -1)
    assert measures.gini(even, N_ITEMS) == pytest.approx(0)


def test_novelty_lift_and_diversity_as_they_are_defined(rng: np.random.Generator) -> None:
    lists, _, _ = sampled(rng)
    bought = rng.random((N_ITEMS, 30)) < 0.3
    bought[:, 0] = True
    buyers = bought.sum(axis=1)
    indptr, customers = np.cumsum([0, *buyers], dtype=np.int64), np.nonzero(bought)[1].astype(np.int32)
    habit = rng.random(len(lists)) * 10 + 1
    new = measures.novelty(lists, buyers, 30)
    lift = measures.popularity_lift(lists, habit, buyers)
    apart = measures.diversity(lists, indptr, customers, 30)
    for row, line in enumerate(lists.tolist()):
        shown = [item for item in line if item >= 0]
        pairs = [(a, b) for place, a in enumerate(shown) for b in shown[place + 1 :]]
        if not shown:
            assert np.isnan(new[row])
            assert np.isnan(lift[row])
        else:
            assert new[row] == pytest.approx(np.mean([-math.log2((buyers[item] + 1) / 31) for item in shown]))
            assert lift[row] == pytest.approx(np.mean([buyers[item] for item in shown]) / habit[row] - 1)
        if not pairs:
            assert np.isnan(apart[row])
        else:
            cosines = [(bought[a] & bought[b]).sum() / math.sqrt(buyers[a] * buyers[b]) for a, b in pairs]
            assert apart[row] == pytest.approx(1 - np.mean(cosines))


def test_a_single_customer_has_no_error() -> None:
    assert measures.mean_and_error(np.array([0.5])) == (0.5, None)
    mean, error = measures.mean_and_error(np.array([1.0, 2.0, 3.0, 6.0]))
    assert mean == 3
    assert error == pytest.approx(np.sqrt(14 / 3 / 4))
