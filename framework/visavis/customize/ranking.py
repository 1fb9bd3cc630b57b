"""Ranking: ask a scorer for its best, check what it says, keep one variant of each group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.customize.lists import Lists
from visavis.errors import PluginError, VisavisError
from visavis.history import Customers, Exclusions, Items
from visavis.plugin import Scorer


def fill(
    lists: Lists,
    rows: NDArray[np.int64],
    number: int,
    name: str,
    scorer: Scorer,
    customers: Customers,
    items: Items,
    exclude: Exclusions,
    group: NDArray[np.int32],
) -> None:
    """Let a scorer, `number` in `by`, fill the lists `rows` of these customers, one each, asking for more while
    variants of a group crowd its answer. `group` empty: variants may stand beside each other."""
    asked = min(lists.items.shape[1], len(items))
    asking = lists.free(rows)
    own = customers, exclude
    while len(asking) and asked:
        if len(asking) < len(own[1].indptr) - 1:
            places = np.searchsorted(rows, asking)
            own = take_customers(customers, places), take_exclusions(exclude, places)
        with reported(name):
            codes, scores = scorer.top(own[0], items, asked, own[1])
            place(lists, asking, codes, scores, own[1], group, number, asked)
        still = lists.items[asking, -1] < 0
        if asked == len(items) or not still.any():
            return
        # Who has room although the scorer gave as much as it was asked for.
        asking = asking[still & (codes[:, -1] >= 0)]
        asked = min(4 * asked, len(items))


def place(
    lists: Lists,
    rows: NDArray[np.int64],
    codes: Any,
    scores: Any,
    exclude: Exclusions,
    group: NDArray[np.int32],
    number: int,
    n: int,
) -> None:
    """Place what a scorer answered, [n_rows, n]. It is shown to customers and written down: `ValueError` for what is
    no code, what was excluded, and a score without a value."""
    wanted = (len(rows), n)
    if codes.shape != wanted or scores.shape != wanted:
        raise ValueError(f"top gave codes {codes.shape} and scores {scores.shape}; both must be {wanted}")
    if codes.dtype.kind not in "iu":
        raise ValueError("top gave what is no code of an item; codes are whole numbers, -1 for a missing place")
    wrong = kernels.pick(
        *lists, rows, codes, scores, group, exclude.everywhere, exclude.indptr, exclude.indices, number
    )
    if wrong:
        raise ValueError(f"top gave {wrong}")


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


def take_customers(customers: Customers, rows: NDArray[np.int64]) -> Customers:
    """Some customers of a request."""
    if len(rows) == len(customers):
        return customers
    indptr, place = _take(customers.indptr, rows)
    return Customers(
        codes=customers.codes[rows],
        ids=[customers.ids[row] for row in rows.tolist()],
        kinds=customers.kinds,
        now=customers.now,
        indptr=indptr,
        item=customers.item[place],
        kind=customers.kind[place],
        time=customers.time[place],
        quantity=customers.quantity[place],
        rating=customers.rating[place],
        basket=customers.basket[place],
        kind_table=customers.kind_table,
    )


def take_exclusions(exclude: Exclusions, rows: NDArray[np.int64]) -> Exclusions:
    """The exclusions of some customers of a request."""
    if len(rows) == len(exclude.indptr) - 1:
        return exclude
    indptr, place = _take(exclude.indptr, rows)
    return Exclusions(exclude.everywhere, indptr, exclude.indices[place])


def _take(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row pointers of some rows of a CSR, and the entries that they hold."""
    lengths = (indptr[1:] - indptr[:-1])[rows]
    taken = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken[1:])
    entries = np.arange(taken[-1]) + np.repeat(indptr[rows] - taken[:-1], lengths)
    return taken, entries


__all__ = ["check_neighbours", "fill", "place", "reported", "take_customers", "take_exclusions"]
