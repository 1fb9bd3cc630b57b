"""Scores of few items a customer, as sparse rows: looking some up, and choosing the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import Exclusions


@dataclass(frozen=True, slots=True)
class SparseScores:
    """Customer r has opinions on `item[indptr[r]:indptr[r+1]]` (int32, ascending, each once), `value` float64."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    value: NDArray[np.float64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """The customer row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    @classmethod
    def summed(
        cls, owner: NDArray[np.integer[Any]], item: NDArray[np.int32], value: NDArray[np.float64], n_owners: int
    ) -> SparseScores:
        """Of entries in any order, those of one customer and item added up in the order given."""
        width = int(item.max(initial=-1)) + 1
        keys, place = np.unique(owner.astype(np.int64) * width + item, return_inverse=True)
        starts = np.searchsorted(keys, np.arange(n_owners + 1) * width)
        sums = np.bincount(place, weights=value, minlength=len(keys)).astype(np.float64)
        return cls(starts, (keys % max(width, 1)).astype(np.int32), sums)

    def kept(self, keep: NDArray[np.bool_]) -> SparseScores:
        """Without some of the entries."""
        kept = np.concatenate([[0], np.cumsum(keep)])
        return SparseScores(kept[self.indptr], self.item[keep], self.value[keep])

    def without(self, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> SparseScores:
        """Without `items[indptr[r]:indptr[r+1]]` of each customer r."""
        if not len(items) or not len(self.item):
            return self
        width = int(max(self.item.max(), items.max())) + 1
        named = items >= 0
        others = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[named] * width + items[named]
        return self.kept(~np.isin(self.owner * width + self.item, others))

    def of(self, codes: NDArray[np.int32]) -> NDArray[np.float64]:
        """float64 [n_customers, len(codes)]: the score of each of these items, NaN where there is no opinion."""
        n_owners = len(self.indptr) - 1
        scores = np.full((n_owners, len(codes)), np.nan)
        if not len(codes) or not len(self.item):
            return scores
        width = int(max(self.item.max(), codes.max())) + 1
        keys = self.owner * width + self.item
        wanted = np.arange(n_owners)[:, np.newaxis] * width + np.maximum(codes, 0)
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        hit = (keys[place] == wanted) & (codes >= 0)
        scores[hit] = self.value[place[hit]]
        return scores

    def entries(self, owner: NDArray[np.integer[Any]], item: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The entry of each of these pairs, all of which are there."""
        width = int(self.item.max(initial=-1)) + 1
        return np.searchsorted(self.owner * width + self.item, owner.astype(np.int64) * width + item)

    def best(self, n: int, n_items: int, exclude: Exclusions) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What `Scorer.top` answers: the n best of each customer that are not excluded."""
        n_owners = len(self.indptr) - 1
        codes, values = np.full((n_owners, n), -1, dtype=np.int32), np.full((n_owners, n), np.nan)
        allowed = self.item < n_items
        allowed[allowed] = ~exclude.everywhere[self.item[allowed]]
        left = self.kept(allowed).without(exclude.indptr, exclude.indices)
        for row in range(n_owners):
            own = slice(int(left.indptr[row]), int(left.indptr[row + 1]))
            order = _best_of(left.value[own], n)
            codes[row, : len(order)], values[row, : len(order)] = left.item[own][order], left.value[own][order]
        return codes, values


def _best_of(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """The places of the n largest, best first, of equal ones the earlier."""
    if n < len(values) // 4 and n:
        # All that may be among them: those that reach the n-th largest.
        places = np.flatnonzero(values >= np.partition(values, len(values) - n)[len(values) - n])
        return places[np.argsort(-values[places], kind="stable")[:n]]
    return np.argsort(-values, kind="stable")[:n]


def ragged(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For runs `starts[r] … starts[r] + sizes[r] − 1` laid one behind the other: which run, and which place."""
    run = np.repeat(np.arange(len(sizes)), sizes)
    ends = np.cumsum(sizes)
    place = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
    return run, place


__all__ = ["SparseScores", "ragged"]
