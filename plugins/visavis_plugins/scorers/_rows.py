"""A learned table as kernels read it: checked once, not at each request."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis import kernels


class CheckedRows:
    """Keeps the last table that was asked for. Safe in several threads."""

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.int32], kernels.ItemRows] | None = None

    def of(self, codes: NDArray[np.int32], values: NDArray[Any]) -> kernels.ItemRows:
        """The table of these codes (−1: none) and values, [n_items, k] both; arrays that stay as they are."""
        last = self._last
        if last is None or last[0] is not codes:
            last = self._last = codes, kernels.item_rows(codes, values)
        return last[1]


__all__ = ["CheckedRows"]
