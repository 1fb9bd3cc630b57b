"""The base class of scorers whose scores are sums over what a customer did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import Customers, Exclusions, Items
from visavis.plugin.scorer import Contribution, ReasonColumns, Scorer

_SAID = ("score", "top", "explain", "explain_columns")


@dataclass(frozen=True, slots=True)
class Sums:
    """What the scores of some customers are summed up from.

    Customer r's entries are `indptr[r]:indptr[r+1]` (int64 [n + 1]) of `item` (int32, the code of an item that he had
    to do with), `value` (float64, finite) and `template` (int32, into `templates`: kind and text of a reason, as those
    of a `Contribution`). Each entry adds `value` times row `item` of `rows` (`kernels.item_rows`) to the scores, and is
    a reason for each item that it adds to.
    """

    rows: kernels.ItemRows
    templates: tuple[tuple[str, str], ...]
    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    value: NDArray[np.float64]
    template: NDArray[np.int32]


class SumScorer(Scorer):
    """A scorer whose score of item j is Σ over the customer's entries (item i, value v) of v · row i at j.

    A working one needs `name` and `sums`; it gets `score`, `top` and the reasons for it. The framework answers such
    scorers on a road of its own, which sums up, ranks and explains in compiled code alone. A class that overrides any
    of `score`, `top`, `explain`, `explain_columns` without saying `sums` anew is asked like every other scorer.
    """

    summed: ClassVar[bool] = True
    """Whether `sums` says all that the scorer says; found out for each class that does not say it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "summed" not in vars(cls):
            usual = all(getattr(cls, name) is getattr(SumScorer, name) for name in _SAID)
            cls.summed = usual or "sums" in vars(cls)

    def sums(self, customers: Customers) -> Sums:
        """What these customers' scores are summed up from, one row each."""
        raise NotImplementedError

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN where no entry of the customer has the candidate in its row."""
        told = self.sums(customers)
        chosen = np.ascontiguousarray(np.broadcast_to(candidates.codes, (len(customers), len(candidates))))
        scores: NDArray[np.float64] = kernels.score_items(told.indptr, told.item, told.value, told.rows, chosen)
        return scores

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only what stands in the rows of the customer's entries."""
        told = self.sums(customers)
        codes, scores = kernels.top_n(
            told.indptr,
            told.item,
            told.value,
            told.rows,
            exclude.everywhere,
            exclude.indptr,
            exclude.indices,
            n,
        )
        return codes, scores

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which of the customer's entries brought how much of the score, the largest part first."""
        # Not that of a class which explains in words of its own and asks for these here: that one asks `explain`.
        return SumScorer.explain_columns(self, customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        told = self.sums(customers)
        indptr, entries, amounts = kernels.contributions(told.indptr, told.item, told.value, told.rows, chosen)
        return ReasonColumns(told.templates, indptr, told.template[entries], told.item[entries], amounts)


__all__ = ["SumScorer", "Sums"]
