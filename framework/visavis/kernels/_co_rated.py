"""Adjusted cosine over the customers who rated both items: plain, in float64, with sums of squares for each pair.

One item at a time is compared with all others through the customers they share: a dense accumulator, and a stamp that
says for which item a place was last used, so that nothing has to be cleared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import fetch_add, in_threads, serial
from visavis.kernels.sparse import transpose


def co_rated_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    centred: NDArray[np.float64],
    n_columns: int,
    positive_only: bool,
    n_threads: int,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Fill a table of neighbours from checked CSR parts whose values are centred."""
    with np.errstate(over="ignore"):
        squares = np.asarray(np.bincount(indices, weights=centred * centred, minlength=n_columns), np.float64)
    _check.finite_squares("data", squares)
    by_item = transpose(indptr, indices, centred, n_columns)
    # Items with most customers first: dealt out one by one, they keep threads equally busy.
    order = np.argsort(-np.diff(by_item[0]), kind="stable")
    counter = np.zeros(1, np.int64)

    def work(_thread: int) -> None:
        _co_rated_top_k(indptr, indices, centred, *by_item, order, counter, positive_only, neighbours, similarities)

    in_threads(work, n_threads)


@serial
def _co_rated_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    item_starts: NDArray[np.int64],
    item_customers: NDArray[np.int32],
    item_data: NDArray[np.float64],
    order: NDArray[np.int64],
    counter: NDArray[np.int64],
    positive_only: bool,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    n_items = len(order)
    # Products, and the sums of squares of both items over the customers that the pair shares.
    products = np.empty(n_items, np.float64)
    own_squares = np.empty(n_items, np.float64)
    other_squares = np.empty(n_items, np.float64)
    stamp = np.full(n_items, -1, np.int32)
    touched = np.empty(n_items, np.int32)
    while True:
        place = fetch_add(counter, 1)
        if place >= n_items:
            break
        item = order[place]
        n_touched = 0
        for entry in range(item_starts[item], item_starts[item + 1]):
            customer = item_customers[entry]
            own = item_data[entry]
            for other in range(indptr[customer], indptr[customer + 1]):
                column = indices[other]
                if stamp[column] != item:
                    stamp[column] = item
                    products[column] = 0.0
                    own_squares[column] = 0.0
                    other_squares[column] = 0.0
                    touched[n_touched] = column
                    n_touched += 1
                products[column] += own * data[other]
                own_squares[column] += own * own
                other_squares[column] += data[other] * data[other]
        codes = neighbours[item]
        values = similarities[item]
        n_kept = 0
        for index in range(n_touched):
            column = touched[index]
            if column == item:
                continue
            divisor = _root_of_product(own_squares[column], other_squares[column])
            value = products[column] / divisor if divisor > 0.0 else 0.0
            if value > 0.0 or not positive_only:
                n_kept = _keep(codes, values, n_kept, column, value)
        _best_first(codes, values, n_kept)


@serial
def _root_of_product(a: float, b: float) -> float:
    # One root of the product keeps what is equal in truth equal in floating point (counts give exact
    # halves and ones, and exact ties); two roots where the product would leave the range.
    if 1e-140 < a < 1e140 and 1e-140 < b < 1e140:
        return float(np.sqrt(a * b))
    return float(np.sqrt(a) * np.sqrt(b))


# The three functions below are also in scores.py, letter for letter (a test compares them): a compiled helper must
# live in its kernel's file. They keep the best len(codes) pairs as a heap with the worst one on top.


@serial
def _sift_down(codes: NDArray[np.int32], values: NDArray[np.float64], top: int, end: int) -> None:
    code, value = codes[top], values[top]
    while 2 * top + 1 < end:
        child = 2 * top + 1
        right = child + 1
        if right < end and (
            values[right] < values[child] or (values[right] == values[child] and codes[right] > codes[child])
        ):
            child = right
        if value < values[child] or (value == values[child] and code > codes[child]):
            break
        codes[top], values[top] = codes[child], values[child]
        top = child
    codes[top], values[top] = code, value


@serial
def _keep(codes: NDArray[np.int32], values: NDArray[np.float64], n_kept: int, code: int, value: float) -> int:
    if n_kept < len(codes):
        codes[n_kept], values[n_kept] = code, value
        n_kept += 1
        if n_kept == len(codes):
            for top in range(n_kept // 2 - 1, -1, -1):
                _sift_down(codes, values, top, n_kept)
    elif n_kept > 0 and (value > values[0] or (value == values[0] and code < codes[0])):
        codes[0], values[0] = code, value
        _sift_down(codes, values, 0, n_kept)
    return n_kept


@serial
def _best_first(codes: NDArray[np.int32], values: NDArray[np.float64], n_kept: int) -> None:
    if n_kept < len(codes):
        for top in range(n_kept // 2 - 1, -1, -1):
            _sift_down(codes, values, top, n_kept)
    for end in range(n_kept - 1, 0, -1):
        codes[0], codes[end] = codes[end], codes[0]
        values[0], values[end] = values[end], values[0]
        _sift_down(codes, values, 0, end)


__all__ = ["co_rated_top_k"]
