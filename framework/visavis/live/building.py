"""From the rows of the store to what plugins learn from and requests read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.history import DAY, History, Items
from visavis.live.histories import Base
from visavis.live.netting import net_quantities
from visavis.live.vocabulary import read_only
from visavis.store.interactions import StoredRows


@dataclass(frozen=True, slots=True)
class Built:
    """A history to fit on and the base that requests read, of the same rows."""

    history: History
    base: Base


def build(
    rows: StoredRows, owners: NDArray[np.int32], kinds: list[str], items: Items, n_customers: int, now: int
) -> Built:
    """Map identities to customers, sort by customer and time, take returns off their purchases.

    Amounts in another currency than the history's are unknown (NaN) to those who learn from it.
    """
    customer = np.full(len(rows.identity), -1, dtype=np.int32)
    known = rows.identity >= 0
    customer[known] = owners[rows.identity[known]]
    purchase = kinds.index("purchase") if "purchase" in kinds else -1
    returned = kinds.index("return") if "return" in kinds else -1
    left = net_quantities(
        customer,
        rows.item,
        rows.kind,
        rows.time,
        rows.quantity,
        rows.amount,
        rows.id_hash,
        rows.reverses,
        purchase,
        returned,
    )
    order = np.lexsort((rows.time, customer))
    customer, kind, time, quantity = customer[order], rows.kind[order], rows.time[order], left[order]
    basket = rows.basket[order]
    alone = basket < 0
    basket = np.where(alone, -((customer.astype(np.int64) << 24) | (time // DAY & 0xFFFFFF)) - 2, basket)
    # Nobody's rows of one day are not one basket: each stands for itself, below every number of a customer's day.
    basket = np.where(alone & (customer < 0), -(1 << 62) - order, basket)
    indptr = np.searchsorted(customer, np.arange(n_customers + 1)).astype(np.int64)
    start = int(indptr[0])
    base = Base(
        sequence=rows.sequence,
        indptr=indptr - start,
        item=rows.item[order[start:]],
        kind=kind[start:],
        time=time[start:],
        quantity=quantity[start:],
        rating=rows.rating[order[start:]],
        basket=basket[start:],
        recorded=rows.quantity[order[start:]],
        amount=rows.amount[order[start:]],
        id_hash=rows.id_hash[order[start:]],
        reverses=rows.reverses[order[start:]],
    )
    keep = np.flatnonzero(~((kind == purchase) & (quantity <= 0)))
    order = order[keep]
    # What a plugin adds up is of one currency. Netting and the base keep all: a return has the price of its purchase.
    money = rows.amount.copy()
    money[rows.foreign] = np.nan
    history = History(
        n_customers=n_customers,
        items=items,
        kinds=tuple(kinds),
        now=now,
        currency=rows.currency,
        customer=read_only(customer[keep]),
        item=read_only(rows.item[order]),
        kind=read_only(kind[keep]),
        time=read_only(time[keep]),
        quantity=read_only(quantity[keep]),
        amount=read_only(money[order] * (quantity[keep] / rows.quantity[order])),
        rating=read_only(rows.rating[order]),
        basket=read_only(basket[keep]),
    )
    return Built(history, base)


__all__ = ["Built", "build"]
