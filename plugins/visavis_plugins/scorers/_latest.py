"""What a customer is about now: his rows of the last days, counted back from his own last one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from visavis import Customers
from visavis.history import DAY


def latest(customers: Customers, days: float) -> Customers:
    """The same customers with the rows that lie at most `days` before their own latest; 0: with all.

    Counting from what the customer did last, not from today, an old file answers like a running shop.
    """
    if days == 0 or not len(customers.time):
        return customers
    sizes = np.diff(customers.indptr)
    # Rows come oldest first. Who has none has no last one either; what stands there is not used.
    last = customers.time[np.maximum(customers.indptr[1:] - 1, 0)]
    keep = customers.time >= np.repeat(last, sizes) - round(days * DAY)
    if keep.all():
        return customers
    kept = np.concatenate([[0], np.cumsum(keep)])
    own = {name: getattr(customers, name)[keep] for name in ("item", "kind", "time", "quantity", "rating", "basket")}
    return replace(customers, indptr=kept[customers.indptr], **own)


__all__ = ["latest"]
