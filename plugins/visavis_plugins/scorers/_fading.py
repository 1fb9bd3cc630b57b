"""Tastes that fade with the customer's baskets: what was bought lately says more of what comes next."""

from __future__ import annotations

from visavis import Customers, kernels
from visavis_plugins.scorers._tastes import LiveTastes, Tastes


class FadingTastes:
    """Reads the tastes of customers of requests, each value times decay ** (how many baskets ago its item last spoke).

    Baskets are those in which something was bought and kept; the latest is 0 ago, and a look at an item after it is
    0 ago, too. What was read last is kept, for a scorer is asked twice about the same customers, to rank and to
    explain. Safe in several threads.
    """

    def __init__(self) -> None:
        self._live = LiveTastes()
        self._last: tuple[Customers, float, Tastes] | None = None

    def of(self, customers: Customers, decay: float) -> Tastes:
        """One entry for each item that a customer has shown a liking for; 1 fades nothing."""
        tastes = self._live.of(customers, "presence")
        if decay == 1.0:
            return tastes
        last = self._last
        if last is not None and last[0] is customers and last[1] == decay:
            return last[2]
        bought = customers.is_kind("purchase")
        kept = bought & (customers.quantity > 0) & (customers.item >= 0)
        ages = kernels.youngest(
            customers.indptr,
            customers.item,
            kernels.basket_ages(customers.indptr, customers.basket, kept),
            kept | ((customers.weights() > 0) & ~bought),
            tastes.indptr,
            tastes.item,
        )
        faded = Tastes(tastes.indptr, tastes.item, tastes.value * decay**ages, tastes.cause)
        self._last = (customers, decay, faded)
        return faded


__all__ = ["FadingTastes"]
