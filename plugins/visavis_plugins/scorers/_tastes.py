"""What a customer's interactions say of each item, as one number a pair; the same for the past and for live rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis import Customers, History, kernels
from visavis.history import KIND_WEIGHTS

Signal = Literal["presence", "weight", "rating"]

CAUSES: tuple[tuple[str, str], ...] = (
    ("because_you_viewed", "because you looked at {item}"),
    ("because_you_carted", "because you put {item} in your cart"),
    ("because_you_liked", "because you liked {item}"),
    ("because_you_bought", "because you bought {item}"),
    ("because_you_rated", "because you rated {item}"),
)
"""Kind and text of a reason, by `Tastes.cause`. What says more stands later; a rating stands by itself."""

_CAUSE_OF_KIND = {"view": 0, "click": 0, "cart": 1, "like": 2, "purchase": 3}
_RATED = 4


@dataclass(frozen=True, slots=True)
class Tastes:
    """Customer r's items are `indptr[r]:indptr[r+1]` of `item` (int32, ascending), `value` and `cause`."""

    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    value: NDArray[np.float64]
    cause: NDArray[np.int8]

    @property
    def owner(self) -> NDArray[np.int32]:
        """The customer row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


def read_tastes(rows: History | Customers, owner: NDArray[np.int32], n_owners: int, signal: Signal) -> Tastes:
    """One entry for each item that a customer has shown a liking for.

    `owner` int32 [n_rows]: the customer row, −1 to leave a row out; within an owner, rows come oldest first.
    Values by `signal`: `presence` the weight of the strongest kind; `weight` log(1 + summed weights), where lines of
    one basket count once; `rating` the latest rating. An item whose purchases were all returned says nothing, and
    neither does one that was skipped after the last good word. Ratings hold whatever was returned.
    """
    weight = rows.weights()
    bought = rows.is_kind("purchase")
    kept = bought & (rows.quantity > 0)
    weight[bought & ~kept] = 0.0
    skipped = rows.is_kind("skip")
    rated = ~np.isnan(rows.rating)
    speaks = rated if signal == "rating" else weight > 0
    used = np.flatnonzero((owner >= 0) & (rows.item >= 0) & (speaks | bought | skipped))
    n_codes = int(rows.item[used].max(initial=0)) + 1
    pairs, pair = np.unique(owner[used].astype(np.int64) * n_codes + rows.item[used], return_inverse=True)

    last_word = _last(pair, used, speaks[used], len(pairs))
    alive = (last_word >= 0) & (last_word > _last(pair, used, skipped[used], len(pairs)))
    if signal != "rating":
        ever = np.bincount(pair, weights=bought[used], minlength=len(pairs)) > 0
        still = np.bincount(pair, weights=kept[used], minlength=len(pairs)) > 0
        alive &= still | ~ever

    cause = np.zeros(len(pairs), dtype=np.int8)
    value = np.zeros(len(pairs))
    if signal == "rating":
        cause[:] = _RATED
        value[alive] = rows.rating[last_word[alive]]
    else:
        of_kind = np.array([_CAUSE_OF_KIND.get(kind, 0) for kind in rows.kinds] or [0], dtype=np.int8)
        heard = speaks[used]
        np.maximum.at(cause, pair[heard], of_kind[rows.kind[used[heard]]])
        if signal == "presence":
            np.maximum.at(value, pair, weight[used])
        else:
            value = np.log1p(_summed(pair, weight[used], rows.basket[used], kept[used], len(pairs)))
    pairs, value, cause = pairs[alive], value[alive], cause[alive]
    indptr = np.searchsorted(pairs // n_codes, np.arange(n_owners + 1))
    return Tastes(indptr.astype(np.int64), (pairs % n_codes).astype(np.int32), value.astype(np.float64), cause)


class LiveTastes:
    """Reads the tastes of customers of requests: `read_tastes` of their rows, compiled. What was read last is kept, for
    a scorer is asked twice about the same customers, to rank and to explain. Safe in several threads."""

    def __init__(self) -> None:
        self._words: tuple[list[str], NDArray[np.float64], NDArray[np.int8]] | None = None
        self._last: tuple[Customers, Signal, Tastes] | None = None

    def of(self, customers: Customers, signal: Signal) -> Tastes:
        """Ratings as they are, not centred."""
        last = self._last
        if last is not None and last[0] is customers and last[1] == signal:
            return last[2]
        words = self._words
        if words is None or words[0] != customers.kinds:
            kinds = list(customers.kinds)
            words = self._words = (
                kinds,
                np.array([KIND_WEIGHTS.get(kind, 0.0) for kind in kinds], dtype=np.float64),
                np.array([_CAUSE_OF_KIND.get(kind, 0) for kind in kinds], dtype=np.int8),
            )
        kinds, weight_of, cause_of = words
        indptr, item, value, cause = kernels.tastes_of(
            customers.indptr,
            customers.item,
            customers.kind,
            customers.quantity,
            customers.rating,
            customers.basket,
            weight_of,
            cause_of,
            kinds.index("purchase") if "purchase" in kinds else -1,
            kinds.index("skip") if "skip" in kinds else -1,
            signal,
        )
        if signal == "rating":
            cause = np.full(len(item), _RATED, dtype=np.int8)
        tastes = Tastes(indptr, item, value, cause)
        self._last = (customers, signal, tastes)
        return tastes


def centred(tastes: Tastes) -> Tastes:
    """Values less the customer's own mean; entries that become 0 say nothing and are left out."""
    n_owners, owner = len(tastes.indptr) - 1, tastes.owner
    count = np.bincount(owner, minlength=n_owners)
    mean = np.bincount(owner, weights=tastes.value, minlength=n_owners) / np.maximum(count, 1)
    value = tastes.value - mean[owner]
    # a mean of equal ratings may be off by rounding, which must not count as an opinion
    says = np.abs(value) > 1e-12
    indptr = np.searchsorted(owner[says], np.arange(n_owners + 1)).astype(np.int64)
    return Tastes(indptr, tastes.item[says], value[says], tastes.cause[says])


def _last(
    pair: NDArray[np.int64], row: NDArray[np.int64], chosen: NDArray[np.bool_], n_pairs: int
) -> NDArray[np.int64]:
    """The latest chosen row of each pair, −1 if none."""
    last = np.full(n_pairs, -1, dtype=np.int64)
    np.maximum.at(last, pair[chosen], row[chosen])
    return last


def _summed(
    pair: NDArray[np.int64],
    weight: NDArray[np.float64],
    basket: NDArray[np.int64],
    bought: NDArray[np.bool_],
    n_pairs: int,
) -> NDArray[np.float64]:
    """Summed weights of each pair; several purchase lines of one item in one basket are one purchase."""
    order = np.lexsort((basket, ~bought, pair))
    pair, weight, basket, bought = pair[order], weight[order], basket[order], bought[order]
    again = np.zeros(len(pair), dtype=bool)
    again[1:] = (pair[1:] == pair[:-1]) & (basket[1:] == basket[:-1]) & bought[1:] & bought[:-1]
    return np.bincount(pair, weights=np.where(again, 0.0, weight), minlength=n_pairs).astype(np.float64)


__all__ = ["CAUSES", "LiveTastes", "Signal", "Tastes", "centred", "read_tastes"]
