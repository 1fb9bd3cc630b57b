"""`up_sell`: a dearer alternative for a need that this customer has, within reach of what he usually pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis_plugins.scorers._latest import latest
from visavis_plugins.scorers._rows import CheckedRows
from visavis_plugins.scorers._sparse import SparseScores
from visavis_plugins.scorers._tastes import LiveTastes, Tastes, past_tastes

_TEMPLATES = tuple(
    ("step_up_from", f"a step up from {{item}}, {why}")
    for why in (
        "which you took notice of",
        "which you looked at",
        "which is in your cart",
        "which you liked",
        "which you bought",
    )
)
"""Kind and text of a reason, by cause."""
_BOUGHT = len(_TEMPLATES) - 1
_ROUNDING = 1e-9


class _Usual(NamedTuple):
    """What customers usually pay for a need: keys customer · n_needs_ + need, ascending, and prices."""

    key: NDArray[np.int64]
    price: NDArray[np.float64]


class UpSell(Scorer):
    """Alternatives that cost somewhat more than what the customer usually pays for the same need.

    Two items serve the same need if they are of one category, and are alternatives the more, the more customers had to
    do with both (cosine). What a customer usually pays for a need is the median price of what he bought of that
    category, or else of what he looked at or liked. Score of item j, if its price lies in the band above that = Σ over
    his items i of the last days of weight_i · cosine(i, j). His own items get no opinion, and neither do items without
    a price or a category.

    A reason's part is what its item says; what is usual for the customer is taken as it is.
    """

    name: ClassVar[str] = "up_sell"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """How much dearer, and what is an alternative."""

        least_dearer: float = field(
            default=0.1, metadata={"doc": "least share above the usual price", "minimum": 0, "maximum": 100}
        )
        most_dearer: float = field(
            default=0.5, metadata={"doc": "most share above the usual price", "minimum": 0, "maximum": 100}
        )
        need: str = field(default="category", metadata={"doc": "attribute that tells the need an item serves"})
        neighbours: int = field(
            default=50, metadata={"doc": "alternatives kept for each item", "minimum": 1, "maximum": 1000}
        )
        days: float = field(
            default=30.0,
            metadata={
                "doc": "days before a customer's last interaction that tell his needs; 0: all",
                "minimum": 0,
                "maximum": 36_500,
            },
        )

        def __post_init__(self) -> None:
            if self.most_dearer < self.least_dearer:
                raise ValueError(
                    f"most_dearer is {self.most_dearer}, below least_dearer {self.least_dearer}; give at least that"
                )

    options: Options
    alternatives_: NDArray[np.int32]
    similarities_: NDArray[np.float32]
    price_: NDArray[np.float64]
    need_: NDArray[np.int32]
    n_needs_: int

    _table: tuple[NDArray[np.int32], tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]] | None = None
    _last: tuple[Customers, Customers] | None = None

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = LiveTastes()
        self._lately = LiveTastes()
        self._rows = CheckedRows()

    def fit(self, history: History) -> Self:
        """Learn each item's alternatives: int32 and float32 [n_items, neighbours], best first, −1 and 0 behind."""
        items = history.items
        self.price_ = np.where(items.price > 0, items.price, np.nan)
        self.need_ = _numbers(items, self.options.need)
        tastes = past_tastes(history, "presence")
        owner = tastes.owner
        usable = (self.need_[tastes.item] >= 0) & ~np.isnan(self.price_[tastes.item])
        owner, item, value = owner[usable], tastes.item[usable], tastes.value[usable]
        # A customer is as many rows as he has needs: so only items of one need meet, and cosines stay what they are.
        self.n_needs_ = int(self.need_.max(initial=-1)) + 1
        rows, row = np.unique(owner.astype(np.int64) * self.n_needs_ + self.need_[item], return_inverse=True)
        matrix = kernels.build_csr(row.astype(np.int32), item, value, len(rows), len(items))
        alternatives, similarities = kernels.cosine_top_k(*matrix, len(items), self.options.neighbours)
        self.alternatives_, self.similarities_ = alternatives, similarities.astype(np.float32)
        # read-only as after `restore`: many threads read it
        for array in (self.alternatives_, self.similarities_, self.price_, self.need_):
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN for what is no alternative to anything of the customer's, or not in the band of prices."""
        return self._scores(customers).of(candidates.codes)

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only alternatives to the customer's items."""
        return self._scores(customers).best(n, len(items), exclude)

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """What it is an alternative to, the largest part first."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        tastes = self._needs(customers)
        placed = np.where(np.isfinite(scores), chosen, np.int32(-1))
        indptr, entries, amounts = kernels.contributions(
            tastes.indptr, tastes.item, tastes.value, self._rows.of(self.alternatives_, self.similarities_), placed
        )
        return ReasonColumns(_TEMPLATES, indptr, tastes.cause[entries].astype(np.int32), tastes.item[entries], amounts)

    def _scores(self, customers: Customers) -> SparseScores:
        own, needs = self._live.of(customers, "presence"), self._needs(customers)
        table = self._by_item()
        found = SparseScores(*kernels.add_rows(needs.indptr, needs.item, needs.value, *table, len(self.need_)))
        found = found.without(own.indptr, own.item)
        usual = self._usual(own)
        key = found.owner * self.n_needs_ + self.need_[found.item]
        place = np.searchsorted(usual.key, key).clip(max=max(len(usual.key) - 1, 0))
        if not len(usual.key):
            return found.kept(np.zeros(len(key), dtype=np.bool_))
        price, reference = self.price_[found.item], usual.price[place]
        # A tenth above 100 is 110, whatever floating point says.
        low, high = 1 + self.options.least_dearer - _ROUNDING, 1 + self.options.most_dearer + _ROUNDING
        return found.kept((usual.key[place] == key) & (price >= reference * low) & (price <= reference * high))

    def _needs(self, customers: Customers) -> Tastes:
        # Asked twice about the same customers, to rank and to explain.
        last = self._last
        if last is None or last[0] is not customers:
            self._last = last = customers, latest(customers, self.options.days)
        return self._lately.of(last[1], "presence")

    def _usual(self, own: Tastes) -> _Usual:
        known = own.item < len(self.need_)
        owner, item, bought = own.owner[known].astype(np.int64), own.item[known], own.cause[known] == _BOUGHT
        counts = (self.need_[item] >= 0) & ~np.isnan(self.price_[item])
        owner, item, bought = owner[counts], item[counts], bought[counts]
        key = owner * self.n_needs_ + self.need_[item]
        # Who bought for a need is known by that alone.
        alone = bought | ~np.isin(key, key[bought])
        key, price = key[alone], self.price_[item][alone]
        order = np.lexsort((price, key))
        keys, first, count = np.unique(key[order], return_index=True, return_counts=True)
        ranked = price[order]
        return _Usual(keys, (ranked[first + (count - 1) // 2] + ranked[first + count // 2]) / 2)

    def _by_item(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """The table without its empty places."""
        table = self._table
        if table is None or table[0] is not self.alternatives_:
            there = self.alternatives_ >= 0
            starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
            parts = starts, self.alternatives_[there], self.similarities_[there].astype(np.float64)
            self._table = table = self.alternatives_, parts
        return table[1]


def _numbers(items: Items, name: str) -> NDArray[np.int32]:
    """int32 [n_items]: a number for each different value of an attribute, −1 where there is none."""
    numbers: dict[object, int] = {}
    found = np.full(len(items), -1, dtype=np.int32)
    for place, value in enumerate(items.column(name).tolist()):
        if value is not None and value != "" and value == value:
            found[place] = numbers.setdefault(value, len(numbers))
    return found


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [UpSell]


__all__ = ["UpSell", "visavis_scorers"]
