"""From what candidates have in common with an item to the best of them, in order.

Candidates that cannot be among the k best are left out by a similarity in float32; the rest are compared in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.kernels._jit import bit_count, largest, lowest_bit, reaching, serial
from visavis.kernels._matrix import COSINE, JACCARD, PRODUCT, Matrix, Scratch
from visavis.kernels.layout import BLOCK

_SLACK = np.float32(0.99999)
"""Similarities in float32 may be off by a few units in the seventh digit."""
_TINY = np.int32(np.float32(1e-20).view(np.int32))
"""Bits of what is so small that float32 is less precise than usual."""
_NEAR_TOP = np.int32(1 << 25)
"""In bits, a factor of 16: the k best are usually no further apart."""
_FEW = 128
"""So many are placed by comparing each with each, more are sorted."""
_LAST = np.int32(2**31 - 1)
_ONE = np.uint64(1)


@serial
def _write_best(
    matrix: Matrix,
    scratch: Scratch,
    n_tasks: int,
    positive_only: bool,
    ranks: NDArray[np.int32],
    targets: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Row `targets[task]` of the table for each of the first n_tasks items of the lot in `scratch`."""
    # Arrays are taken out of their tuples before loops: numba counts references at every access.
    squares, names, tasks, ends = matrix.squares, matrix.codes, scratch.tasks, scratch.ends
    found, sums = scratch.found, scratch.sums
    values, codes, rounded = scratch.similarities, scratch.codes, scratch.rounded
    start = 0
    for number in range(n_tasks):
        task, end = tasks[number], ends[number]
        row = targets[task]
        _answer(
            matrix, squares, names, ranks[task], end - start, positive_only, found[start:], sums[start:], values, codes,
            rounded, neighbours[row], similarities[row],
        )  # fmt: skip
        start = end


