"""Factors of customers and items by alternating least squares on implicit feedback.

Of all factors x_u and y_i those are sought that make smallest (Hu, Koren and Volinsky, "Collaborative filtering for
implicit feedback datasets", ICDM 2008, in the form of Rendle, Krichene, Zhang and Koren, "Revisiting the performance
of iALS on item recommendation benchmarks", RecSys 2022)

    Σ over likes r_ui (1 − x_u·y_i)² + w Σ over all pairs (x_u·y_i)²
        + λ Σ over customers (r_u + w n) |x_u|² + λ Σ over items (r_i + w m) |y_i|²

r_ui being how much customer u likes item i, r_u and r_i the sums of that, and there being m customers and n items.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis import kernels

_CG_STEPS = 3
"""Steps of conjugate gradients each time: more bring the same in the end (Takács, Pilászy and Tikk, RecSys 2011)."""
_SEED = 7
_BLOCK = 16_384


def learn_factors(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_items: int,
    n_factors: int,
    unobserved: float,
    regularization: float,
    iterations: int,
) -> NDArray[np.float32]:
    """The items' factors, float32 [n_items, n_factors], from a CSR matrix of customers' likes (finite, above 0)."""
    n_customers = len(indptr) - 1
    by_item = kernels.transpose(indptr, indices, data, n_items)
    of_customer = _ridge(indptr, data, n_items, unobserved, regularization)
    of_item = _ridge(by_item[0], by_item[2], n_customers, unobserved, regularization)
    likes, likers = data.astype(np.float32), by_item[2].astype(np.float32)
    chance = np.random.default_rng(_SEED)
    items = chance.standard_normal((n_items, n_factors), dtype=np.float32) * np.float32(0.1 / n_factors**0.5)
    customers = np.zeros((n_customers, n_factors), dtype=np.float32)
    for _ in range(iterations):
        shared = shared_part(items, unobserved).astype(np.float32)
        kernels.improve_factors(indptr, indices, likes, items, shared, of_customer, customers, _CG_STEPS)
        shared = shared_part(customers, unobserved).astype(np.float32)
        kernels.improve_factors(by_item[0], by_item[1], likers, customers, shared, of_item, items, _CG_STEPS)
    return items


def shared_part(factors: NDArray[np.float32], unobserved: float) -> NDArray[np.float64]:
    """What all pairs contribute to the equations of the other side: w YᵀY, float64 [n_factors, n_factors]."""
    total = np.zeros((factors.shape[1], factors.shape[1]))
    for first in range(0, len(factors), _BLOCK):
        block = factors[first : first + _BLOCK].astype(np.float64)
        total += block.T @ block
    return unobserved * total


def _ridge(
    indptr: NDArray[np.int64], data: NDArray[np.float64], n_others: int, unobserved: float, regularization: float
) -> NDArray[np.float32]:
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    sums = np.bincount(owner, weights=data, minlength=len(indptr) - 1)
    return (regularization * (sums + unobserved * n_others)).astype(np.float32)


__all__ = ["learn_factors", "shared_part"]
