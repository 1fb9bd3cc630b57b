"""`popularity`: what many different customers bought lately, the same for everybody.

Counting buyers instead of units keeps one wholesaler from deciding what a shop recommends, and a recent window
is hard to beat for people of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis.history import DAY


class Popularity(Scorer):
    """Distinct buyers of an item within a window, the latest counting most.

    Score of item i = Σ over its buyers b in the window of 0.5 ** (days since b last bought i / half-life). A
    basket without a customer counts as one buyer. Days are counted back from the last interaction of the history,
    so that an old file is as good as a running shop. Items whose buyers all lie before the window follow below every
    item of the window, in the order of their buyers ever; items that nobody bought have 0, so that a list of N
    items is full whenever N items exist.
    """

    name: ClassVar[str] = "popularity"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    personal: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Options:
        """How far back to look."""

        window_days: int = field(
            default=28, metadata={"doc": "days that count; 0: all time", "minimum": 0, "maximum": 36_500}
        )
        half_life_days: float = field(
            default=14.0,
            metadata={"doc": "days after which a buyer counts half; 0: no decay", "minimum": 0, "maximum": 36_500},
        )

    options: Options
    popularity_: NDArray[np.float64]
    buyers_: NDArray[np.int64]
    buyers_ever_: NDArray[np.int64]
    until_: int

    _kept: tuple[Items, NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]] | None = None

    def fit(self, history: History) -> Self:
        """Count the buyers of each item of the catalogue."""
        n_items = len(history.items)
        self.until_ = min(history.now, int(history.time.max())) if len(history) else history.now
        item, newest = _last_purchases(history)
        self.buyers_ever_ = np.bincount(item, minlength=n_items)
        days = np.maximum(self.until_ - newest, 0) / DAY
        recent = days <= self.options.window_days if self.options.window_days else np.ones(len(days), dtype=bool)
        self.buyers_ = np.bincount(item[recent], minlength=n_items)
        half_life = self.options.half_life_days
        # the floor keeps a buyer of a century ago above nobody at all
        weight = np.exp2(np.maximum(-days[recent] / half_life, -900)) if half_life else np.ones(int(recent.sum()))
        score = np.bincount(item[recent], weights=weight, minlength=n_items).astype(np.float64)
        # half of the smallest score in the window is out of reach for a share of buyers that is below 1
        ceiling = score[score > 0].min(initial=1.0) / 2
        share = self.buyers_ever_ / (self.buyers_ever_.max(initial=0) + 1)
        self.popularity_ = np.where(self.buyers_ > 0, score, ceiling * share)
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """The same line for every customer; items newer than the fit have no buyer yet and so 0."""
        return np.tile(self._scores(candidates.codes), (len(customers), 1))

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """One ranking for all, from which each customer's own exclusions are taken."""
        ranking, scores = self._ranking(items)
        # each of a customer's own exclusions may move his list by one place
        most = int(np.diff(exclude.indptr).max(initial=0))
        head = _first_allowed(ranking, exclude.everywhere, n + most)
        row = np.repeat(np.arange(len(customers)), np.diff(exclude.indptr))
        place_of = np.full(len(items), -1, dtype=np.int64)
        place_of[head] = np.arange(len(head))
        own = place_of[exclude.indices]
        allowed = np.ones((len(customers), len(head)), dtype=np.bool_)
        allowed[row[own >= 0], own[own >= 0]] = False
        # the n first of the allowed ones, by row
        rank = np.cumsum(allowed, axis=1)
        taken = allowed & (rank <= n)
        codes = np.full((len(customers), n), -1, dtype=np.int32)
        values = np.full((len(customers), n), np.nan)
        rows, places = np.nonzero(taken)
        codes[rows, rank[taken] - 1] = head[places]
        values[rows, rank[taken] - 1] = scores[head[places]]
        return codes, values

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """How many bought it, and when; the whole score is that one reason."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns: each buyers' count is worded once."""
        taken = chosen >= 0
        codes, place = np.unique(chosen[taken], return_inverse=True)
        numbers: dict[tuple[str, str], int] = {}
        of_code = [numbers.setdefault(self._words(code, customers.now), len(numbers)) for code in codes.tolist()]
        indptr = np.zeros(chosen.size + 1, dtype=np.int64)
        np.cumsum(taken.ravel(), out=indptr[1:])
        return ReasonColumns(
            tuple(numbers),
            indptr,
            np.array(of_code, dtype=np.int32)[place],
            np.full(len(place), -1, dtype=np.int32),
            scores[taken],
        )

    def _ranking(self, items: Items) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """All items of a catalogue, best first, and the score of each; kept while the catalogue stays."""
        kept = self._kept
        if kept is None or kept[0] is not items or kept[1] is not self.popularity_:
            scores = self._scores(items.codes)
            ranking = np.argsort(-scores, kind="stable").astype(np.int32)
            self._kept = kept = (items, self.popularity_, ranking[~np.isnan(scores[ranking])], scores)
        return kept[2], kept[3]

    def _scores(self, codes: NDArray[np.int32]) -> NDArray[np.float64]:
        known = (codes >= 0) & (codes < len(self.popularity_))
        line = np.where(codes >= 0, 0.0, np.nan)
        line[known] = self.popularity_[codes[known]]
        return line

    def _words(self, code: int, now: int) -> tuple[str, str]:
        """Kind and text of the reason for an item."""
        buyers, ever = (int(self.buyers_[code]), int(self.buyers_ever_[code])) if code < len(self.buyers_) else (0, 0)
        if not ever:
            return "not_bought_yet", "nobody bought it yet"
        if not self.options.window_days:
            return "popular", f"bought by {_people(buyers)}"
        window = f"the last {self.options.window_days} days"
        if now - self.until_ > DAY:
            # "the last 28 days" would be untrue of a file that ends in 2010, or of a model fitted last week
            window = (
                f"the {self.options.window_days} days to {np.datetime64(self.until_, 'us').astype('datetime64[D]')}"
            )
        if not buyers:
            return "popular", f"bought by {_people(ever)}, none of them in {window}"
        return "popular", f"bought by {_people(buyers)} in {window}"


def _first_allowed(ranking: NDArray[np.int32], everywhere: NDArray[np.bool_], n: int) -> NDArray[np.int32]:
    """The first n of a ranking that are not marked; looks no further than it has to."""
    end = 2 * n
    while True:
        head = ranking[:end]
        head = head[~everywhere[head]]
        if len(head) >= n or end >= len(ranking):
            return head[:n]
        end *= 4


def _last_purchases(history: History) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each buyer of each item once: the item codes and the times of the latest purchase."""
    bought = history.is_kind("purchase") & (history.quantity > 0)
    rows = kernels.last_of_pairs(history.customer, history.item, bought, len(history.items))
    # nobody's rows come first, and each basket of theirs is a buyer
    known = int(np.searchsorted(history.customer, 0))
    nobodys = np.flatnonzero(bought[:known] & (history.item[:known] >= 0))
    order = np.lexsort((history.time[nobodys], history.basket[nobodys], history.item[nobodys]))
    nobodys = nobodys[order]
    last = np.ones(len(nobodys), dtype=bool)
    for column in (history.item[nobodys], history.basket[nobodys]):
        last[:-1] &= column[1:] == column[:-1]
    last[:-1] = ~last[:-1]
    rows = np.concatenate([nobodys[last], rows])
    return history.item[rows], history.time[rows]


def _people(count: int) -> str:
    return "1 customer" if count == 1 else f"{count} customers"


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Popularity]


__all__ = ["Popularity", "visavis_scorers"]
