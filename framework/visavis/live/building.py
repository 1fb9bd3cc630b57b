"""From the rows of the store to what plugins learn from and requests read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import DAY, History, Items
from visavis.live.histories import Base
from visavis.store.interactions import StoredRows


@dataclass(frozen=True, slots=True)
class Built:
    """A history to fit on and the base that requests read, of the same rows."""

    history: History
    base: Base


def build(
    rows: StoredRows, owners: NDArray[np.int32], kinds: list[str], items: Items, n_customers: int, now: int
) -> Built:
    """Map identities to customers, sort by customer and time, take returns off their purchases."""
    customer = np.full(len(rows.identity), -1, dtype=np.int32)
    known = rows.identity >= 0
    customer[known] = owners[rows.identity[known]]
    purchase = kinds.index("purchase") if "purchase" in kinds else -1
    returned = kinds.index("return") if "return" in kinds else -1
    order = np.lexsort((rows.time, customer))
    quantity = _net_quantity(rows, customer, order, purchase, returned)
    order = order[~((rows.kind[order] == purchase) & (quantity[order] <= 0))]
    customer, item, kind, time = customer[order], rows.item[order], rows.kind[order], rows.time[order]
    quantity = quantity[order]
    rating = rows.rating[order]
    basket = np.where(
        rows.basket[order] >= 0,
        rows.basket[order],
        -((customer.astype(np.int64) << 24) | (time // DAY & 0xFFFFFF)) - 2,
    )
    indptr = np.searchsorted(customer, np.arange(n_customers + 1)).astype(np.int64)
    start = int(indptr[0])
    base = Base(
        sequence=rows.sequence,
        indptr=indptr - start,
        item=item[start:],
        kind=kind[start:],
        time=time[start:],
        quantity=quantity[start:].astype(np.float32),
        rating=rating[start:].astype(np.float32),
        basket=basket[start:],
    )
    history = History(
        n_customers=n_customers,
        items=items,
        kinds=tuple(kinds),
        now=now,
        currency=rows.currency,
        customer=customer,
        item=item,
        kind=kind,
        time=time,
        quantity=quantity,
        amount=rows.amount[order],
        rating=rating,
        basket=basket,
    )
    return Built(history, base)


def _net_quantity(
    rows: StoredRows, customer: NDArray[np.int32], order: NDArray[np.int64], purchase: int, returned: int
) -> NDArray[np.float64]:
    """Quantities with returns taken off: first those that name their purchase, then the rest, latest first."""
    quantity = rows.quantity.copy()
    back = np.flatnonzero((rows.kind == returned) & (customer >= 0) & (rows.item >= 0))
    if returned < 0 or len(back) == 0:
        return quantity
    linked = back[rows.reverses[back] >= 0]
    target = rows.reverses[linked]
    honest = (customer[target] == customer[linked]) & (rows.item[target] == rows.item[linked])
    linked, target = linked[honest], target[honest]
    wanted = np.bincount(target, weights=rows.quantity[linked], minlength=len(quantity))
    taken = np.minimum(wanted, np.where(rows.kind == purchase, quantity, 0.0))
    # What a return could not take from the purchase that it names, it takes from earlier ones.
    left = np.zeros(len(quantity))
    left[back] = rows.quantity[back]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(wanted > 0, taken / wanted, 0.0)
    left[linked] -= rows.quantity[linked] * share[target]
    quantity -= np.where(rows.kind == purchase, taken, 0.0)
    open_ = back[left[back] > 1e-9]
    if len(open_) == 0:
        return quantity
    width = np.int64(rows.item.max()) + 1
    group = customer.astype(np.int64) * width + rows.item
    candidates = order[
        np.isin(group[order], group[open_])
        & (customer[order] >= 0)
        & (rows.item[order] >= 0)
        & ((rows.kind[order] == purchase) | (left[order] > 1e-9))
    ]
    candidates = candidates[np.argsort(group[candidates], kind="stable")]
    is_return = rows.kind[candidates] == returned
    with np.errstate(invalid="ignore", divide="ignore"):
        price = np.round(rows.amount[candidates] / rows.quantity[candidates], 6)
    _, remaining = kernels.match_returns(
        group[candidates], is_return, np.where(is_return, left[candidates], quantity[candidates]), price
    )
    bought = ~is_return
    quantity[candidates[bought]] = remaining[bought]
    return quantity


__all__ = ["Built", "build"]
