"""Twins of the kernels, of the same names: plain NumPy and Python, dense, loops allowed, no cleverness, no checks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def dense(indptr: Array, indices: Array, data: Array, n_columns: int) -> tuple[Array, Array]:
    """The matrix, 0 where nothing is stored, and bool: where something is."""
    values = np.zeros((len(indptr) - 1, n_columns))
    stored = np.zeros(values.shape, bool)
    for row in range(len(values)):
        for entry in range(indptr[row], indptr[row + 1]):
            values[row, indices[entry]] = data[entry]
            stored[row, indices[entry]] = True
    return values, stored


def sparse(values: Array, stored: Array) -> tuple[Array, Array, Array]:
    rows, columns = np.nonzero(stored)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(values)))]).astype(np.int64)
    return indptr, columns.astype(np.int32), values[rows, columns]


def build_csr(rows: Array, columns: Array, values: Array, n_rows: int, n_columns: int) -> tuple[Array, Array, Array]:
    total = np.zeros((n_rows, n_columns))
    stored = np.zeros(total.shape, bool)
    for row, column, value in zip(rows, columns, values, strict=True):
        if row >= 0 and column >= 0:
            total[row, column] += value
            stored[row, column] = True
    return sparse(total, stored)


def transpose(indptr: Array, indices: Array, data: Array, n_columns: int) -> tuple[Array, Array, Array]:
    values, stored = dense(indptr, indices, data, n_columns)
    return sparse(values.T, stored.T)


def cosine_top_k(
    indptr: Array,
    indices: Array,
    data: Array,
    n_columns: int,
    k: int,
    *,
    shrinkage: float = 0.0,
    positive_only: bool = True,
) -> tuple[Array, Array]:
    values, stored = dense(indptr, indices, data, n_columns)
    products = sum_of_outer(values, values)
    squares = np.diag(products)
    roots = np.sqrt(np.outer(squares, squares)) + shrinkage
    return _best_neighbours(divide(products, roots), stored, k, positive_only)


def adjusted_cosine_top_k(
    indptr: Array,
    indices: Array,
    data: Array,
    n_columns: int,
    k: int,
    *,
    reading: str = "all_customers",
    positive_only: bool = True,
) -> tuple[Array, Array]:
    ratings, stored = dense(indptr, indices, data, n_columns)
    centred = np.zeros(ratings.shape)
    for row in range(len(ratings)):
        own = ratings[row, stored[row]]
        if len(own):
            difference = own - sum_in_order(own) / len(own)
            rounding = len(own) * np.abs(own).max() * np.finfo(float).eps
            centred[row, stored[row]] = np.where(np.abs(difference) > rounding, difference, 0.0)
    products = sum_of_outer(centred, centred)
    if reading == "all_customers":
        roots = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    else:
        both = sum_of_outer(centred**2, stored)
        roots = np.sqrt(both * both.T)
    return _best_neighbours(divide(products, roots), stored, k, positive_only)


def top_n(
    indptr: Array,
    items: Array,
    weights: Array,
    neighbours: Array,
    similarities: Array,
    everywhere: Array,
    exclude_indptr: Array,
    exclude_items: Array,
    n: int,
) -> tuple[Array, Array]:
    n_customers, n_items = len(indptr) - 1, len(neighbours)
    everything = np.tile(np.arange(n_items), (n_customers, 1))
    all_scores = score_items(indptr, items, weights, neighbours, similarities, everything)
    codes = np.full((n_customers, n), -1, np.int32)
    scores = np.full((n_customers, n), np.nan)
    for row in range(n_customers):
        unwanted = set(exclude_items[exclude_indptr[row] : exclude_indptr[row + 1]])
        left = [
            j for j in range(n_items) if not everywhere[j] and j not in unwanted and not np.isnan(all_scores[row, j])
        ]
        best = sorted(left, key=lambda j: (-all_scores[row, j], j))[:n]
        codes[row, : len(best)] = best
        scores[row, : len(best)] = all_scores[row, best]
    return codes, scores


def score_items(
    indptr: Array, items: Array, weights: Array, neighbours: Array, similarities: Array, chosen: Array
) -> Array:
    scores = np.full(chosen.shape, np.nan)
    for row in range(len(chosen)):
        for place, item in enumerate(chosen[row]):
            parts = _parts(indptr, items, weights, neighbours, similarities, row, item)
            if parts:
                scores[row, place] = sum_in_order(np.array([amount for _, amount in parts]))
    return scores


def contributions(
    indptr: Array, items: Array, weights: Array, neighbours: Array, similarities: Array, customer: int, item: int
) -> tuple[Array, Array]:
    total: dict[int, float] = {}
    for cause, amount in _parts(indptr, items, weights, neighbours, similarities, customer, item):
        total[cause] = total.get(cause, 0.0) + amount
    if any(np.isnan(amount) for amount in total.values()):
        total = {}
    order = sorted(total, key=lambda cause: (-total[cause], cause))
    return np.array(order, np.int32), np.array([total[cause] for cause in order], np.float64)


def match_returns(group: Array, is_return: Array, quantity: Array, price: Array) -> tuple[Array, Array]:
    reversed_row = np.full(len(group), -1, np.int64)
    remaining = quantity.astype(float)
    for row in np.flatnonzero(is_return):
        earlier = [p for p in range(row - 1, -1, -1) if group[p] == group[row] and not is_return[p]]
        like = [p for p in earlier if price[p] == price[row]]
        for purchase in like + [p for p in earlier if p not in like]:
            taken = min(remaining[row], remaining[purchase])
            if taken > 0:
                remaining[row] -= taken
                remaining[purchase] -= taken
                if reversed_row[row] < 0:
                    reversed_row[row] = purchase
    return reversed_row, remaining


def id_set_new(capacity: int) -> set[int]:
    return set()


def id_set_add(table: set[int], used: int, hashes: Array) -> tuple[set[int], int, Array]:
    is_new = []
    for value in _keys(hashes):
        is_new.append(value not in table)
        table.add(value)
    return table, len(table), np.array(is_new, bool)


def id_set_contains(table: set[int], hashes: Array) -> Array:
    return np.array([value in table for value in _keys(hashes)], bool)


def sum_in_order(values: Array) -> float:
    """First to last, one rounding a step (np.sum adds in pairs, and sum compensates from Python 3.12 on)."""
    return float(np.cumsum(values)[-1])


def sum_of_outer(left: Array, right: Array) -> Array:
    """leftᵀ right, added up row by row: the order of summation that the kernels promise, so bits must agree."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for a, b in zip(left, right, strict=True):
        total += np.outer(a, b)
    return total


