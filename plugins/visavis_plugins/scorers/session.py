"""`session`: what came next in past visits like the one under way.

VS-kNN (Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018): nothing of the
customer needs to be known but the last few things that he did, so it serves cold visitors, anonymous devices and carts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis_plugins.scorers._sparse import SparseScores, ragged

_TEMPLATES = (("same_visit", "others had it in one visit with {item}"),)
_MINUTE = 60_000_000
_LONGEST = 50
"""Items of the session under way that count: the last ones."""
_STEP = 0.1
"""What a neighbour loses for each step from the latest item back to the latest that it shares."""


class _Visit(NamedTuple):
    """The session under way of each customer: distinct items, oldest first, and their weights."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    weight: NDArray[np.float64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """The customer row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


class _Near(NamedTuple):
    """Past sessions like it: row starts by customer, session, likeness, share left of it, bits of shared items."""

    indptr: NDArray[np.int64]
    session: NDArray[np.int32]
    alike: NDArray[np.float64]
    left: NDArray[np.float64]
    shared: NDArray[np.int64]


class Session(Scorer):
    """Items of past sessions that are like the customer's latest one.

    A session is what one customer did without a pause of `gap_minutes`. The n distinct items of the latest session
    weigh 1/n … n/n, the last one most. Of the `recent` latest past sessions that share an item with it, the
    `neighbours` with the largest sum of weights of shared items count. Score of item j = rarity_j · Σ over those that
    hold j of that sum · (1 − 0.1 · steps from the last item back to the last shared one); ten steps back is too far.
    Rarity is ln(1 + sessions / sessions with j).

    A reason's part is the weight of its item in those sums; which sessions count, and their steps, are taken as they
    are: without the item they might be others.
    """

    name: ClassVar[str] = "session"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of this visit"

    @dataclass(frozen=True)
    class Options:
        """What a session is, and how many are looked at."""

        gap_minutes: float = field(
            default=30.0,
            metadata={"doc": "pause in minutes that ends a session", "minimum": 0, "maximum": 1_000_000},
        )
        neighbours: int = field(
            default=100, metadata={"doc": "past sessions that count", "minimum": 1, "maximum": 10_000}
        )
        recent: int = field(
            default=1000,
            metadata={"doc": "latest sessions with a shared item looked at", "minimum": 1, "maximum": 100_000},
        )
        rarity: bool = field(default=True, metadata={"doc": "let items of fewer sessions count more"})
        remind: bool = field(default=False, metadata={"doc": "recommend also what the session itself holds"})

    options: Options
    index_starts_: NDArray[np.int64]
    index_: NDArray[np.int32]
    session_starts_: NDArray[np.int64]
    session_items_: NDArray[np.int32]
    rarity_: NDArray[np.float64]

    _table: tuple[NDArray[np.float64], tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]] | None = None
    _last: tuple[Customers, NDArray[np.int32], _Visit, _Near] | None = None

    def fit(self, history: History) -> Self:
        """Learn the sessions of two items and more, oldest first, and for each item its latest ones."""
        n_items = len(history.items)
        starts, items = _sessions(history, round(self.options.gap_minutes * _MINUTE))
        n_sessions = len(starts) - 1
        buyers = np.bincount(items, minlength=n_items)
        self.rarity_ = np.log1p(n_sessions / np.maximum(buyers, 1)) if self.options.rarity else np.ones(n_items)
        by_item, sessions, _ = kernels.transpose(starts, items, np.ones(len(items)), n_items)
        # Of each item the latest sessions; the others can never be reached, and go.
        sizes = np.minimum(np.diff(by_item), self.options.recent)
        _, place = ragged(by_item[1:] - sizes, sizes)
        sessions = sessions[place]
        reached = np.zeros(n_sessions, dtype=np.bool_)
        reached[sessions] = True
        number = np.cumsum(reached) - 1
        self.index_starts_ = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.index_ = number[sessions].astype(np.int32)
        lengths = np.diff(starts)[reached]
        _, place = ragged(starts[:-1][reached], lengths)
        self.session_starts_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.session_items_ = items[place]
        # read-only as after `restore`: many threads read it
        for array in (self.index_starts_, self.index_, self.session_starts_, self.session_items_, self.rarity_):
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN where no neighbour of the session holds the candidate."""
        return self._scores(customers).of(candidates.codes)

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only what the neighbours hold."""
        visit, near = self._near(customers)
        indptr, hidden = exclude.indptr, exclude.indices
        if not self.options.remind:
            owner = np.concatenate([visit.owner, np.repeat(np.arange(len(customers)), np.diff(indptr))])
            hidden = np.concatenate([visit.item, hidden])[np.argsort(owner, kind="stable")]
            indptr = indptr + visit.indptr
        codes, scores = kernels.top_of_rows(
            near.indptr, near.session, near.alike * near.left, *self._held(), exclude.everywhere, indptr, hidden, n
        )
        return codes, scores

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which items of the session led to it, the largest part first."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        visit, near = self._near(customers)
        # Every item of every neighbour, and where it was chosen.
        begins = self.session_starts_[near.session]
        neighbour, place = ragged(begins, self.session_starts_[near.session + 1] - begins)
        item = self.session_items_[place]
        owner = np.repeat(np.arange(len(customers)), np.diff(near.indptr))[neighbour]
        width = int(max(item.max(initial=0), chosen.max(initial=0))) + 1
        taken = np.flatnonzero(chosen.ravel() >= 0)
        wanted = taken // max(chosen.shape[1], 1) * width + chosen.ravel()[taken]
        order = np.argsort(wanted, kind="stable")
        first = np.searchsorted(wanted[order], owner * width + item, side="left")
        last = np.searchsorted(wanted[order], owner * width + item, side="right")
        # One line for each neighbour that holds a chosen item, at each place where it was chosen.
        line, at = ragged(first, last - first)
        spot, by, owner = taken[order[at]], neighbour[line], owner[line]
        # Of each line, one part for each item that its neighbour shares.
        part, of_visit = ragged(visit.indptr[owner], np.diff(visit.indptr)[owner])
        bit = of_visit - visit.indptr[owner][part]
        shared = (near.shared[by][part] >> bit) & 1 == 1
        part, of_visit = part[shared], of_visit[shared]
        amount = visit.weight[of_visit] * near.left[by][part] * self.rarity_[chosen.ravel()[spot[part]]]
        summed = SparseScores.summed(spot[part], of_visit.astype(np.int32), amount, chosen.size)
        order = np.lexsort((-summed.value, summed.owner))
        return ReasonColumns(
            _TEMPLATES,
            summed.indptr.astype(np.int64),
            np.zeros(len(order), dtype=np.int32),
            visit.item[summed.item[order]],
            summed.value[order],
        )

    def _scores(self, customers: Customers) -> SparseScores:
        visit, near = self._near(customers)
        scores = SparseScores(
            *kernels.add_rows(near.indptr, near.session, near.alike * near.left, *self._held(), len(self.rarity_))
        )
        return scores if self.options.remind else scores.without(visit.indptr, visit.item)

    def _held(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """What the sessions hold, and how rare that is."""
        held = self._table
        if held is None or held[0] is not self.rarity_:
            rarity = self.rarity_[self.session_items_]
            self._table = held = self.rarity_, (self.session_starts_, self.session_items_, rarity)
        return held[1]

    def _near(self, customers: Customers) -> tuple[_Visit, _Near]:
        # Asked twice about the same customers, to rank and to explain.
        last = self._last
        if last is None or last[0] is not customers or last[1] is not self.index_:
            visit = _visit(customers, round(self.options.gap_minutes * _MINUTE))
            starts, sessions, alike, shared = kernels.session_neighbours(
                *visit, self.index_starts_, self.index_, self.options.recent, self.options.neighbours
            )
            # The highest bit is the last shared item: a power of two below 2^53 has it as its exponent.
            latest = np.frexp(shared.astype(np.float64))[1] - 1
            length = np.repeat(np.diff(visit.indptr), np.diff(starts))
            left = 1 - _STEP * (length - 1 - latest)
            near = left > 0
            kept = np.concatenate([[0], np.cumsum(near)])
            self._last = last = (
                customers,
                self.index_,
                visit,
                _Near(kept[starts], sessions[near], alike[near], left[near], shared[near]),
            )
        return last[2], last[3]


def _counts(rows: History) -> NDArray[np.bool_]:
    """Which rows are part of a session: of a kind that says something for an item, and not returned."""
    says = rows.meaning.weight > 0
    return (says[rows.kind] if len(says) else np.zeros(0, dtype=np.bool_)) & (
        (rows.item >= 0) & ~(rows.is_kind("purchase") & (rows.quantity <= 0))
    )


def _sessions(history: History, gap: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Row starts and items, ascending, of the sessions of at least two items; the sessions oldest first."""
    counts = np.flatnonzero(_counts(history))
    customer, time = history.customer[counts], history.time[counts]
    known = int(np.searchsorted(customer, 0))
    begins = np.ones(len(counts), dtype=np.bool_)
    begins[1:] = (customer[1:] != customer[:-1]) | (time[1:] - time[:-1] > gap)
    number = np.cumsum(begins, dtype=np.int64)
    # Of nobody's rows only those of one order belong together.
    number[:known] = history.basket[counts[:known]]
    every = np.ones(len(counts), dtype=np.bool_)
    starts, items = kernels.basket_items(customer, number, history.item[counts], every)
    # When each of them ended, in the same order: nobody's by number, then one after the other.
    _, of_nobody = np.unique(number[:known], return_inverse=True)
    ends = np.full(int(of_nobody.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(ends, of_nobody, time[:known])
    closes = np.ones(len(counts), dtype=np.bool_)
    closes[:-1] = begins[1:]
    ends = np.concatenate([ends, time[known:][closes[known:]]])
    sizes = np.diff(starts)
    order = np.argsort(ends, kind="stable")
    order = order[sizes[order] > 1]
    _, place = ragged(starts[:-1][order], sizes[order])
    return np.concatenate([[0], np.cumsum(sizes[order])]).astype(np.int64), items[place]


def _visit(customers: Customers, gap: int) -> _Visit:
    """The latest session of each customer."""
    kinds = customers.kinds
    return _Visit(
        *kernels.latest_sessions(
            customers.indptr,
            customers.item,
            customers.kind,
            customers.time,
            customers.quantity,
            customers.meaning.weight > 0,
            kinds.index("purchase") if "purchase" in kinds else -1,
            gap,
            _LONGEST,
        )
    )


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Session]


__all__ = ["Session", "visavis_scorers"]
