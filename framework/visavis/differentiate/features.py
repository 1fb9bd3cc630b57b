"""One row of features a customer, for segmenters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import DAY, Features, History

_SIGNS = {"purchase": 1, "return": -1}


def build_features(history: History, customer_ids: Sequence[str]) -> Features:
    """Recency, frequency, money and tenure of every customer, as of the last interaction of the history.

    `recency_days`: since the last purchase. `frequency`: purchases on distinct orders (without orders, on distinct
    days). `monetary`: minor units bought less returned. `tenure_days`: since the first purchase. NaN for a
    customer who never bought.
    """
    n = history.n_customers
    end = int(history.time.max()) if len(history) else history.now
    sign = np.array([_SIGNS.get(kind, 0) for kind in history.kinds] or [0], dtype=np.int8)
    orders, first, last, money = kernels.purchase_totals(
        history.customer, history.kind, history.time, history.basket, history.amount, sign, n
    )
    frequency = orders.astype(np.float64)
    never = orders == 0

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


__all__ = ["build_features"]
