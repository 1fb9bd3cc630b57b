"""The inner loops of item similarity: rows are added up, what may be among the best is found, and the best are sorted.

One item at a time, and every customer of it: the customer's row is added into a dense accumulator (Gustavson's row
product), in integers just wide enough where common customers are counted. Then one quick pass finds the largest sum
of each block of 64 ranks. Columns of a block are of nearly equal length, so that these sums say which similarity k
blocks reach at least, and which blocks can hold anything as good: only those are looked into. Items with few
common customers are spared the pass: their customers' rows are walked once more instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels._jit import fetch_add, prefetch, serial
from visavis.kernels._matrix import COSINE, JACCARD, LOG_LIKELIHOOD, PRODUCT, Matrix, Scratch
from visavis.kernels.layout import AHEAD, BLOCK, Ranks, Starts

_Sums = NDArray[Any]
"""Counts as uint8, uint16 or int32; sums as float32, or as int32 of the same bits."""

_RARE = 40
"""An item with fewer common customers than items / _RARE is walked twice instead of looked through."""
_SLACK = np.float32(0.99999)
"""Bounds are computed in float32 and may be off by a few units in the seventh digit."""
_FAR, _NEAR, _ONE = np.uint64(AHEAD), np.uint64(AHEAD // 2), np.uint64(1)


@serial
def _count_top_k(
    matrix: Matrix,
    scratch: Scratch,
    sums: _Sums,
    maxima: _Sums,
    ranks: NDArray[np.int32],
    targets: NDArray[np.int32],
    counter: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Compare items by common customers, for as long as `counter` deals out places in `ranks`.

    `sums`: zeros [n_blocks, BLOCK], wide enough for each of the items. Row `targets[n]` of the table is filled for
    the item `ranks[n]`.
    """
    # Arrays are taken out of their tuples before loops: numba counts references at every access.
    rows, starts, item_starts, work = matrix.rows, matrix.starts, matrix.item_starts, matrix.work
    found, found_sums = scratch.found, scratch.sums
    lower, least = scratch.lower, scratch.least
    whole = least.view(np.int32)
    flat = sums.reshape(-1)
    while True:
        task = fetch_add(counter, 1)
        if task >= len(ranks):
            break
        item = ranks[task]
        first, last = item_starts[item], item_starts[item + 1]
        if first == last:
            continue
        _count_rows(flat, rows, starts, first, last)
        flat[item] = 0
        if work[item] * _RARE < len(work):
            n_found = _walk_again(flat, rows, starts, first, last, found, found_sums)
        else:
            _block_maxima(sums, maxima)
            for block in range(len(maxima)):
                lower[block] = np.float32(maxima[block])
            _least_sums(matrix, item, neighbours.shape[1], lower, least)
            for block in range(len(maxima)):
                whole[block] = np.int32(np.ceil(least[block]))
            n_found = _look_through(sums, maxima, whole, found)
            for place in range(n_found):
                found_sums[place] = flat[found[place]]
            flat[:] = 0
        _answer(matrix, scratch, item, n_found, True, neighbours[targets[task]], similarities[targets[task]])


