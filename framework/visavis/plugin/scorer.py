"""The base class of scorers: how much would each of these items suit each of these customers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis.history import Customers, Exclusions, History, Items
from visavis.plugin.base import Plugin


@dataclass(frozen=True, slots=True)
class Contribution:
    """One part of a score. `item` is the code of the item that caused it (−1: none).

    `kind` is a word for programs (`because_you_bought`, `you_buy_this`, `popular`); `text` is for the customer,
    with `{item}` where the causing item's name goes. The `amount`s of one score add up to it.
    """

    kind: str
    amount: float
    text: str
    item: int = -1


class Scorer(Plugin):
    """Scores items for customers. A working scorer needs `name` and `score`.

    `mode`: `fitted` scorers learn in `fit` and answer from learned state plus the customer's live history;
    `live` ones keep no learned state at all.
    `recommends_bought`: True if items that the customer already bought belong in the answer.
    `personal`: True if the answer depends on what the customer did; the framework does not ask personal scorers
    for customers who objected to personalization.
    """

    kind: ClassVar[str] = "scorer"
    mode: ClassVar[Literal["fitted", "live"]] = "live"
    recommends_bought: ClassVar[bool] = False
    personal: ClassVar[bool] = True

    def fit(self, history: History) -> Self:
        """Learn from the past and return self. The default learns nothing."""
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """float64 [n_customers, n_candidates]; NaN for "no opinion". Higher is better.

        Candidates may carry code −1 (an item that the store does not know) or codes newer than the fit.
        """
        raise NotImplementedError

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The n best item codes of each customer, best first: int32 and float64 [n_customers, n].

        `items` is the whole catalogue (codes 0 … n_items − 1). Missing places are −1 and NaN. Ties: smaller code first.
        Must agree with `score`; the default calls it. Override it where something faster than scoring the whole
        catalogue is known.
        """
        scores = self.score(customers, items)
        codes = np.full((len(customers), n), -1, dtype=np.int32)
        values = np.full((len(customers), n), np.nan)
        for row in range(len(customers)):
            line = np.where(exclude.everywhere, np.nan, scores[row])
            line[exclude.indices[exclude.indptr[row] : exclude.indptr[row + 1]]] = np.nan
            order = np.argsort(-line, kind="stable")[: min(n, int(np.count_nonzero(~np.isnan(line))))]
            codes[row, : len(order)] = order
            values[row, : len(order)] = line[order]
        return codes, values

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """For each customer and each chosen item (int32 [n_customers, n], −1: none), what its score is made of.

        `scores` are the scores given for them. The amounts add up to the score within 1e-9. The default says only
        which scorer ranked the item.
        """
        return [
            [
                [Contribution("scored", float(s), f"ranked by {self.name}")] if c >= 0 else []
                for c, s in zip(cs, ss, strict=True)
            ]
            for cs, ss in zip(chosen, scores, strict=True)
        ]


class NeighbourScorer(Scorer):
    """A scorer that also knows which items are alike; `visavis similar` asks it."""

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes most like `item`, best first, and their similarities; empty for an item never seen."""
        raise NotImplementedError


__all__ = ["Contribution", "NeighbourScorer", "Scorer"]