@serial
def _answer(
    matrix: Matrix,
    squares: NDArray[np.float64],
    names: NDArray[np.int32],
    item: int,
    n_found: int,
    positive_only: bool,
    found: NDArray[np.uint32],
    sums: NDArray[np.float64],
    values: NDArray[np.float64],
    codes: NDArray[np.int32],
    rounded: NDArray[np.float32],
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Turn the sums of the candidates into similarities and write the best, best first."""
    k = len(neighbours)
    if positive_only and n_found > 2 * k:
        if matrix.bounded and matrix.kind <= PRODUCT and matrix.shrinkage == 0.0:
            over_lengths = matrix.over_lengths
            for place in range(n_found):
                rounded[place] = np.float32(sums[place]) * over_lengths[found[place]]
        else:
            _exact(matrix, squares, item, found, sums, n_found, values)
            for place in range(n_found):
                rounded[place] = np.float32(values[place])
        n_found = _promising(rounded, k, n_found, found, sums)
    _exact(matrix, squares, item, found, sums, n_found, values)
    n_kept = 0
    for place in range(n_found):
        value = values[place]
        values[n_kept] = value
        codes[n_kept] = names[found[place]]
        n_kept += value > 0.0 or not positive_only
    if positive_only and n_kept > k:
        n_kept = _without_ties(values, codes, rounded.view(np.int32), n_kept, k)
    if n_kept <= _FEW:
        _place(values, codes, n_kept, neighbours, similarities)
        return
    _sort(values, codes, n_kept)
    for place in range(min(n_kept, k)):
        neighbours[place] = codes[place]
        similarities[place] = values[place]


@serial
def _promising(
    rounded: NDArray[np.float32], k: int, n_found: int, found: NDArray[np.uint32], sums: NDArray[np.float64]
) -> int:
    """Keep the candidates that may be among the k best, by similarities good to float32; answers how many."""
    bits = rounded.view(np.int32)
    n_chunks = (n_found + BLOCK - 1) // BLOCK
    bits[n_found : n_chunks * BLOCK] = -1
    reached = _reached(bits, n_chunks, k, 10)
    least = np.float32(np.int32(reached).view(np.float32) * _SLACK).view(np.int32) if reached > _TINY else np.int32(0)
    n_kept = 0
    for chunk in range(n_chunks):
        good = reaching(bits, np.uint64(chunk * BLOCK), least)
        while good:
            place = np.uint64(chunk * BLOCK) + lowest_bit(good)
            good &= good - _ONE
            found[n_kept], sums[n_kept] = found[place], sums[place]
            n_kept += 1
    return n_kept


@serial
def _without_ties(
    values: NDArray[np.float64], codes: NDArray[np.int32], keys: NDArray[np.int32], n_values: int, k: int
) -> int:
    """Drop what is worse than the k-th best, and of those that tie with it the larger codes; answers how many stay.

    Takes the worst away a few times; where that is not enough, values hardly tie and are sorted as they are.
    """
    for _ in range(8):
        least = values[0]
        for place in range(n_values):
            least = min(least, values[place])
        n_above = 0
        for place in range(n_values):
            n_above += values[place] > least
        last = _LAST
        if n_above < k:
            for place in range(n_values):
                keys[place] = _LAST - codes[place] if values[place] == least else -1
            n_chunks = (n_values + BLOCK - 1) // BLOCK
            keys[n_values : n_chunks * BLOCK] = -1
            last = _LAST - _reached(keys, n_chunks, k - n_above, 0)
        n_kept = 0
        for place in range(n_values):
            value, code = values[place], codes[place]
            values[n_kept], codes[n_kept] = value, code
            n_kept += value > least or (n_above < k and code <= last)
        n_values = n_kept
        if n_values <= k:
            break
    return n_values


@serial
def _place(
    values: NDArray[np.float64],
    codes: NDArray[np.int32],
    n_values: int,
    neighbours: NDArray[np.int32],
    similarities: NDArray[np.float64],
) -> None:
    """Write each value to the place that the number of better ones gives it."""
    k = len(neighbours)
    for one in range(n_values):
        value, code = values[one], codes[one]
        n_better = 0
        for other in range(n_values):
            n_better += (values[other] > value) | ((values[other] == value) & (codes[other] < code))
        if n_better < k:
            neighbours[n_better], similarities[n_better] = code, value


@serial
def _exact(
    matrix: Matrix,
    squares: NDArray[np.float64],
    item: int,
    found: NDArray[np.uint32],
    sums: NDArray[np.float64],
    n_found: int,
    values: NDArray[np.float64],
) -> None:
    """One root of the product keeps what is equal in truth equal in floating point: counts give exact halves and
    ones, and exact ties."""
    own = squares[item]
    if matrix.kind == COSINE and matrix.shrinkage == 0.0:
        for place in range(n_found):
            root = np.sqrt(own * squares[found[place]])
            # Not through 0 where a column is all zeros; and sums of float32 may be a little more than roots allow.
            values[place] = min(max(sums[place] / (root + (root == 0.0)), -1.0), 1.0)
    elif matrix.kind == COSINE:
        scales = matrix.scales
        shrunk = matrix.shrinkage / scales[item]
        for place in range(n_found):
            values[place] = sums[place] / (np.sqrt(own * squares[found[place]]) + shrunk / scales[found[place]])
    elif matrix.kind == PRODUCT:
        scales = matrix.scales
        scale = scales[item]
        for place in range(n_found):
            values[place] = sums[place] * scale * scales[found[place]]
    elif matrix.kind == JACCARD:
        for place in range(n_found):
            values[place] = sums[place] / (own + squares[found[place]] - sums[place])
    else:
        x_log_x = matrix.x_log_x
        for place in range(n_found):
            values[place] = _log_likelihood(sums[place], own, squares[found[place]], x_log_x)


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
def _reached(bits: NDArray[np.int32], n_chunks: int, k: int, coarse: int) -> np.int32:
    """A number that at least k of n_chunks x BLOCK numbers reach, less than 2**coarse below the k-th largest.

    0 where fewer than k are above. Found by halving: the same few passes whatever k is. As floats above 0 are in
    the order of their bits, it does for them, too.
    """
    top = np.int32(0)
    for chunk in range(n_chunks):
        top = max(top, largest(bits, np.uint64(chunk * BLOCK)))
    low, high = np.int64(0), np.int64(top) + 1
    middle = high - _NEAR_TOP
    while high - low > np.int64(1) << coarse:
        if middle <= low:
            middle = low + (high - low) // 2
        n_reached = np.uint64(0)
        for chunk in range(n_chunks):
            n_reached += bit_count(reaching(bits, np.uint64(chunk * BLOCK), middle))
        if n_reached >= np.uint64(k):
            low = middle
        else:
            high = middle
        middle = low
    return np.int32(low)


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


__all__ = ["_write_best"]
