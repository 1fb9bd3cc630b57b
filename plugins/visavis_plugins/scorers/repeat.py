"""`repeat`: what this customer buys again and again, the habitual and the recent first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, Items, ReasonColumns, Scorer, hookimpl


@dataclass(frozen=True, slots=True)
class _Habits:
    """Customer r's own items are `indptr[r]:indptr[r+1]` of `item` (ascending), `score`, `times` (baskets that
    held it) and `last` (µs)."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    score: NDArray[np.float64]
    times: NDArray[np.int64]
    last: NDArray[np.int64]

    def of(self, row: int) -> slice:
        return slice(int(self.indptr[row]), int(self.indptr[row + 1]))


class Repeat(Scorer):
    """The customer's own decayed basket frequency.

    Score = Σ over the customer's baskets that hold the item of decay ** (how many baskets ago); the latest basket
    is 0 ago. It reads the live history, so a purchase counts in the next answer. What was returned entirely does not
    count. Items that the customer never bought: NaN. Equal scores come only from items that shared all their baskets;
    they keep the order of their codes, so that the score stays made of the customer's purchases alone.
    """

    name: ClassVar[str] = "repeat"
    recommends_bought: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Options:
        """How fast habits fade."""

        decay: float = field(
            default=0.9,
            metadata={"doc": "weight of a basket relative to the one after it", "minimum": 0.01, "maximum": 1},
        )

    options: Options

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN for items that the customer never bought."""
        habits = self._habits(customers)
        scores = np.full((len(customers), len(candidates)), np.nan)
        for row in range(len(customers)):
            own = habits.of(row)
            if own.start < own.stop:
                place = np.searchsorted(habits.item[own], candidates.codes).clip(max=own.stop - own.start - 1)
                scores[row] = np.where(habits.item[own][place] == candidates.codes, habits.score[own][place], np.nan)
        return scores

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Ranks the customer's own items only, however large the catalogue."""
        habits = self._habits(customers)
        codes = np.full((len(customers), n), -1, dtype=np.int32)
        values = np.full((len(customers), n), np.nan)
        for row in range(len(customers)):
            own = habits.of(row)
            item, score = habits.item[own], habits.score[own]
            allowed = item < len(items)
            allowed[allowed] = ~exclude.everywhere[item[allowed]]
            allowed &= ~np.isin(item, exclude.indices[exclude.indptr[row] : exclude.indptr[row + 1]])
            item, score = item[allowed], score[allowed]
            order = np.argsort(-score, kind="stable")[:n]
            codes[row, : len(order)] = item[order]
            values[row, : len(order)] = score[order]
        return codes, values

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """How often the customer bought it, and when last (UTC)."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        habits = self._habits(customers)
        taken = chosen >= 0
        # where each chosen item stands among its customer's own
        width = int(max(habits.item.max(initial=0), chosen.max(initial=0))) + 1
        owner = np.repeat(np.arange(len(customers), dtype=np.int64), np.diff(habits.indptr))
        wanted = np.nonzero(taken)[0] * width + chosen[taken]
        place = np.searchsorted(owner * width + habits.item, wanted)
        numbers: dict[tuple[str, str], int] = {}
        words = [
            ("you_buy_this", _text(times, last))
            for times, last in zip(habits.times[place].tolist(), habits.last[place].tolist(), strict=True)
        ]
        template = np.array([numbers.setdefault(one, len(numbers)) for one in words], dtype=np.int32)
        indptr = np.zeros(chosen.size + 1, dtype=np.int64)
        np.cumsum(taken.ravel(), out=indptr[1:])
        return ReasonColumns(tuple(numbers), indptr, template, chosen[taken], scores[taken])

    def _habits(self, customers: Customers) -> _Habits:
        rows = np.flatnonzero(customers.is_kind("purchase") & (customers.quantity > 0) & (customers.item >= 0))
        owner = np.repeat(np.arange(len(customers)), np.diff(customers.indptr))[rows]
        item = customers.item[rows].astype(np.int64)
        # one number for each basket of each customer, and the place of its latest row (rows come oldest first)
        names, ordinal = np.unique(customers.basket[rows], return_inverse=True)
        baskets, basket = np.unique(owner * len(names) + ordinal, return_inverse=True)
        latest = np.zeros(len(baskets), dtype=np.int64)
        np.maximum.at(latest, basket, rows)
        basket_owner = baskets // max(len(names), 1)
        order = np.lexsort((-latest, basket_owner))
        ago = np.empty(len(baskets), dtype=np.int64)
        ago[order] = np.arange(len(baskets)) - np.searchsorted(basket_owner, basket_owner[order])
        # an item twice in one basket counts once
        n_codes = int(item.max(initial=-1)) + 1
        order = np.lexsort((ago[basket], item, owner))
        key, ago_of_row, time = (owner * n_codes + item)[order], ago[basket][order], customers.time[rows][order]
        once = np.ones(len(key), dtype=bool)
        once[1:] = (key[1:] != key[:-1]) | (ago_of_row[1:] != ago_of_row[:-1])
        pairs, pair = np.unique(key, return_inverse=True)
        score = np.bincount(pair[once], weights=self.options.decay ** ago_of_row[once], minlength=len(pairs))
        last = np.full(len(pairs), np.iinfo(np.int64).min)
        np.maximum.at(last, pair, time)
        return _Habits(
            indptr=np.searchsorted(pairs // max(n_codes, 1), np.arange(len(customers) + 1)),
            item=(pairs % max(n_codes, 1)).astype(np.int32),
            score=score.astype(np.float64),
            times=np.bincount(pair[once], minlength=len(pairs)),
            last=last,
        )


def _text(times: int, last: int) -> str:
    day = np.datetime64(last, "us").astype("datetime64[D]")
    return f"you bought it once, on {day}" if times == 1 else f"you bought it {times} times, last on {day}"


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Repeat]


__all__ = ["Repeat", "visavis_scorers"]