@serial
def _add_up_top_k(
    matrix: Matrix,
    scratch: Scratch,
    sums: NDArray[np.float32],
    positive_only: bool,
    ranks: NDArray[np.int32],
    targets: NDArray[np.int32],
    counter: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """`_count_top_k` where entries have values."""
    flat = sums.reshape(-1)
    # Floats above 0 are in the order of their bits, and all others below: as integers they are compared faster.
    bits = sums.view(np.int32)
    rows, values, starts, own = matrix.rows, matrix.values, matrix.starts, matrix.own
    item_starts, work = matrix.item_starts, matrix.work
    found, found_sums, seen = scratch.found, scratch.sums, scratch.seen
    lower, least = scratch.lower, scratch.least
    lower_bits, least_bits = lower.view(np.int32), least.view(np.int32)
    maxima = scratch.rounded[: len(lower)].view(np.int32)
    while True:
        task = fetch_add(counter, 1)
        if task >= len(ranks):
            break
        item = ranks[task]
        first, last = item_starts[item], item_starts[item + 1]
        if first == last:
            continue
        _add_up_rows(flat, rows, values, starts, own, first, last)
        if not positive_only:
            n_found = _walk_all(flat, rows, starts, item, first, last, seen, found, found_sums)
        elif work[item] * _RARE < len(work):
            flat[item] = 0
            n_found = _walk_again(flat, rows, starts, first, last, found, found_sums)
        else:
            flat[item] = 0
            _block_maxima(bits, maxima)
            lower_bits[:] = maxima
            _least_sums(matrix, item, neighbours.shape[1], lower, least)
            n_found = _look_through(bits, maxima, least_bits, found)
            for place in range(n_found):
                found_sums[place] = flat[found[place]]
            flat[:] = 0
        _answer(matrix, scratch, item, n_found, positive_only, neighbours[targets[task]], similarities[targets[task]])


@serial
def _count_rows(sums: _Sums, rows: Ranks, starts: Starts, first: int, last: int) -> None:
    # Unsigned indices: signed ones would be tested for counting from the end, at half the speed.
    for entry in range(np.uint64(first), np.uint64(last)):
        prefetch(rows, np.uint64(starts[entry + _FAR]))
        near = np.uint64(starts[entry + _NEAR])
        prefetch(rows, near + (np.uint64(rows[near]) >> _ONE))
        start = np.uint64(starts[entry])
        for place in range(start + _ONE, start + np.uint64(rows[start]) + _ONE + _ONE):
            sums[rows[place]] += np.uint8(1)


@serial
def _add_up_rows(
    sums: NDArray[np.float32],
    rows: Ranks,
    values: NDArray[np.float32],
    starts: Starts,
    own: NDArray[np.float32],
    first: int,
    last: int,
) -> None:
    for entry in range(np.uint64(first), np.uint64(last)):
        far = np.uint64(starts[entry + _FAR])
        prefetch(rows, far)
        prefetch(values, far)
        near = np.uint64(starts[entry + _NEAR])
        length = np.uint64(rows[near])
        prefetch(rows, near + (length >> _ONE))
        prefetch(values, near + (length >> _ONE))
        prefetch(values, near + length)
        start = np.uint64(starts[entry])
        value = own[entry]
        for place in range(start + _ONE, start + np.uint64(rows[start]) + _ONE + _ONE):
            sums[rows[place]] += value * values[place]


@serial
def _walk_again(
    sums: _Sums,
    rows: Ranks,
    starts: Starts,
    first: int,
    last: int,
    found: NDArray[np.uint32],
    found_sums: NDArray[np.float64],
) -> int:
    """Move every sum above 0 out of the accumulator and clear it; answers how many there are."""
    n_found = 0
    for entry in range(np.uint64(first), np.uint64(last)):
        start = np.uint64(starts[entry])
        for place in range(start + _ONE, start + np.uint64(rows[start]) + _ONE + _ONE):
            rank = rows[place]
            found[n_found] = rank
            found_sums[n_found] = sums[rank]
            n_found += sums[rank] > 0
            sums[rank] = 0
    return n_found


@serial
def _walk_all(
    sums: NDArray[np.float32],
    rows: Ranks,
    starts: Starts,
    item: int,
    first: int,
    last: int,
    seen: NDArray[np.bool_],
    found: NDArray[np.uint32],
    found_sums: NDArray[np.float64],
) -> int:
    """Move every sum, of whatever sign, out of the accumulator and clear it; answers how many there are."""
    n_found = 0
    seen[item] = True
    for entry in range(first, last):
        start = np.int64(starts[entry])
        for place in range(start + 1, start + np.int64(rows[start]) + 2):
            rank = rows[place]
            if not seen[rank]:
                seen[rank] = True
                found[n_found] = rank
                found_sums[n_found] = sums[rank]
                n_found += 1
            sums[rank] = 0.0
    for place in range(n_found):
        seen[found[place]] = False
    seen[item] = False
    return n_found


@serial
def _block_maxima(sums: _Sums, maxima: _Sums) -> None:
    for block in range(sums.shape[0]):
        most = sums[block, 0]
        for place in range(sums.shape[1]):
            most = max(most, sums[block, place])
        maxima[block] = most


@serial
def _least_sums(matrix: Matrix, item: int, k: int, maxima: NDArray[np.float32], least: NDArray[np.float32]) -> None:
    """The least sum in each block that may lead to a similarity as good as the k-th best; overwrites `maxima`.

    The largest sum of a block belongs to some column of it: with the longest of them it gives a similarity that the
    block reaches for sure. k blocks that reach a similarity hold k items that do.
    """
    longest, shortest, shrunk_most, shrunk_least = matrix.spans[0], matrix.spans[1], matrix.spans[2], matrix.spans[3]
    n_blocks = len(maxima)
    reached = np.float32(0)
    if not matrix.bounded:
        least[:] = np.float32(0)
    elif matrix.kind <= PRODUCT:
        # A column of zeros finds nothing; 0 / 0 must not get in the way.
        squared = matrix.squares[item] if matrix.squares[item] > 0.0 else 1.0
        length = np.float32(np.sqrt(squared) if matrix.kind == COSINE else 1.0 / matrix.scales[item])
        scale = np.float32(1.0 / matrix.scales[item] if matrix.shrinkage > 0.0 else 0.0)
        for block in range(n_blocks):
            maxima[block] = maxima[block] / (length * longest[block] + scale * shrunk_most[block])
        reached = _reached(maxima, n_blocks, k, 17) * _SLACK
        for block in range(n_blocks):
            least[block] = reached * (length * shortest[block] + scale * shrunk_least[block])
    elif matrix.kind == JACCARD:
        own = np.float32(matrix.squares[item])
        for block in range(n_blocks):
            maxima[block] = maxima[block] / (own + longest[block] * longest[block] - maxima[block])
        reached = _reached(maxima, n_blocks, k, 17) * _SLACK
        for block in range(n_blocks):
            least[block] = reached * (own + shortest[block] * shortest[block]) / (np.float32(1) + reached)
    else:
        squares, x_log_x = matrix.squares, matrix.x_log_x
        for block in range(n_blocks):
            first, last = block * BLOCK, min(block * BLOCK + BLOCK, len(squares)) - 1
            most = np.float64(maxima[block])
            maxima[block] = _log_likelihood(most, squares[item], squares[first], x_log_x)
            least[block] = _log_likelihood(most, squares[item], squares[last], x_log_x)
        reached = _reached(maxima, n_blocks, k, 17) * _SLACK
        for block in range(n_blocks):
            least[block] = np.float32(0) if least[block] >= reached else np.float32(2e9)
    smallest = np.float32(1e-45)
    for block in range(n_blocks):
        least[block] = max(least[block], smallest)


@serial
def _reached(values: NDArray[np.float32], n_values: int, k: int, coarse: int) -> np.float32:
    """A number that at least k of the values reach, just below the k-th best; 0 where fewer than k are above 0.

    Found by halving the range of the bits, down to their last `coarse`: the same few passes whatever k is.
    """
    bits = values.view(np.int32)
    top = np.int32(0)
    for place in range(n_values):
        top = max(top, bits[place])
    low, high = np.int32(0), top + 1
    while high - low > (1 << coarse):
        middle = np.int32(low + (high - low) // 2)
        n_reached = 0
        for place in range(n_values):
            n_reached += bits[place] >= middle
        if n_reached >= k:
            low = middle
        else:
            high = middle
    return np.float32(np.full(1, low, np.int32).view(np.float32)[0])


@serial
def _look_through(sums: _Sums, maxima: _Sums, least: NDArray[np.int32], found: NDArray[np.uint32]) -> int:
    """The ranks whose sums are at least their block's least; answers how many."""
    n_found = 0
    for block in range(len(maxima)):
        if maxima[block] >= least[block]:
            for place in range(sums.shape[1]):
                found[n_found] = block * BLOCK + place
                n_found += sums[block, place] >= least[block]
    return n_found


@serial
def _answer(
    matrix: Matrix,
    scratch: Scratch,
    item: int,
    n_found: int,
    positive_only: bool,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Turn the sums of the candidates into similarities and write the best, best first."""
    k = len(neighbours)
    squares, names, x_log_x = matrix.squares, matrix.codes, matrix.x_log_x
    found, sums, values = scratch.found, scratch.sums, scratch.similarities
    codes, rounded = scratch.codes, scratch.rounded
    own = squares[item]
    if matrix.kind == JACCARD:
        for place in range(n_found):
            values[place] = sums[place] / (own + squares[found[place]] - sums[place])
    elif matrix.kind == LOG_LIKELIHOOD:
        for place in range(n_found):
            values[place] = _log_likelihood(sums[place], own, squares[found[place]], x_log_x)
    else:
        _scaled(matrix, item, found, sums, n_found, values)
    for place in range(n_found):
        rounded[place] = np.float32(values[place])
    # Nearly as precise as float32: what remains to be sorted is k and hardly more than what ties with the last of them.
    reached = _reached(rounded, n_found, k, 8) if positive_only else np.float32(-np.inf)
    n_kept = 0
    for place in range(n_found):
        value = values[place]
        values[n_kept] = value
        codes[n_kept] = names[found[place]]
        n_kept += rounded[place] >= reached and (value > 0.0 or not positive_only)
    _sort(values, codes, n_kept)
    for place in range(min(n_kept, k)):
        neighbours[place] = codes[place]
        similarities[place] = values[place]


@serial
def _scaled(
    matrix: Matrix, item: int, found: NDArray[np.uint32], sums: NDArray[np.float64], n_found: int, values: NDArray[Any]
) -> None:
    """Cosines and products. One root of the product keeps what is equal in truth equal in floating point: counts
    give exact halves and ones, and exact ties."""
    squares, scales, shrinkage = matrix.squares, matrix.scales, matrix.shrinkage
    own, scale = squares[item], scales[item]
    if matrix.kind == PRODUCT:
        for place in range(n_found):
            values[place] = sums[place] * scale * scales[found[place]]
    elif shrinkage > 0.0:
        for place in range(n_found):
            root = np.sqrt(own * squares[found[place]])
            values[place] = sums[place] / (root + shrinkage / scale / scales[found[place]])
    else:
        for place in range(n_found):
            root = np.sqrt(own * squares[found[place]])
            # Not through 0 where a column is all zeros; and sums of float32 may be a little more than roots allow.
            values[place] = min(max(sums[place] / (root + (root == 0.0)), -1.0), 1.0)


@serial
def _log_likelihood(both: float, own: float, others: float, x_log_x: NDArray[np.float64]) -> float:
    n_all = np.float64(len(x_log_x) - 1)
    if both * n_all <= own * others:
        return 0.0
    neither = n_all - own - others + both
    cells = x_log_x[np.int64(both)] + x_log_x[np.int64(neither)]
    cells += x_log_x[np.int64(own - both)] + x_log_x[np.int64(others - both)]
    margins = x_log_x[np.int64(own)] + x_log_x[np.int64(n_all - own)]
    margins += x_log_x[np.int64(others)] + x_log_x[np.int64(n_all - others)]
    return max(float(2.0 * (cells - margins + x_log_x[len(x_log_x) - 1])), 0.0)


@serial
def _sort(values: NDArray[np.float64], codes: NDArray[np.int32], n_values: int) -> None:
    """Best first, ties with the smaller code first (Shell's sort: little code, and fast for the few there are)."""
    gap = 1
    while gap < n_values // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for start in range(gap, n_values):
            value, code, place = values[start], codes[start], start
            while place >= gap and (
                values[place - gap] < value or (values[place - gap] == value and codes[place - gap] > code)
            ):
                values[place], codes[place] = values[place - gap], codes[place - gap]
                place -= gap
            values[place], codes[place] = value, code
        gap //= 3


__all__ = ["_add_up_top_k", "_count_top_k"]
