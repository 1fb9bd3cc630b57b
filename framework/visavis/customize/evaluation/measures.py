"""How good lists are, beside what was really bought, and what else can be said of them.

Formulas: NDCG@K with gains of 1 and the discount 1 / log2(place + 1), ideal min(K, |truth|) (Järvelin and Kekäläinen
2002); Gini of exposure over the catalogue; novelty as the mean of −log2((buyers + 1) / (customers + 1)) of what is
shown; popularity lift after Abdollahpouri et al. 2019: mean buyers of what is shown over that of what the customer
bought before, less 1; diversity within a list as 1 − the mean cosine of pairs of items, each a 0/1 vector of buyers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.customize.evaluation.stage import Truth

ACCURACIES = ("recall", "ndcg", "hit_rate", "mrr")
PLACES = (10, 20)


class Accuracy(NamedTuple):
    """Float64 [n_customers] each, for one K."""

    recall: NDArray[np.float64]
    ndcg: NDArray[np.float64]
    hit_rate: NDArray[np.float64]
    mrr: NDArray[np.float64]


def hits_of(lists: NDArray[np.int32], truth: Truth) -> NDArray[np.bool_]:
    """bool [n_customers, n]: whether each place of each list (−1: empty) holds what the customer bought."""
    width = int(max(lists.max(initial=0), truth.items.max(initial=0))) + 1
    owner = np.repeat(np.arange(len(truth), dtype=np.int64), np.diff(truth.indptr))
    wanted = np.arange(len(lists), dtype=np.int64)[:, np.newaxis] * width + lists
    return np.isin(wanted, owner * width + truth.items) & (lists >= 0)


def accuracy_at(hits: NDArray[np.bool_], truths: NDArray[np.int64], k: int) -> Accuracy:
    """Of the first `k` places; `truths` int64 [n_customers] is how much each customer bought, at least 1."""
    top = hits[:, :k]
    found = top.sum(axis=1)
    discount = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    ideal = np.concatenate([np.zeros(1), np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    any_hit = found > 0
    first = np.argmax(top, axis=1)
    return Accuracy(
        found / truths,
        (top * discount).sum(axis=1) / ideal[np.minimum(truths, k)],
        any_hit.astype(np.float64),
        np.where(any_hit, 1.0 / (first + 1), 0.0),
    )


def mean_and_error(values: NDArray[np.float64]) -> tuple[float, float | None]:
    """The mean over customers, one at least, and its standard error, None of a single one."""
    n = len(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None


def coverage(lists: NDArray[np.int32], n_items: int) -> float:
    """The share of the catalogue that stands in any list."""
    return len(np.unique(lists[lists >= 0])) / n_items if n_items else float("nan")


def gini(lists: NDArray[np.int32], n_items: int) -> float:
    """How unevenly items are shown: 0 all alike, near 1 a few take it all."""
    shown = np.sort(np.bincount(lists[lists >= 0], minlength=n_items))
    total = shown.sum()
    if not total:
        return float("nan")
    place = np.arange(1, n_items + 1)
    return float((2 * place - n_items - 1) @ shown / (n_items * total))


def novelty(lists: NDArray[np.int32], buyers: NDArray[np.int64], n_customers: int) -> NDArray[np.float64]:
    """float64 [n_customers]: how little known, on average, what is shown is; NaN for an empty list."""
    surprise = -np.log2((buyers + 1) / (n_customers + 1))
    return _mean_of_shown(lists, surprise.astype(np.float64))


def popularity_lift(
    lists: NDArray[np.int32], bought: NDArray[np.float64], buyers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64 [n_customers]: how much more popular what is shown is than what each bought (`bought`: the mean number
    of buyers of that; NaN for none), as a share of the latter."""
    lift: NDArray[np.float64] = _mean_of_shown(lists, buyers.astype(np.float64)) / bought - 1.0
    return lift


def diversity(
    lists: NDArray[np.int32], indptr: NDArray[np.int64], customers: NDArray[np.int32], n_customers: int
) -> NDArray[np.float64]:
    """float64 [n_customers]: 1 − the mean cosine of the pairs of each list; NaN for a list of less than two.

    `indptr`, `customers`: who bought each item, by item (a CSR of 0/1).
    """
    one, other = np.triu_indices(lists.shape[1], 1)
    left, right = lists[:, one], lists[:, other]
    there = (left >= 0) & (right >= 0)
    n_items = np.int64(len(indptr) - 1)
    low, high = np.minimum(left, right)[there].astype(np.int64), np.maximum(left, right)[there]
    pairs, place = np.unique(low * n_items + high, return_inverse=True)
    first, second = (pairs // max(n_items, 1)).astype(np.int32), (pairs % max(n_items, 1)).astype(np.int32)
    buyers = np.diff(indptr)
    shared = kernels.overlaps(indptr, customers, n_customers, first, second)
    cosine = shared / np.sqrt(buyers[first].astype(np.float64) * buyers[second])
    alike = np.zeros(there.shape)
    alike[there] = cosine[place]
    counts = there.sum(axis=1)
    mean: NDArray[np.float64] = np.divide(alike.sum(axis=1), counts, out=np.full(len(lists), np.nan), where=counts > 0)
    return 1.0 - mean


def _mean_of_shown(lists: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = lists >= 0
    shown = np.where(there, values[np.maximum(lists, 0)] if len(values) else 0.0, 0.0).sum(axis=1)
    counts = there.sum(axis=1)
    mean: NDArray[np.float64] = np.divide(shown, counts, out=np.full(len(lists), np.nan), where=counts > 0)
    return mean


__all__ = [
    "ACCURACIES",
    "PLACES",
    "Accuracy",
    "accuracy_at",
    "coverage",
    "diversity",
    "gini",
    "hits_of",
    "mean_and_error",
    "novelty",
    "popularity_lift",
]
