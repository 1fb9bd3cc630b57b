"""`SumScorer`: what a scorer gets for saying what its scores are summed up from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Customers, History, Items, Sums, SumScorer, kernels
from visavis.testing import ScorerContract, make_customers, make_exclusions, make_history, make_items


class NextOnTheShelf(SumScorer):
    """Whoever had to do with an item is shown the two behind it."""

    name = "next_on_the_shelf"
    mode = "fitted"
    n_items_: int

    def fit(self, history: History) -> Self:
        self.n_items_ = len(history.items)
        return self

    def sums(self, customers: Customers) -> Sums:
        behind = np.arange(self.n_items_, dtype=np.int32)[:, np.newaxis] + [1, 2]
        neighbours = np.where(behind < self.n_items_, behind, -1).astype(np.int32)
        rows = kernels.item_rows(neighbours, np.tile([1.0, 0.5], (self.n_items_, 1)))
        templates = (("behind", "stands behind {item}"),)
        count = np.ones(len(customers.item))
        return Sums(rows, templates, customers.indptr, customers.item, count, np.zeros(len(count), dtype=np.int32))


class InOtherWords(NextOnTheShelf):
    def explain(self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]) -> Any:
        return super().explain(customers, chosen, scores)


class AnewInOtherWords(InOtherWords):
    def sums(self, customers: Customers) -> Sums:
        return super().sums(customers)


class Never(NextOnTheShelf):
    summed = False


class TestNextOnTheShelf(ScorerContract):
    plugin = NextOnTheShelf


class TestInOtherWords(ScorerContract):
    plugin = InOtherWords
    options: Mapping[str, Any] = {}


def test_sums_are_ranked_and_explained() -> None:
    customers, items = make_customers([(0, 2), (0, 3), (0, 12)], codes=[0, 1]), make_items(14)
    scorer = NextOnTheShelf().fit(make_history([], n_items=14))
    codes, scores = scorer.top(customers, items, 4, make_exclusions(14, [(3,), ()]))
    assert codes.tolist() == [[4, 13, 5, -1], [-1, -1, -1, -1]]
    assert scores[0, :3].tolist() == [1.5, 1.0, 0.5]
    (first, *_), (nobody, *_) = scorer.explain(customers, codes, scores)
    assert [(part.kind, part.item, part.amount) for part in first] == [("behind", 3, 1.0), ("behind", 2, 0.5)]
    assert not nobody


def test_who_says_it_otherwise_is_asked_like_any_scorer() -> None:
    """What sums do not say must not be lost."""
    assert NextOnTheShelf.summed
    assert not InOtherWords.summed
    assert AnewInOtherWords.summed
    assert not Never.summed

    class Dearest(NextOnTheShelf):
        def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
            return super().score(customers, candidates) + candidates.price

    assert not Dearest.summed
