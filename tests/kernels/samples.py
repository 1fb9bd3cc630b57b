"""Random matrices and neighbour tables for the kernel tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.kernels import reference

Array = NDArray[Any]

SHAPES = [(0, 0), (0, 4), (4, 0), (1, 1), (1, 7), (9, 1), (6, 5), (30, 12), (12, 40)]
"""Rows and columns: nothing at all, single ones, and more of either."""


def ratings(
    rng: np.random.Generator, n_rows: int, n_columns: int, *, density: float = 0.3, whole: bool = True
) -> tuple[Array, Array, Array]:
    """CSR parts with some empty rows and columns. Whole ratings 1 … 5 make many ties; others make none."""
    stored = rng.random((n_rows, n_columns)) < density
    stored[rng.random(n_rows) < 0.2] = False
    stored[:, rng.random(n_columns) < 0.2] = False
    values = rng.integers(1, 6, stored.shape).astype(float) if whole else rng.normal(size=stored.shape)
    return reference.sparse(values, stored)


def table(rng: np.random.Generator, n_items: int, k: int, *, whole: bool = True) -> tuple[Array, Array]:
    """A neighbour table with rows of any length up to k."""
    neighbours = np.full((n_items, k), -1, np.int32)
    similarities = np.zeros((n_items, k))
    for item in range(n_items):
        others = rng.permutation(np.delete(np.arange(n_items), item))[: rng.integers(0, k + 1)]
        neighbours[item, : len(others)] = others
        values = rng.integers(1, 4, len(others)) / 4 if whole else rng.random(len(others))
        similarities[item, : len(others)] = np.sort(values)[::-1]
    return neighbours, similarities


def lists(rng: np.random.Generator, n_rows: int, n_codes: int, *, longest: int = 6) -> tuple[Array, Array]:
    """Codes −1 … n_codes + 1 (so some that nobody knows) for each row: `(indptr, codes)`."""
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, longest + 1, n_rows))]).astype(np.int64)
    return indptr, rng.integers(-1, n_codes + 2, indptr[-1]).astype(np.int32)
