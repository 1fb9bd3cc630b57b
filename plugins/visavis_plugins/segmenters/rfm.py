"""`rfm`: how recently, how often and for how much a customer bought, each from 1 to 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Features, Segmenter, hookimpl

_FIFTHS = (0.2, 0.4, 0.6, 0.8)
_LABELS = (*(f"{r}{f}{m}" for r in range(1, 6) for f in range(1, 6) for m in range(1, 6)), "")
"""By recency, frequency and money, each from 0, as digits of a number to the base 5; the last for who never bought."""


class Rfm(Segmenter):
    """Recency, frequency and money in fifths: `555` is best, `111` worst.

    The cut points are the quintiles of the customers who bought, learned in `fit`. Equal values score equally, so
    fifths need not be of equal size. Customers who never bought have an empty label.
    """

    name: ClassVar[str] = "rfm"

    recency_cuts_: NDArray[np.float64]
    frequency_cuts_: NDArray[np.float64]
    monetary_cuts_: NDArray[np.float64]

    def fit(self, features: Features) -> Self:
        """Learn the three times four cut points; NaN if nobody bought."""
        self.recency_cuts_ = _cuts(features["recency_days"])
        self.frequency_cuts_ = _cuts(features["frequency"])
        self.monetary_cuts_ = _cuts(features["monetary"])
        return self

    def label(self, features: Features) -> Sequence[str]:
        """Three digits a customer: recency, frequency, money."""
        recency, frequency, monetary = (features[name] for name in ("recency_days", "frequency", "monetary"))
        bought = ~np.isnan(recency + frequency + monetary)
        if np.isnan(self.recency_cuts_).any():
            bought[:] = False
        r = 4 - np.searchsorted(self.recency_cuts_, recency)
        f = np.searchsorted(self.frequency_cuts_, frequency)
        m = np.searchsorted(self.monetary_cuts_, monetary)
        return [_LABELS[code] for code in np.where(bought, r * 25 + f * 5 + m, -1).tolist()]


def _cuts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[~np.isnan(values)]
    return np.quantile(known, _FIFTHS) if len(known) else np.full(len(_FIFTHS), np.nan)


@hookimpl
def visavis_segmenters() -> list[type[Segmenter]]:
    """The segmenter of this module."""
    return [Rfm]


__all__ = ["Rfm", "visavis_segmenters"]
