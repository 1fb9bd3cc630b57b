"""Which items are alike: for every item its k most similar ones, by each of the usual similarities.

All answer `(neighbours int32 [n_columns, k], similarities float64 [n_columns, k])`: best first, ties with the
smaller code first, the item itself left out, padded with −1 and 0.0. Only items that share a customer are neighbours.
All are symmetric bit for bit, and none depends on the number of threads. Each lays the matrix out (`item_layout`) and
compares every item with all others (`similar_items`); only the co-rated reading of adjusted cosine goes its own way.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._co_rated import co_rated_top_k
from visavis.kernels._jit import thread_count
from visavis.kernels._weights import bm25_weights, centred, tf_idf_weights
from visavis.kernels.comparing import similar_items
from visavis.kernels.layout import item_layout

_Table = tuple[NDArray[np.int32], NDArray[np.float64]]


def cosine_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64] | None,
    n_columns: int,
    k: int,
    *,
    shrinkage: float = 0.0,
    positive_only: bool = True,
) -> _Table:
    """The k items most similar to each item, by cosine with shrinkage.

        s(i, j) = x_i · x_j / (|x_i| |x_j| + shrinkage)        0 / 0 = 0

    The matrix holds customers as rows and items as columns; x_i is column i. `data` must be finite; None: every
    entry is 1. With `positive_only` only items with s > 0 are neighbours. Precision: see `item_layout`.
    """
    layout = item_layout(indptr, indices, data, n_columns, shrinkage=shrinkage)
    return similar_items(layout, k, positive_only=positive_only)


def adjusted_cosine_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    k: int,
    *,
    reading: Literal["all_customers", "co_rated"] = "all_customers",
    positive_only: bool = True,
) -> _Table:
    """The k items most similar to each item, by adjusted cosine of ratings.

        s(i, j) = Σ_u (r_ui − r̄_u)(r_uj − r̄_u) / (√Σ_u (r_ui − r̄_u)² · √Σ_u (r_uj − r̄_u)²)        0 / 0 = 0

    r̄_u is customer u's mean over the items that u rated. Source: Sarwar, Karypis, Konstan and Riedl, "Item-based
    collaborative filtering recommendation algorithms", WWW 2001, section 3.1.3. The sums have two readings:

    - `all_customers`: over all customers, an item not rated counting as the customer's mean (0 after centring).
      This is the cosine of the centred matrix; a pair with few customers in common is held down.
    - `co_rated`: over the customers who rated both. A pair with a single customer in common has s = ±1 (or 0).
      Computed in float64, several times slower.

    A rating equal to the customer's mean up to rounding is 0 after centring; so a customer whose ratings are
    all alike says nothing. With `positive_only` only items with s > 0 are neighbours.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.finite("data", values)
    if reading not in ("all_customers", "co_rated"):
        _check.refuse("reading", f"must be 'all_customers' or 'co_rated', not {reading!r}")
    if reading == "all_customers":
        layout = item_layout(starts, columns, values, width, kind="adjusted_cosine")
        return similar_items(layout, k, positive_only=positive_only)
    shape = (width, _check.count("k", k, least=1))
    table = np.full(shape, -1, np.int32), np.zeros(shape, np.float64)
    co_rated_top_k(starts, columns, centred(starts, values), width, bool(positive_only), thread_count(), *table)
    return table


def jaccard_top_k(indptr: NDArray[np.int64], indices: NDArray[np.int32], n_columns: int, k: int) -> _Table:
    """The k items most similar to each item, by the share of their customers that they have in common.

        s(i, j) = n_ij / (n_i + n_j − n_ij)

    n_i customers have item i, n_ij have both. Exact.
    """
    return similar_items(item_layout(indptr, indices, None, n_columns, kind="jaccard"), k)


def log_likelihood_top_k(indptr: NDArray[np.int64], indices: NDArray[np.int32], n_columns: int, k: int) -> _Table:
    """The k items most surely met together by more than chance, by Dunning's log-likelihood ratio.

        s(i, j) = 2 Σ n ln(n · N / (row sum · column sum)) over the four cells of customers with both, either, neither

    N is the number of rows: rows without an entry count as customers, too. Only items that meet more often than by
    chance (n_ij · N > n_i · n_j) are neighbours. Off by some 1e-15 N ln N. Source: Dunning, "Accurate methods for the
    statistics of surprise and coincidence", Computational Linguistics 19 (1993).
    """
    return similar_items(item_layout(indptr, indices, None, n_columns, kind="log_likelihood"), k)


def tf_idf_top_k(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_columns: int, k: int
) -> _Table:
    """The k items most similar to each item, by the cosine of columns weighted by TF-IDF.

        w_ui = √x_ui · idf_u        idf_u = ln n_items − ln(1 + n_u)

    n_u items are customer u's: who takes everything says little. `data` must be 0 or more.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.not_negative("data", values)
    return similar_items(item_layout(starts, columns, tf_idf_weights(starts, values, width), width), k)


def bm25_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    k: int,
    *,
    k1: float = 1.2,
    b: float = 0.75,
) -> _Table:
    """The k items most similar to each item, by the product of columns weighted by BM25.

        w_ui = x_ui (k1 + 1) / (x_ui + k1 (1 − b + b · L_i / L̄)) · idf_u        L_i = Σ_u x_ui

    idf_u is that of `tf_idf_top_k`, L̄ the mean of L_i over all items. `data` must be 0 or more, b at most 1.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.not_negative("data", values)
    saturation, share = _check.number("k1", k1), _check.number("b", b)
    if share > 1.0:
        _check.refuse("b", f"must be from 0 to 1, not {b!r}")
    weights = bm25_weights(starts, columns, values, width, saturation, share)
    return similar_items(item_layout(starts, columns, weights, width, kind="product"), k)


__all__ = [
    "adjusted_cosine_top_k",
    "bm25_top_k",
    "cosine_top_k",
    "jaccard_top_k",
    "log_likelihood_top_k",
    "tf_idf_top_k",
]
