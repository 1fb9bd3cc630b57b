"""One row of features a customer, for segmenters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visavis.history import DAY, Features, History


def build_features(history: History, customer_ids: Sequence[str]) -> Features:
    """Recency, frequency, money and tenure of every customer, as of the last interaction of the history.

    `recency_days`: since the last purchase. `frequency`: purchases on distinct orders (without orders, on distinct
    days). `monetary`: minor units bought less returned. `tenure_days`: since the first purchase. NaN for a
    customer who never bought.
    """
    n = history.n_customers
    bought = history.is_kind("purchase") & (history.customer >= 0)
    returned = history.is_kind("return") & (history.customer >= 0)
    customer = history.customer[bought]
    time = history.time[bought]
    end = int(history.time.max()) if len(history) else history.now
    first = np.full(n, np.iinfo(np.int64).max)
    last = np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(first, customer, time)
    np.maximum.at(last, customer, time)
    orders = np.unique(np.stack([customer.astype(np.int64), history.basket[bought]]), axis=1)[0]
    frequency = np.bincount(orders, minlength=n).astype(np.float64)
    money = _sum(customer, history.amount[bought], n) - _sum(history.customer[returned], history.amount[returned], n)
    never = frequency == 0

    def known(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(never, np.nan, values)

    return Features(
        codes=np.arange(n, dtype=np.int32),
        ids=customer_ids,
        columns={
            "recency_days": known((end - np.where(never, end, last)) / DAY),
            "frequency": known(frequency),
            "monetary": known(money),
            "tenure_days": known((end - np.where(never, end, first)) / DAY),
        },
    )


def _sum(customer: NDArray[np.int32], amount: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.bincount(customer, weights=np.nan_to_num(amount), minlength=n)[:n].astype(np.float64)


__all__ = ["build_features"]
