"""The weights of EASE: which items speak for which, learned by one regression of all items on one another.

Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019: with P = (XᵀX + λI)⁻¹ the weight of item i for
item j is B_ij = −P_ij / P_jj, and B_jj = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis_plugins.scorers._inverse import invert

_CELLS = 2_000_000
"""Weights looked at together: 16 MB of them."""


class Weights(NamedTuple):
    """CSR by the item that speaks: item i says `values[starts[i]:starts[i+1]]` for `targets`, ascending."""

    starts: NDArray[np.int64]
    targets: NDArray[np.int32]
    values: NDArray[np.float32]


def ease_weights(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_items: int,
    regularization: float,
    neighbours: int,
) -> Weights:
    """The weights between all columns of a CSR matrix; for each target the `neighbours` largest by absolute value
    (of equal ones those of smaller codes), 0: all.

    Where customers are fewer than items the same follows from a matrix of customers by customers (Woodbury):
    with Y = (XXᵀ + λI)⁻¹X, λP = I − XᵀY.
    """
    n_customers = len(indptr) - 1
    columns = _dual if n_customers < n_items else _primal
    return _kept(columns(indptr, indices, data, n_items, regularization), n_items, neighbours)


def _primal(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_items: int, ridge: float
) -> Callable[[slice], NDArray[np.float64]]:
    inverse = kernels.gram(indptr, indices, data, n_items)
    inverse[np.diag_indices(n_items)] += ridge
    invert(inverse)
    diagonal = inverse.diagonal().copy()
    # P is symmetric: the weights for a target stand in its row as well as in its column.
    return lambda some: inverse[some] / -diagonal[some, None]


def _dual(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_items: int, ridge: float
) -> Callable[[slice], NDArray[np.float64]]:
    n_customers = len(indptr) - 1
    inverse = kernels.gram(*kernels.transpose(indptr, indices, data, n_items), n_customers)
    inverse[np.diag_indices(n_customers)] += ridge
    invert(inverse)
    likes = np.zeros((n_customers, n_items))
    likes[np.repeat(np.arange(n_customers), np.diff(indptr)), indices] = data
    answers = inverse @ likes
    diagonal = 1.0 - np.einsum("ui,ui->i", likes, answers)
    return lambda some: (answers[:, some].T @ likes) / diagonal[some, None]


def _kept(columns: Callable[[slice], NDArray[np.float64]], n_items: int, neighbours: int) -> Weights:
    """The strongest weights of each target, turned round. `columns(some)` gives rows [targets, n_items]."""
    sources, targets, values = [], [], []
    step = max(1, _CELLS // max(n_items, 1))
    for first in range(0, n_items, step):
        some = slice(first, min(first + step, n_items))
        block = columns(some)
        own = np.arange(some.start, some.stop)
        block[own - first, own] = 0.0
        target, source = np.nonzero(_strongest(np.abs(block), neighbours))
        sources.append(source.astype(np.int32))
        targets.append((target + first).astype(np.int32))
        values.append(block[target, source])
    if not sources:
        return Weights(np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    starts, codes, kept = kernels.build_csr(
        np.concatenate(sources), np.concatenate(targets), np.concatenate(values), n_items, n_items
    )
    return Weights(starts, codes, kept.astype(np.float32))


def _strongest(sizes: NDArray[np.float64], n: int) -> NDArray[np.bool_]:
    """bool like `sizes`: the n largest above 0 of each row, of equal ones the first; 0: all above 0."""
    kept: NDArray[np.bool_] = sizes > 0
    if not 0 < n < sizes.shape[1]:
        return kept
    bar = np.partition(sizes, -n, axis=1)[:, -n, None]
    above = sizes > bar
    ties = kept & (sizes == bar)
    room = n - np.count_nonzero(above, axis=1, keepdims=True)
    chosen: NDArray[np.bool_] = above | (ties & (np.cumsum(ties, axis=1) <= room))
    return chosen


__all__ = ["Weights", "ease_weights"]
