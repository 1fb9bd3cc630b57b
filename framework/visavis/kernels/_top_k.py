"""The inner loops of item similarity: rows are added up, and what may be among the best is found.

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

from visavis.kernels._jit import bit_count, fetch_add, largest, lowest_bit, prefetch, reaching, serial
from visavis.kernels._matrix import JACCARD, LOG_LIKELIHOOD, PRODUCT, Matrix, Scratch
from visavis.kernels.layout import AHEAD, BLOCK, Ranks, Starts

_Sums = NDArray[Any]
"""Counts as uint8, uint16 or int32; sums as float32, or as int32 of the same bits."""

_RARE = 40
"""An item with fewer common customers than items / _RARE is walked twice instead of looked through."""
_SLACK = np.float32(0.99999)
"""Bounds are computed in float32 and may be off by a few units in the seventh digit."""
_TINY = np.int32(np.float32(1e-20).view(np.int32))
"""Bits of what is so small that float32 is less precise than usual."""
_NEAR_TOP = np.int32(1 << 25)
"""In bits, a factor of 16: the k best are usually no further apart."""
_FAR, _NEAR, _ONE, _LINE = np.uint64(AHEAD), np.uint64(AHEAD // 2), np.uint64(1), np.uint64(32)


@serial
def _count_candidates(
    matrix: Matrix,
    scratch: Scratch,
    sums: _Sums,
    maxima: _Sums,
    k: int,
    ranks: NDArray[np.int32],
    counter: NDArray[np.int64],
) -> int:
    """Who may be among the k best, by common customers, for items that `counter` deals out: places in `ranks`.

    Fills `tasks`, `ends`, `found` and `sums` of `scratch` with a lot of items, at most what is sure to fit, and
    answers how many they are; 0: all are dealt out. `sums`: zeros [n_blocks * BLOCK], wide enough for each item.
    """
    # Arrays are taken out of their tuples before loops: numba counts references at every access.
    rows, starts, item_starts, work = matrix.rows, matrix.starts, matrix.item_starts, matrix.work
    tasks, ends, found, found_sums = scratch.tasks, scratch.ends, scratch.found, scratch.sums
    most, reached, may, least = scratch.most, scratch.reached, scratch.may, scratch.least
    n_tasks, end = 0, 0
    while n_tasks < len(tasks) and end + len(sums) < len(found):
        task = fetch_add(counter, 1)
        if task >= len(ranks):
            break
        item = ranks[task]
        first, last = item_starts[item], item_starts[item + 1]
        if first == last:
            continue
        _count_rows(sums, rows, starts, first, last)
        sums[item] = 0
        if work[item] * _RARE < len(work):
            end = _walk_again(sums, rows, starts, first, last, found, found_sums, end)
        else:
            _block_maxima(sums, maxima)
            for block in range(len(maxima)):
                most[block] = maxima[block]
            wanted = _bounds(matrix, item, k, most, reached, may, least)
            end = _look_through(sums, True, may, wanted, least, found, found_sums, end)
            sums[:] = 0
        tasks[n_tasks], ends[n_tasks] = task, end
        n_tasks += 1
    return n_tasks


@serial
def _add_up_candidates(
    matrix: Matrix,
    scratch: Scratch,
    sums: NDArray[np.float32],
    positive_only: bool,
    k: int,
    ranks: NDArray[np.int32],
    counter: NDArray[np.int64],
) -> int:
    """`_count_candidates` where entries have values."""
    # Floats above 0 are in the order of their bits, and all others below: as integers they are compared faster.
    bits = sums.view(np.int32)
    rows, values, starts, own = matrix.rows, matrix.values, matrix.starts, matrix.own
    item_starts, work, seen = matrix.item_starts, matrix.work, scratch.seen
    tasks, ends, found, found_sums = scratch.tasks, scratch.ends, scratch.found, scratch.sums
    most, reached, may, least = scratch.most, scratch.reached, scratch.may, scratch.least
    maxima = most.view(np.int32)
    n_tasks, end = 0, 0
    while n_tasks < len(tasks) and end + len(sums) < len(found):
        task = fetch_add(counter, 1)
        if task >= len(ranks):
            break
        item = ranks[task]
        first, last = item_starts[item], item_starts[item + 1]
        if first == last:
            continue
        _add_up_rows(sums, rows, values, starts, own, first, last)
        if not positive_only:
            end = _walk_all(sums, rows, starts, item, first, last, seen, found, found_sums, end)
        elif work[item] * _RARE < len(work):
            sums[item] = 0
            end = _walk_again(sums, rows, starts, first, last, found, found_sums, end)
        else:
            sums[item] = 0
            _block_maxima(bits, maxima)
            wanted = _bounds(matrix, item, k, most, reached, may, least)
            start, end = end, _look_through(bits, False, may, wanted, least, found, found_sums, end)
            for place in range(start, end):
                found_sums[place] = sums[found[place]]
            sums[:] = 0
        tasks[n_tasks], ends[n_tasks] = task, end
        n_tasks += 1
    return n_tasks


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
    shift = np.uint64(4 // rows.itemsize - 1)
    for entry in range(np.uint64(first), np.uint64(last)):
        prefetch(rows, np.uint64(starts[entry + _FAR]))
        near = np.uint64(starts[entry + _NEAR])
        for line in range(near + _LINE, near + (np.uint64(rows[near]) << shift) + np.uint64(rows[near]), _LINE):
            prefetch(rows, line)
        start = np.uint64(starts[entry])
        length = np.uint64(rows[start]) + _ONE
        first_value = (start + _ONE + length + shift) >> shift
        value = own[entry]
        for place in range(length):
            sums[rows[start + _ONE + place]] += value * values[first_value + place]


@serial
def _walk_again(
    sums: _Sums,
    rows: Ranks,
    starts: Starts,
    first: int,
    last: int,
    found: NDArray[np.uint32],
    found_sums: NDArray[np.float64],
    n_found: int,
) -> int:
    """Move every sum above 0 out of the accumulator behind the first n_found candidates; answers where they end."""
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
    n_found: int,
) -> int:
    """`_walk_again` for sums of whatever sign."""
    begin = n_found
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
    for place in range(begin, n_found):
        seen[found[place]] = False
    seen[item] = False
    return n_found


@serial
def _block_maxima(sums: _Sums, maxima: _Sums) -> None:
    for block in range(len(maxima)):
        maxima[block] = largest(sums, np.uint64(block * BLOCK))


@serial
def _bounds(
    matrix: Matrix,
    item: int,
    k: int,
    most: NDArray[np.float32],
    reached: NDArray[np.float32],
    may: NDArray[np.float32],
    least: NDArray[np.float32],
) -> np.int32:
    """From the largest sum of each block: what similarity it may reach, and the least sum that may be good enough.

    The largest sum of a block belongs to some column of it: with the longest of them it gives a similarity that the
    block has reached for sure. k blocks that reach a similarity hold k items that do. Answers the bits of what k
    blocks reach: only those that may reach that need be looked into.
    Cosines without shrinkage and products are told as multiples of what all of them have in common, |x_i|.
    """
    longest, shortest, shrunk_most, shrunk_least = matrix.spans[0], matrix.spans[1], matrix.spans[2], matrix.spans[3]
    kind, n_blocks, smallest = matrix.kind, len(most), np.float32(1e-45)
    if not matrix.bounded:
        for block in range(n_blocks):
            may[block] = most[block] > 0
            least[block] = smallest
        return np.int32(1)
    squared = np.float32(matrix.squares[item])
    # A column of zeros finds nothing; 0 / 0 must not get in the way.
    length = np.float32(np.sqrt(squared)) if squared > 0 else np.float32(1)
    scale = np.float32(1.0 / matrix.scales[item])
    shrunk = matrix.shrinkage > 0.0
    if kind <= PRODUCT and not shrunk:
        over_longest, over_shortest = matrix.spans[4], matrix.spans[5]
        for block in range(n_blocks):
            reached[block] = most[block] * over_longest[block]
            may[block] = most[block] * over_shortest[block]
    elif kind <= PRODUCT:
        for block in range(n_blocks):
            reached[block] = most[block] / (length * longest[block] + scale * shrunk_most[block])
            may[block] = most[block] / (length * shortest[block] + scale * shrunk_least[block])
    elif kind == JACCARD:
        for block in range(n_blocks):
            reached[block] = most[block] / (squared + longest[block] * longest[block] - most[block])
            may[block] = most[block] / (squared + shortest[block] * shortest[block] - most[block])
    else:
        squares, x_log_x = matrix.squares, matrix.x_log_x
        for block in range(n_blocks):
            first, last = block * BLOCK, min(block * BLOCK + BLOCK, len(squares)) - 1
            reached[block] = _log_likelihood(np.float64(most[block]), squares[item], squares[first], x_log_x)
            may[block] = _log_likelihood(np.float64(most[block]), squares[item], squares[last], x_log_x)
    bits = _reached(reached.view(np.int32), len(reached) // BLOCK, k, 17)
    similarity = np.int32(bits).view(np.float32) * _SLACK if bits > _TINY else np.float32(0)
    lower = similarity * _SLACK
    if kind == LOG_LIKELIHOOD:
        least[:] = smallest
    elif kind == JACCARD:
        for block in range(n_blocks):
            least[block] = max(lower * (squared + shortest[block] * shortest[block]) / (1 + lower), smallest)
    elif shrunk:
        for block in range(n_blocks):
            least[block] = max(lower * (length * shortest[block] + scale * shrunk_least[block]), smallest)
    else:
        for block in range(n_blocks):
            least[block] = max(lower * shortest[block], smallest)
    return np.float32(max(similarity, smallest)).view(np.int32)


@serial
def _look_through(
    sums: _Sums,
    counted: bool,
    may: NDArray[np.float32],
    wanted: np.int32,
    least: NDArray[np.float32],
    found: NDArray[np.uint32],
    found_sums: NDArray[np.float64],
    n_found: int,
) -> int:
    """Write the sums that are at least their block's least, in blocks that may reach what is wanted, and their ranks,
    behind the first n_found candidates; answers where they end."""
    bits = may.view(np.int32)
    for chunk in range(len(may) // BLOCK):
        blocks = reaching(bits, np.uint64(chunk * BLOCK), wanted)
        while blocks:
            block = np.uint64(chunk * BLOCK) + lowest_bit(blocks)
            blocks &= blocks - _ONE
            lowest = np.int32(np.ceil(least[block])) if counted else np.float32(least[block]).view(np.int32)
            start = block * np.uint64(BLOCK)
            good = reaching(sums, start, lowest)
            while good:
                rank = start + lowest_bit(good)
                found[n_found], found_sums[n_found] = rank, sums[rank]
                n_found += 1
                good &= good - _ONE
    return n_found


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


__all__ = ["_add_up_candidates", "_count_candidates"]
