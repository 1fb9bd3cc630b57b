"""Ranking: ask a scorer for its best, keep one variant of each group, explain what was kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.errors import PluginError, VisavisError
from visavis.history import Customers, Exclusions, Items
from visavis.live.catalog import Catalog
from visavis.model import Reason
from visavis.plugin import Contribution, Scorer

TRUE_WITHIN = 1e-9
"""How far the sum of an item's contributions may lie from its score; of a score above 1, as a share of it."""


class Placed(NamedTuple):
    """An item in a list: its code, its score, the scorer that placed it."""

    item: int
    score: float
    scorer: str


@dataclass(slots=True)
class Picks:
    """A list being filled for one customer: at most `n` items, at most one of a group if asked."""

    n: int
    group_of: NDArray[np.int32] | None
    placed: list[Placed] = field(default_factory=list)
    _items: set[int] = field(default_factory=set)
    _groups: set[int] = field(default_factory=set)

    @property
    def full(self) -> bool:
        return len(self.placed) >= self.n

    def block_group(self, item: int) -> None:
        """Keep an item, and the variants of it, off the list."""
        self._items.add(item)
        if self.group_of is not None and self.group_of[item] >= 0:
            self._groups.add(int(self.group_of[item]))

    def offer(self, item: int, score: float, scorer: str) -> None:
        """Place an item, unless the list is full or has it, or a variant of it."""
        if self.full or item in self._items:
            return
        if self.group_of is not None and (group := int(self.group_of[item])) >= 0:
            if group in self._groups:
                return
            self._groups.add(group)
        self._items.add(item)
        self.placed.append(Placed(item, score, scorer))


def fill(
    picks: Sequence[Picks], name: str, scorer: Scorer, customers: Customers, items: Items, exclude: Exclusions
) -> None:
    """Let a scorer fill the lists of these customers, asking for more while variants of a group crowd its answer."""
    asked = max((one.n for one in picks), default=0)
    rows = [row for row, one in enumerate(picks) if not one.full]
    while rows and asked:
        asked = min(asked, len(items))
        hidden = take_exclusions(exclude, rows)
        with reported(name):
            codes, scores = scorer.top(take_customers(customers, rows), items, asked, hidden)
            _check_top(codes, scores, asked, hidden)
        unfinished = []
        for place, row in enumerate(rows):
            # No item behind a missing one: `_check_top` saw to it.
            count = int(np.count_nonzero(codes[place] >= 0))
            for code, score in zip(codes[place, :count].tolist(), scores[place, :count].tolist(), strict=True):
                picks[row].offer(code, score, name)
            if not picks[row].full and count == asked and asked < len(items):
                unfinished.append(row)
        rows = unfinished
        asked *= 4


def explain(
    placed: Sequence[Placed], scorer_of: Callable[[str], Scorer | None], customers: Customers, catalog: Catalog
) -> list[tuple[Reason, ...]]:
    """The reasons of one customer's items, each from the scorer that placed it. `customers` holds that one only."""
    reasons: list[tuple[Reason, ...]] = [()] * len(placed)
    for name in dict.fromkeys(one.scorer for one in placed):
        places = [place for place, one in enumerate(placed) if one.scorer == name]
        scorer = scorer_of(name)
        if scorer is None:
            text = "in the shop, not yet known well enough to rank"
            found: Sequence[Sequence[Contribution]] = [[Contribution("unranked", 0.0, text)]] * len(places)
        else:
            codes = np.array([[placed[place].item for place in places]], dtype=np.int32)
            scores = np.array([[placed[place].score for place in places]])
            with reported(name):
                found = scorer.explain(customers, codes, scores)[0]
                _check_reasons(found, scores[0])
        with reported(name):
            for place, contributions in zip(places, found, strict=True):
                reasons[place] = tuple(_reason(one, catalog) for one in contributions)
    return reasons


@contextmanager
def reported(name: str) -> Iterator[None]:
    """A stranger's scorer may raise anything: it becomes a `PluginError` that names the scorer."""
    try:
        yield
    except (Exception, SystemExit) as error:
        detail = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
        raise PluginError(
            f"scorer {name} failed to answer: {detail}; ask another scorer, or mend it and run `visavis fit`",
            metadata={"plugin": name, "error": detail},
        ) from error


