"""The road of scorers that say what their scores are summed up from: ranked and explained in compiled code alone.

What is summed up here is what `SumScorer` itself sums up where it is asked like any other scorer. What the kernels
answer need not be checked again: what they are given is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.customize.reasons import Reasons, no_reasons, reasons_in
from visavis.customize.wording import wording_of
from visavis.history import Exclusions
from visavis.plugin import Sums


def best_of_sums(
    sums: Sums, exclude: Exclusions, group: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The n best items of each customer, [n_customers, n], −1 and NaN behind the last; one of each group, if `group`
    [n_items] is not empty."""
    return kernels.top_n(
        sums.indptr,
        sums.item,
        sums.value,
        sums.rows,
        exclude.everywhere,
        exclude.indptr,
        exclude.indices,
        n,
        group if len(group) else None,
    )


def reasons_of_sums(sums: Sums, others: str, items: NDArray[np.int32], most: int) -> Reasons:
    """At most `most` reasons for each of these items [n_customers, n]."""
    if not most:
        return no_reasons(items.size)
    wording = wording_of(sums.templates, others)
    return reasons_in(
        wording,
        *kernels.strongest_parts(sums.indptr, sums.item, sums.value, sums.template, sums.rows, items, wording.n, most),
    )


__all__ = ["best_of_sums", "reasons_of_sums"]
