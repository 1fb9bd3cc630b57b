"""`tifu_knn`: what this customer buys again and again, and what customers with baskets like his buy.

Temporal item frequencies and nearest neighbours (Hu, He, Gao and Zhang, "Modeling personalized item frequency
information for next-basket recommendation", SIGIR 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels


@dataclass(frozen=True, slots=True)
class _Parts:
    """Customer r's items are `indptr[r]:indptr[r+1]` of `item` (ascending), with what his own baskets and his
    neighbours' say for each, and how often he bought it."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    own: NDArray[np.float64]
    others: NDArray[np.float64]
    times: NDArray[np.int64]

    def at(self, rows: NDArray[np.int64], codes: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where the item `codes[n]` of customer `rows[n]` stands, and whether it does."""
        if len(self.item) == 0:
            return np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.bool_)
        width = int(max(self.item.max(), codes.max(initial=0))) + 1
        owner = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), np.diff(self.indptr))
        keys = owner * width + self.item
        place = np.searchsorted(keys, rows * width + codes).clip(max=len(keys) - 1)
        return place, (keys[place] == rows * width + codes) & (codes >= 0)


class TifuKnn(Scorer):
    """The customer's own fading frequencies, and those of the customers whose frequencies are most like his.

    Score = own_share · u + (1 − own_share) · mean of the vectors of the nearest `neighbours` customers. The vector u of
    a customer has for each item a sum over the baskets that hold it: basket_decay ** (baskets ago), averaged within
    each of `groups` runs of baskets, each of which counts group_decay times as much as the one after it. It reads the
    live history, so a purchase counts in the next answer; the neighbours are customers of the fit. Who bought nothing
    gets no answer, and what neither he nor a neighbour bought has no score. The defaults are those that the authors
    give for groceries (Dunnhumby).
    """

    name: ClassVar[str] = "tifu_knn"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    recommends_bought: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Options:
        """How habits fade, and whose count."""

        neighbours: int = field(
            default=900, metadata={"doc": "customers whose baskets count", "minimum": 1, "maximum": 100_000}
        )
        own_share: float = field(
            default=0.2, metadata={"doc": "share of the customer's own baskets", "minimum": 0, "maximum": 1}
        )
        basket_decay: float = field(
            default=0.9,
            metadata={"doc": "weight of a basket relative to the one after it", "minimum": 0.01, "maximum": 1},
        )
        group_decay: float = field(
            default=0.6,
            metadata={"doc": "weight of a run of baskets relative to the one after it", "minimum": 0.01, "maximum": 1},
        )
        groups: int = field(
            default=3, metadata={"doc": "runs that the baskets are cut into", "minimum": 1, "maximum": 1000}
        )
        max_customers: int = field(
            default=20_000,
            metadata={
                "doc": "customers among whom neighbours are looked for, those who bought last: more take longer to ask",
                "minimum": 1,
                "maximum": 10_000_000,
            },
        )

    options: Options
    customers_: NDArray[np.int32]
    starts_: NDArray[np.int64]
    items_: NDArray[np.int32]
    values_: NDArray[np.float32]

    _known: tuple[NDArray[np.float32], kernels.KnownRows] | None = None
    _last: tuple[Customers, NDArray[np.float32], _Parts] | None = None

    def fit(self, history: History) -> Self:
        """Learn the vectors of the customers who bought last: their codes, ascending, and CSR by customer."""
        bought = _bought(history)
        bought[: int(np.searchsorted(history.customer, 0))] = False
        rows = np.flatnonzero(bought)
        latest = np.full(history.n_customers, np.iinfo(np.int64).min)
        np.maximum.at(latest, history.customer[rows], history.time[rows])
        buyers = np.unique(history.customer[rows])
        newest_first = buyers[np.argsort(-latest[buyers], kind="stable")]
        self.customers_ = np.sort(newest_first[: self.options.max_customers]).astype(np.int32)
        chosen = np.zeros(history.n_customers, dtype=np.bool_)
        chosen[self.customers_] = True
        rows = rows[chosen[history.customer[rows]]]
        indptr = np.searchsorted(history.customer[rows], np.append(self.customers_, history.n_customers))
        self.starts_, self.items_, values, _ = self._habits(
            indptr.astype(np.int64), history.item[rows], history.basket[rows], np.ones(len(rows), dtype=np.bool_)
        )
        self.values_ = values.astype(np.float32)
        for array in (self.customers_, self.starts_, self.items_, self.values_):
            # read-only as after `restore`: many threads read it
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN for items that neither the customer nor one of his neighbours bought."""
        parts = self._parts(customers)
        shape = (len(customers), len(candidates))
        rows = np.repeat(np.arange(shape[0], dtype=np.int64), shape[1])
        place, known = parts.at(rows, np.tile(candidates.codes, shape[0]))
        scores = np.full(len(rows), np.nan)
        scores[known] = parts.own[place[known]] + parts.others[place[known]]
        return scores.reshape(shape)

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Ranks what the customer and his neighbours bought, however large the catalogue."""
        parts = self._parts(customers)
        return kernels.best_entries(
            parts.indptr,
            parts.item,
            parts.own + parts.others,
            exclude.everywhere,
            exclude.indptr,
            exclude.indices,
            n,
        )

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """How often the customer bought it, and that others like him do."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns: the customer's own part first, where there is one."""
        parts = self._parts(customers)
        rows = np.repeat(np.arange(len(customers), dtype=np.int64), chosen.shape[1])
        place, known = parts.at(rows, chosen.ravel())
        amounts = np.zeros((chosen.size, 2))
        times = np.zeros(chosen.size, dtype=np.int64)
        if known.any():
            amounts[known] = np.column_stack([parts.own, parts.others])[place[known]]
            times[known] = parts.times[place[known]]
        told = amounts != 0.0
        # a score of 0 (own_share 1 or 0, or weights too small to be told from nothing) has a reason all the same
        told[known & ~told.any(axis=1), 1] = True
        indptr = np.zeros(chosen.size + 1, dtype=np.int64)
        np.cumsum(np.count_nonzero(told, axis=1), out=indptr[1:])
        often, number = np.unique(times, return_inverse=True)
        templates = [("you_buy_this", _often(count)) for count in often.tolist()]
        template = np.column_stack([number, np.full(len(number), len(templates))]).astype(np.int32)
        templates.append(("people_like_you_buy", "customers with baskets like yours buy it"))
        return ReasonColumns(
            templates, indptr, template[told], np.full(int(indptr[-1]), -1, dtype=np.int32), amounts[told]
        )

    def _parts(self, customers: Customers) -> _Parts:
        """What the customers' scores are made of. What was read last is kept: a scorer is asked to rank and to
        explain."""
        last = self._last
        if last is not None and last[0] is customers and last[1] is self.values_:
            return last[2]
        starts, item, own, times = self._habits(customers.indptr, customers.item, customers.basket, _bought(customers))
        place = np.searchsorted(self.customers_, customers.codes)
        stands = place < len(self.customers_)
        stands[stands] = self.customers_[place[stands]] == customers.codes[stands]
        selves = np.where(stands, place, -1).astype(np.int32)
        indptr, items, near = kernels.nearest_means(
            starts, item, own, self._neighbours(), selves, self.options.neighbours
        )
        share = self.options.own_share
        shape = len(items)
        parts = _Parts(indptr, items, np.zeros(shape), (1.0 - share) * near, np.zeros(shape, dtype=np.int64))
        rows = np.repeat(np.arange(len(customers), dtype=np.int64), np.diff(starts))
        place, _ = parts.at(rows, item)
        parts.own[place], parts.times[place] = share * own, times
        self._last = (customers, self.values_, parts)
        return parts

    def _neighbours(self) -> kernels.KnownRows:
        """The vectors of the fit, laid out; threads that race lay them out twice."""
        known = self._known
        if known is None or known[0] is not self.values_:
            n_items = int(self.items_.max(initial=-1)) + 1
            rows = kernels.known_rows(self.starts_, self.items_, self.values_.astype(np.float64), n_items)
            self._known = known = (self.values_, rows)
        return known[1]

    def _habits(
        self,
        indptr: NDArray[np.int64],
        item: NDArray[np.int32],
        basket: NDArray[np.int64],
        bought: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
        options = self.options
        ages = kernels.basket_ages(indptr, basket, bought)
        return kernels.habits_of(indptr, item, ages, bought, options.basket_decay, options.group_decay, options.groups)


def _bought(rows: History | Customers) -> NDArray[np.bool_]:
    """bool [n_rows]: what was bought and kept."""
    bought: NDArray[np.bool_] = rows.is_kind("purchase") & (rows.quantity > 0) & (rows.item >= 0)
    return bought


def _often(times: int) -> str:
    return "you bought it once" if times == 1 else f"you bought it {times} times"


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [TifuKnn]


__all__ = ["TifuKnn", "visavis_scorers"]