def check_neighbours(codes: Any, similarities: Any, most: int, n_items: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What `neighbours` gave, if it keeps the contract: codes [≤ `most`] of items, and a finite similarity for each."""
    if codes.ndim != 1 or codes.shape != similarities.shape or len(codes) > most:
        raise ValueError(
            f"neighbours gave codes {codes.shape} and similarities {similarities.shape}; asked for were at most {most}"
        )
    if codes.dtype.kind not in "iu" or (codes < 0).any() or (codes >= n_items).any():
        raise ValueError(f"neighbours gave what is no code of an item; codes are whole numbers from 0 to {n_items - 1}")
    if not np.isfinite(similarities).all():
        raise ValueError("neighbours gave a similarity that is not a finite number")
    return codes, similarities


def _check_top(codes: NDArray[np.int32], scores: NDArray[np.float64], n: int, exclude: Exclusions) -> None:
    """What a scorer answers must be shown to customers and written down: no excluded item, no score without a value."""
    wanted = (len(exclude.indptr) - 1, n)
    if codes.shape != wanted or scores.shape != wanted:
        raise ValueError(f"top gave codes {codes.shape} and scores {scores.shape}; both must be {wanted}")
    if codes.dtype.kind not in "iu" or (codes < -1).any():
        raise ValueError("top gave what is no code of an item; codes are whole numbers, -1 for a missing place")
    given = codes >= 0
    if (given[:, 1:] & ~given[:, :-1]).any():
        raise ValueError("top gave an item behind a missing place; missing places (-1) come last")
    if not np.isfinite(scores[given]).all():
        raise ValueError("top gave an item a score that is not a finite number")
    if (codes >= len(exclude.everywhere)).any() or exclude.everywhere[codes[given]].any():
        raise ValueError("top gave an item that was excluded")
    for row in range(len(codes)):
        own = exclude.indices[exclude.indptr[row] : exclude.indptr[row + 1]]
        if len(own) and np.isin(codes[row][given[row]], own).any():
            raise ValueError("top gave an item that was excluded")


def _check_reasons(found: Sequence[Sequence[Contribution]], scores: NDArray[np.float64]) -> None:
    """Reasons must be true: what is said of an item adds up to its score."""
    if len(found) != len(scores):
        raise ValueError(f"explain gave {len(found)} lists for {len(scores)} items")
    for contributions, score in zip(found, scores.tolist(), strict=True):
        total = math.fsum(one.amount for one in contributions)
        if contributions and not abs(total - score) <= TRUE_WITHIN * max(1.0, abs(score)):
            raise ValueError(f"explain gave reasons that add up to {total!r}, and the score is {score!r}")


def take_customers(customers: Customers, rows: Sequence[int]) -> Customers:
    """Some customers of a request."""
    if len(rows) == len(customers):
        return customers
    index = np.array(rows, dtype=np.int64)
    indptr, place = _take(customers.indptr, index)
    return Customers(
        codes=customers.codes[index],
        ids=[customers.ids[row] for row in rows],
        kinds=customers.kinds,
        now=customers.now,
        indptr=indptr,
        item=customers.item[place],
        kind=customers.kind[place],
        time=customers.time[place],
        quantity=customers.quantity[place],
        rating=customers.rating[place],
        basket=customers.basket[place],
    )


def take_exclusions(exclude: Exclusions, rows: Sequence[int]) -> Exclusions:
    """The exclusions of some customers of a request."""
    if len(rows) == len(exclude.indptr) - 1:
        return exclude
    indptr, place = _take(exclude.indptr, np.array(rows, dtype=np.int64))
    return Exclusions(exclude.everywhere, indptr, exclude.indices[place])


def _take(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row pointers of some rows of a CSR, and the entries that they hold."""
    lengths = (indptr[1:] - indptr[:-1])[rows]
    taken = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken[1:])
    entries = np.arange(taken[-1]) + np.repeat(indptr[rows] - taken[:-1], lengths)
    return taken, entries


def _reason(one: Contribution, catalog: Catalog) -> Reason:
    if one.item < 0:
        return Reason(one.kind, one.text, one.amount)
    if one.item >= len(catalog):
        raise ValueError(f"explain named item code {one.item}, and there are {len(catalog)} items")
    item_id = catalog.ids.texts[one.item]
    name = catalog.name(one.item)
    return Reason(one.kind, one.text.replace("{item}", name), one.amount, item_id, name)


__all__ = ["Picks", "Placed", "check_neighbours", "explain", "fill", "reported", "take_customers", "take_exclusions"]
