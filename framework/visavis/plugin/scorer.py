"""The base class of scorers: how much would each of these items suit each of these customers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis.history import Changes, Customers, Exclusions, History, Items
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


@dataclass(frozen=True, slots=True)
class ReasonColumns:
    """The contributions of many scores, in columns.

    Those of customer r's chosen item p are at `indptr[r · n + p]` up to the next (int64 [n_customers · n + 1]):
    `template` (int32, into `templates`), `item` (int32, −1: none) and `amount` (float64). A template is the kind and
    the text of a `Contribution`.
    """

    templates: Sequence[tuple[str, str]]
    indptr: NDArray[np.int64]
    template: NDArray[np.int32]
    item: NDArray[np.int32]
    amount: NDArray[np.float64]

    def lists(self, n_customers: int) -> list[list[Sequence[Contribution]]]:
        """The same, as `Scorer.explain` answers it."""
        parts = [
            Contribution(self.templates[template][0], amount, self.templates[template][1], item)
            for template, item, amount in zip(
                self.template.tolist(), self.item.tolist(), self.amount.tolist(), strict=True
            )
        ]
        starts = self.indptr.tolist()
        told: list[Sequence[Contribution]] = [parts[a:b] for a, b in pairwise(starts)]
        n = len(told) // n_customers if n_customers else 0
        return [told[row * n : (row + 1) * n] for row in range(n_customers)]


class Scorer(Plugin):
    """Scores items for customers. A working scorer needs `name` and `score`.

    `mode`: `fitted` scorers learn in `fit` and answer from learned state plus the customer's live history;
    `live` ones keep no learned state at all.
    `recommends_bought`: True if items that the customer already bought belong in the answer.
    `personal`: True if the answer depends on what the customer did; the framework does not ask personal scorers
    for customers who objected to personalization.
    `others`: what is said in place of the weaker reasons of an item, of which there are `{count}`, when not all are
    asked for.
    """

    kind: ClassVar[str] = "scorer"
    mode: ClassVar[Literal["fitted", "live"]] = "live"
    recommends_bought: ClassVar[bool] = False
    personal: ClassVar[bool] = True
    others: ClassVar[str] = "and {count} other reasons"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "explain" in vars(cls) and "explain_columns" not in vars(cls):
            # Who explains in words of his own is asked for these, whatever he inherits.
            cls.explain_columns = Scorer.explain_columns  # type: ignore[method-assign]

    def fit(self, history: History) -> Self:
        """Learn from the past and return self. The default learns nothing."""
        return self

    def refreshed(self, changes: Changes) -> Self | None:
        """A scorer like this one that also knows what was recorded since; this one goes on answering meanwhile.

        Asked again and again in the background while the server takes in interactions, one call at a time; what comes
        of it is served at once and never stored. It should learn what `fit` would learn from the same interactions.
        None, the default: what was learned stays until the next fit.
        """
        return None

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

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same as `explain`, in columns; this is what the framework asks. The default asks `explain`.

        Define it as well where answers must come fast: building a `Contribution` for each reason of each item takes
        longer than all the rest of an answer.
        """
        told = self.explain(customers, chosen, scores)
        if len(told) != len(chosen) or any(len(row) != chosen.shape[1] for row in told):
            raise ValueError(f"explain gave {[len(row) for row in told]} lists for {chosen.shape} items")
        lists = [contributions for row in told for contributions in row]
        parts = [one for contributions in lists for one in contributions]
        numbers: dict[tuple[str, str], int] = {}
        template = [numbers.setdefault((one.kind, one.text), len(numbers)) for one in parts]
        return ReasonColumns(
            tuple(numbers),
            np.cumsum([0, *map(len, lists)], dtype=np.int64),
            np.array(template, dtype=np.int32),
            np.array([one.item for one in parts], dtype=np.int32),
            np.array([one.amount for one in parts], dtype=np.float64),
        )


class NeighbourScorer(Scorer):
    """A scorer that also knows which items are alike; `visavis similar` asks it."""

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The item codes most like `item`, best first, and their similarities; empty for an item never seen."""
        raise NotImplementedError

    def neighbour_table(self, n: int) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
        """`neighbours` of every item of the fit at once: int32 (−1: none, last) and float64, both [n_items, n].

        Must agree with `neighbours`. None, the default: there is no such table, and `neighbours` is asked for each.
        """
        return None


__all__ = ["Contribution", "NeighbourScorer", "ReasonColumns", "Scorer"]
