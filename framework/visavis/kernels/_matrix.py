"""What the compiled inner loops of similarity read and write besides sums and answers: one tuple of arrays each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.kernels.layout import BLOCK, ItemLayout, Ranks, Starts

COSINE, PRODUCT, JACCARD, LOG_LIKELIHOOD = range(4)
KINDS = {"cosine": COSINE, "product": PRODUCT, "jaccard": JACCARD, "log_likelihood": LOG_LIKELIHOOD}

_LARGEST = 1e12
_LOT = 256
"""Items whose candidates are found before the best of each are written."""
_ROOM = 1 << 14
"""Candidates that a lot may hold, besides those of its last item."""


class Matrix(NamedTuple):
    """What the kernels read: the arrays of `ItemLayout`, and for each block the range of its columns' lengths.

    `spans` float32 [6, n_blocks]: the largest and the smallest length, the largest and smallest shrinkage after
    scaling, then one over the first two; `over_lengths` float32: one over each column's length. `bounded`: whether
    they fit float32. `x_log_x` float64: only for log-likelihood.
    """

    kind: int
    counted: bool
    shrinkage: float
    codes: NDArray[np.int32]
    item_starts: NDArray[np.int64]
    starts: Starts
    own: NDArray[np.float32]
    rows: Ranks
    values: NDArray[np.float32]
    squares: NDArray[np.float64]
    scales: NDArray[np.float64]
    work: NDArray[np.int64]
    bounded: bool
    spans: NDArray[np.float32]
    over_lengths: NDArray[np.float32]
    x_log_x: NDArray[np.float64]


class Scratch(NamedTuple):
    """Room for one thread.

    `tasks`, `ends`: a lot of items, and where the candidates of each end in `found` (ranks) and `sums`. By block:
    `most` and `least`, and in whole lots of BLOCK `reached` and `may`; by rank: `seen`; by candidate: others.
    """

    tasks: NDArray[np.int64]
    ends: NDArray[np.int64]
    found: NDArray[np.uint32]
    sums: NDArray[np.float64]
    most: NDArray[np.float32]
    least: NDArray[np.float32]
    reached: NDArray[np.float32]
    may: NDArray[np.float32]
    seen: NDArray[np.bool_]
    similarities: NDArray[np.float64]
    codes: NDArray[np.int32]
    rounded: NDArray[np.float32]


def matrix_of(layout: ItemLayout) -> Matrix:
    n_blocks = -(-len(layout) // BLOCK)
    borders = np.arange(n_blocks) * BLOCK
    lengths = np.sqrt(layout.squares) if layout.kind != "product" else 1.0 / layout.scales
    # A column of zeros has no similarity, whatever its length.
    lengths[lengths == 0.0] = 1.0
    shrunk = layout.shrinkage / layout.scales
    spans = np.array([f.reduceat(part, borders) for part in (lengths, shrunk) for f in (np.maximum, np.minimum)])
    # Past these limits float32 bounds might overflow; nothing is then left out before the exact values are known.
    bounded = bool(spans.max() < _LARGEST and spans[:2].min() > 1.0 / _LARGEST)
    if layout.shrinkage > 0.0:
        bounded &= bool(layout.scales.min() > 1.0 / _LARGEST)
    with np.errstate(over="ignore", under="ignore"):
        x = np.arange(layout.n_customers + 1 if layout.kind == "log_likelihood" else 0, dtype=np.float64)
        return Matrix(
            KINDS[layout.kind], layout.counted, layout.shrinkage, layout.codes, layout.item_starts, layout.starts,
            layout.own, layout.rows, layout.values, layout.squares, layout.scales, layout.work,
            bounded, np.concatenate([spans, 1.0 / spans[:2]]).astype(np.float32), (1.0 / lengths).astype(np.float32),
            x * np.log(np.maximum(x, 1.0)),
        )  # fmt: skip


def scratch_for(n_blocks: int) -> Scratch:
    # More than there are items: what is tried and not kept is written past the end, and kernels read whole blocks.
    room, lots = n_blocks * BLOCK + BLOCK, -(-n_blocks // BLOCK) * BLOCK
    return Scratch(
        np.empty(_LOT, np.int64), np.empty(_LOT, np.int64),
        np.empty(room + _ROOM, np.uint32), np.empty(room + _ROOM),
        np.empty(n_blocks, np.float32), np.empty(n_blocks, np.float32),
        np.zeros(lots, np.float32), np.zeros(lots, np.float32), np.zeros(room, np.bool_),
        np.empty(room), np.empty(room, np.int32), np.empty(room, np.float32),
    )  # fmt: skip


__all__ = ["COSINE", "JACCARD", "LOG_LIKELIHOOD", "PRODUCT", "Matrix", "Scratch", "matrix_of", "scratch_for"]
