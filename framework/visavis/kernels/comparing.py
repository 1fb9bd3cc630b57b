"""For every item, or for some, the k most similar ones: the second step of all kinds of similarity.

Sums run over customers in ascending order whichever item of a pair comes first, so s(i, j) and s(j, i) are equal
bit for bit, and no result depends on the number of threads or on which other items are asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._best import _write_best
from visavis.kernels._jit import in_threads, thread_count
from visavis.kernels._matrix import matrix_of, scratch_for
from visavis.kernels._top_k import _add_up_candidates, _count_candidates
from visavis.kernels.layout import BLOCK, ItemLayout

_Table = tuple[NDArray[np.int32], NDArray[np.float64]]


def similar_items(layout: ItemLayout, k: int, *, positive_only: bool = True, threads: int | None = None) -> _Table:
    """The k items most similar to each item of the layout.

    Answers `(neighbours int32 [n_items, k], similarities float64 [n_items, k])`: best first, ties with the smaller
    code first, the item itself left out, padded with −1 and 0.0. Only items that share a customer are neighbours;
    with `positive_only` only those with s > 0. `threads`: None for one a core.
    """
    n_threads = thread_count() if threads is None else _check.count("threads", threads, least=1)
    ranks = np.arange(len(layout), dtype=np.int32)
    return _compared(layout, ranks, layout.codes, k, bool(positive_only), n_threads)


def rows_top_k(layout: ItemLayout, items: NDArray[np.int32], k: int, *, positive_only: bool = True) -> _Table:
    """`similar_items` for the items with these codes only, on this thread alone: row r answers for `items[r]`.

    Rows equal those of `similar_items` bit for bit.
    """
    chosen = _check.array("items", items, np.int32)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(layout)):
        _check.refuse("items", f"must lie in 0 … {len(layout) - 1}, but hold {chosen.min()} … {chosen.max()}")
    ranks = layout.ranks[chosen]
    order = np.argsort(ranks, kind="stable").astype(np.int32)
    return _compared(layout, ranks[order], order, k, bool(positive_only), 1)


def _compared(
    layout: ItemLayout,
    ranks: NDArray[np.int32],
    targets: NDArray[np.int32],
    k: int,
    positive_only: bool,
    n_threads: int,
) -> _Table:
    """Row `targets[n]` of the answer is that of the item with the rank `ranks[n]`; ranks ascend."""
    shape = (len(ranks), _check.count("k", k, least=1))
    table = np.full(shape, -1, np.int32), np.zeros(shape, np.float64)
    if len(ranks) == 0:
        return table
    matrix = matrix_of(layout)
    n_blocks = matrix.spans.shape[1]
    n_threads = max(1, min(n_threads, len(ranks)))
    parts = [(ranks, targets, np.dtype(np.float32))] if not layout.counted else _by_width(layout, ranks, targets)
    counters = [np.zeros(1, np.int64) for _ in parts]

    def work(_thread: int) -> None:
        scratch = scratch_for(n_blocks)
        try:
            for (chosen, places, width), counter in zip(parts, counters, strict=True):
                sums = np.zeros(n_blocks * BLOCK, width)
                maxima = np.empty(n_blocks, width)
                while True:
                    if layout.counted:
                        n_tasks = _count_candidates(matrix, scratch, sums, maxima, k, chosen, counter)
                    else:
                        n_tasks = _add_up_candidates(matrix, scratch, sums, positive_only, k, chosen, counter)
                    if n_tasks == 0:
                        break
                    _write_best(matrix, scratch, n_tasks, positive_only, chosen, places, *table)
        finally:
            # After an error here the other threads have nothing more to do.
            for counter in counters:
                counter[0] = len(ranks)

    in_threads(work, n_threads)
    return table


def _by_width(
    layout: ItemLayout, ranks: NDArray[np.int32], targets: NDArray[np.int32]
) -> list[tuple[NDArray[np.int32], NDArray[np.int32], np.dtype[Any]]]:
    """The ranks in three runs: those whose counts need 32 bits, those that need 16, and the many that need 8."""
    falling = -np.diff(layout.item_starts)[ranks]
    wide, narrow = np.searchsorted(falling, [-(2**16) + 1, -(2**8) + 1])
    runs = (slice(wide), slice(wide, narrow), slice(narrow, None))
    widths: list[np.dtype[Any]] = [np.dtype(np.int32), np.dtype(np.uint16), np.dtype(np.uint8)]
    return [(ranks[run], targets[run], width) for run, width in zip(runs, widths, strict=True) if len(ranks[run])]


__all__ = ["rows_top_k", "similar_items"]
