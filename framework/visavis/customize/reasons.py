"""Why items stand where they stand: asked of the scorers that placed them, checked, the strongest kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.customize.lists import Lists
from visavis.customize.ranking import reported, take_customers
from visavis.customize.wording import Wording, wording_of
from visavis.errors import InvalidInput
from visavis.history import Customers
from visavis.plugin import ReasonColumns, Scorer

TRUE_WITHIN = 1e-9
"""How far the sum of an item's contributions may lie from its score; of a score above 1, as a share of it."""
_UNRANKED = (("unranked", "in the shop, not yet known well enough to rank"),)


@dataclass(frozen=True, slots=True)
class Reasons:
    """Reasons in columns: those of place p of list r are `starts[r · n + p]` up to the next of `template` (int32, a
    number of `wording`), `item` (int32, the cause or −1) and `amount` (float64). `others`: the largest number of
    reasons that one of them sums up."""

    wording: Wording
    others: int
    starts: NDArray[np.int64]
    template: NDArray[np.int32]
    item: NDArray[np.int32]
    amount: NDArray[np.float64]


def no_reasons(n_places: int) -> Reasons:
    """For so many places none at all."""
    codes = np.empty(0, dtype=np.int32)
    return Reasons(wording_of((), ""), 0, np.zeros(n_places + 1, dtype=np.int64), codes, codes, np.empty(0))


def reasons_in(
    wording: Wording,
    starts: NDArray[np.int64],
    template: NDArray[np.int32],
    item: NDArray[np.int32],
    amount: NDArray[np.float64],
) -> Reasons:
    """Columns that a kernel folded, in the words of one scorer."""
    return Reasons(wording, max(0, int(template.max(initial=-1)) - wording.n), starts, template, item, amount)


def explain(
    lists: Lists,
    scorers: Sequence[tuple[str, Scorer | None]],
    customers: Customers,
    n_items: int,
    most: int,
    ready: Reasons | None = None,
) -> Reasons:
    """At most `most` reasons for each place, from the scorer that placed it; None: nobody had an opinion.

    `scorers` are name and scorer by number; `customers` are those of the lists. `ready`: those of scorer 0, if they are
    known.
    """
    involved = [number for number, count in enumerate(lists.counts.sum(axis=0).tolist()) if count]
    if not most or not involved:
        return no_reasons(lists.items.size)
    told = [
        ready
        if ready is not None and number == 0
        else _told(lists, number, scorers[number], customers, n_items, most, alone=len(involved) == 1)
        for number in involved
    ]
    return told[0] if len(told) == 1 else _together(told)


def _told(
    lists: Lists,
    number: int,
    named: tuple[str, Scorer | None],
    customers: Customers,
    n_items: int,
    most: int,
    *,
    alone: bool,
) -> Reasons:
    """What one scorer says of the items that it placed."""
    name, scorer = named
    chosen, scores = lists.items, lists.scores
    if not alone:
        own = lists.by == number
        chosen, scores = np.where(own, chosen, np.int32(-1)), np.where(own, scores, np.nan)
    with reported(name):
        if scorer is None:
            columns, others = _unranked(chosen, scores), ""
        else:
            columns, others = _asked(lists.counts[:, number], scorer, customers, chosen, scores), scorer.others
        wording = wording_of(columns.templates, others)
        try:
            starts, template, item, amount = kernels.fold_parts(
                columns.indptr,
                columns.template,
                columns.item,
                columns.amount,
                chosen.reshape(-1),
                scores.reshape(-1),
                wording.n,
                n_items,
                TRUE_WITHIN,
                most,
            )
        except InvalidInput as error:
            raise ValueError(f"explain gave {error.violations[0].description}") from None
    return reasons_in(wording, starts, template, item, amount)


def _asked(
    counts: NDArray[np.int64],
    scorer: Scorer,
    customers: Customers,
    chosen: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> ReasonColumns:
    """Ask of those customers only for whom the scorer placed something: others may have objected to being read."""
    if counts.all():
        return scorer.explain_columns(customers, chosen, scores)
    rows = np.flatnonzero(counts)
    columns = scorer.explain_columns(take_customers(customers, rows), chosen[rows], scores[rows])
    if len(columns.indptr) != len(rows) * chosen.shape[1] + 1:
        raise ValueError(f"explain gave {len(columns.indptr) - 1} lists for {len(rows) * chosen.shape[1]} items")
    starts = _spread(columns.indptr, rows, chosen.shape)
    return ReasonColumns(columns.templates, starts, columns.template, columns.item, columns.amount)


def spread(reasons: Reasons, rows: NDArray[np.int64], shape: tuple[int, ...]) -> Reasons:
    """The reasons of some lists, as those of all lists [shape], of which the others have none."""
    return replace(reasons, starts=_spread(reasons.starts, rows, shape))


def _spread(starts: NDArray[np.int64], rows: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    sizes = np.zeros(shape, dtype=np.int64)
    sizes[rows] = np.diff(starts).reshape(len(rows), -1)
    return _starts(sizes)


def _unranked(chosen: NDArray[np.int32], scores: NDArray[np.float64]) -> ReasonColumns:
    taken = chosen >= 0
    n = int(np.count_nonzero(taken))
    nothing = np.full(n, -1, dtype=np.int32)
    return ReasonColumns(_UNRANKED, _starts(taken), np.zeros(n, dtype=np.int32), nothing, scores[taken])


def _together(told: Sequence[Reasons]) -> Reasons:
    """One for all: each place has reasons from one of them at most."""
    starts = _starts(sum(np.diff(one.starts) for one in told))
    template = np.empty(starts[-1], dtype=np.int32)
    item, amount = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1])
    pairs: dict[tuple[str, str], int] = {}
    for one in told:
        used, place = np.unique(one.template, return_inverse=True)
        words = one.wording.pairs(one.others)
        numbers = [pairs.setdefault(words[number], len(pairs)) for number in used.tolist()]
        to = np.arange(len(one.template)) + np.repeat(starts[:-1] - one.starts[:-1], np.diff(one.starts))
        template[to] = np.array(numbers, dtype=np.int32)[place]
        item[to], amount[to] = one.item, one.amount
    return Reasons(wording_of(pairs, ""), 0, starts, template, item, amount)


def _starts(sizes: NDArray[np.int64] | NDArray[np.bool_] | int) -> NDArray[np.int64]:
    """Where each of so many begins, in order, and where the last one ends."""
    flat = np.ravel(sizes)
    starts = np.zeros(len(flat) + 1, dtype=np.int64)
    np.cumsum(flat, out=starts[1:])
    return starts


__all__ = ["TRUE_WITHIN", "Reasons", "explain", "no_reasons", "reasons_in", "spread"]