def divide(products: Array, roots: Array) -> Array:
    return np.divide(products, roots, out=np.zeros(products.shape), where=roots > 0)


def _keys(hashes: Array) -> list[int]:
    return [value or 0x9E3779B97F4A7C15 for value in hashes.tolist()]


def _best_neighbours(scores: Array, stored: Array, k: int, positive_only: bool) -> tuple[Array, Array]:
    n_items = len(scores)
    together = stored.T.astype(int) @ stored.astype(int) > 0
    neighbours = np.full((n_items, k), -1, np.int32)
    similarities = np.zeros((n_items, k))
    for i in range(n_items):
        others = [j for j in range(n_items) if j != i and together[i, j] and (scores[i, j] > 0 or not positive_only)]
        best = sorted(others, key=lambda j: (-scores[i, j], j))[:k]
        neighbours[i, : len(best)] = best
        similarities[i, : len(best)] = scores[i, best]
    return neighbours, similarities


def _parts(
    indptr: Array, items: Array, weights: Array, neighbours: Array, similarities: Array, row: int, item: int
) -> list[tuple[int, float]]:
    parts = []
    for entry in range(indptr[row], indptr[row + 1]):
        cause = items[entry]
        if 0 <= cause < len(neighbours) and 0 <= item < len(neighbours) and weights[entry] != 0:
            for place in np.flatnonzero(neighbours[cause] == item):
                parts.append((int(cause), float(weights[entry] * similarities[cause, place])))
    return parts


def place_rows(group: Array, free: Array) -> Array:
    """Changes `free`, as the kernel does."""
    places = []
    for one in group:
        places.append(free[one])
        free[one] += 1
    return np.array(places, np.int64)


def text_hashes(data: Array, begins: Array, ends: Array) -> Array:
    halves = [
        hashlib.md5(data[begin:end].tobytes(), usedforsecurity=False).digest()[8:]
        for begin, end in zip(begins, ends, strict=True)
    ]
    return np.array([int.from_bytes(half, "little") for half in halves], np.uint64)


__all__ = [
    "adjusted_cosine_top_k",
    "build_csr",
    "contributions",
    "cosine_top_k",
    "id_set_add",
    "id_set_contains",
    "id_set_new",
    "match_returns",
    "place_rows",
    "score_items",
    "text_hashes",
    "top_n",
    "transpose",
]
