"""Which items are alike: for every item its k most similar ones, by cosine and by adjusted cosine.

One item at a time is compared with all others through the customers they share (Gustavson's row product): a dense
accumulator, and a stamp that says for which item a place was last used, so that nothing has to be cleared.
Sums run over customers in ascending order whichever item of a pair comes first, so s(i, j) and s(j, i) are equal
bit for bit, and no result depends on the number of threads.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import parallel, prange, serial, thread_count
from visavis.kernels.sparse import transpose

_Table = tuple[NDArray[np.int32], NDArray[np.float64]]


def cosine_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    k: int,
    *,
    shrinkage: float = 0.0,
    positive_only: bool = True,
) -> _Table:
    """The k items most similar to each item, by cosine with shrinkage.

        s(i, j) = x_i · x_j / (|x_i| |x_j| + shrinkage)        0 / 0 = 0

    The matrix holds customers as rows and items as columns; x_i is column i. `data` must be finite.
    Answers `(neighbours int32 [n_columns, k], similarities float64 [n_columns, k])`: best first, ties with the smaller
    code first, the item itself left out, padded with −1 and 0.0. Only items that share a customer are neighbours;
    with `positive_only` only those with s > 0.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.finite("data", values)
    neighbours, similarities = _empty_table(width, k)
    shrunk_by = _check.number("shrinkage", shrinkage)
    return _all_customers(starts, columns, values, width, shrunk_by, bool(positive_only), neighbours, similarities)


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

    A rating equal to the customer's mean up to rounding is 0 after centring; so a customer whose ratings are
    all alike says nothing. Matrix and answer are those of `cosine_top_k`.
    """
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.finite("data", values)
    neighbours, similarities = _empty_table(width, k)
    if reading not in ("all_customers", "co_rated"):
        _check.refuse("reading", f"must be 'all_customers' or 'co_rated', not {reading!r}")
    centred = _centred(starts, values)
    if reading == "all_customers":
        return _all_customers(starts, columns, centred, width, 0.0, bool(positive_only), neighbours, similarities)
    _squares(columns, centred, width)
    by_item = transpose(starts, columns, centred, width)
    _co_rated_top_k(
        starts, columns, centred, *by_item, _work_order(by_item[0]), thread_count(), bool(positive_only),
        neighbours, similarities,
    )  # fmt: skip
    return neighbours, similarities


def _empty_table(n_columns: int, k: int) -> _Table:
    shape = (n_columns, _check.count("k", k, least=1))
    return np.full(shape, -1, np.int32), np.zeros(shape, np.float64)


def _work_order(item_starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Items with most customers first: dealt out in turn, they keep threads equally busy."""
    return np.argsort(-np.diff(item_starts), kind="stable")


def _squares(indices: NDArray[np.int32], data: NDArray[np.float64], n_columns: int) -> NDArray[np.float64]:
    """|x_i|² of each column; no sum over fewer customers can overflow where this one does not."""
    with np.errstate(over="ignore"):
        squares = np.asarray(np.bincount(indices, weights=data * data, minlength=n_columns), np.float64)
    bad = ~np.isfinite(squares)
    if bad.any():
        _check.refuse("data", f"is too large: the sum of squares of column {int(np.argmax(bad))} overflows")
    return squares


def _all_customers(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    n_columns: int,
    shrinkage: float,
    positive_only: bool,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> _Table:
    squares = _squares(indices, data, n_columns)
    by_item = transpose(indptr, indices, data, n_columns)
    _cosine_top_k(
        indptr, indices, data, *by_item, squares, _work_order(by_item[0]), thread_count(), shrinkage, positive_only,
        neighbours, similarities,
    )  # fmt: skip
    return neighbours, similarities


@serial
def _centred(indptr: NDArray[np.int64], data: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = np.empty(len(data), np.float64)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        total = 0.0
        largest = 0.0
        for entry in range(start, stop):
            total += data[entry]
            largest = max(largest, abs(data[entry]))
        mean = total / (stop - start)
        # The mean of 0.1, 0.2, 0.3 is not quite 0.2: without this bound on the error of a plain sum, an item
        # rated 0.2 would have a direction made of rounding alone, and similarities of ±1.
        rounding = largest * 2.220446049250313e-16 * (stop - start)
        for entry in range(start, stop):
            difference = data[entry] - mean
            centred[entry] = difference if abs(difference) > rounding else 0.0
    return centred


@parallel
def _cosine_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    item_starts: NDArray[np.int64],
    item_customers: NDArray[np.int32],
    item_data: NDArray[np.float64],
    squares: NDArray[np.float64],
    order: NDArray[np.int64],
    n_threads: int,
    shrinkage: float,
    positive_only: bool,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    n_items = len(squares)
    for thread in prange(n_threads):
        products = np.empty(n_items, np.float64)
        stamp = np.full(n_items, -1, np.int32)
        touched = np.empty(n_items, np.int32)
        for place in range(thread, n_items, n_threads):
            item = order[place]
            n_touched = 0
            for entry in range(item_starts[item], item_starts[item + 1]):
                customer = item_customers[entry]
                own = item_data[entry]
                for other in range(indptr[customer], indptr[customer + 1]):
                    column = indices[other]
                    if stamp[column] == item:
                        products[column] += own * data[other]
                    else:
                        stamp[column] = item
                        products[column] = own * data[other]
                        touched[n_touched] = column
                        n_touched += 1
            codes = neighbours[item]
            values = similarities[item]
            n_kept = 0
            for index in range(n_touched):
                column = touched[index]
                if column == item:
                    continue
                divisor = _root_of_product(squares[item], squares[column]) + shrinkage
                value = products[column] / divisor if divisor > 0.0 else 0.0
                if value > 0.0 or not positive_only:
                    n_kept = _keep(codes, values, n_kept, column, value)
            _best_first(codes, values, n_kept)


@parallel
def _co_rated_top_k(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    item_starts: NDArray[np.int64],
    item_customers: NDArray[np.int32],
    item_data: NDArray[np.float64],
    order: NDArray[np.int64],
    n_threads: int,
    positive_only: bool,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    n_items = len(order)
    for thread in prange(n_threads):
        # Products, and the sums of squares of both items over the customers that the pair shares.
        products = np.empty(n_items, np.float64)
        own_squares = np.empty(n_items, np.float64)
        other_squares = np.empty(n_items, np.float64)
        stamp = np.full(n_items, -1, np.int32)
        touched = np.empty(n_items, np.int32)
        for place in range(thread, n_items, n_threads):
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


__all__ = ["adjusted_cosine_top_k", "cosine_top_k"]
