"""The matrix of customers and items that a scorer compares items by, kept so that it can follow what is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis_plugins.scorers._tastes import Tastes


@dataclass(frozen=True, slots=True)
class Matrix:
    """CSR: customer r has `indices[indptr[r]:indptr[r+1]]` (int32, ascending) with the values `data` (float64)."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float64]

    @classmethod
    def of(cls, tastes: Tastes) -> Matrix:
        """The tastes of all customers."""
        return cls(tastes.indptr, tastes.item, tastes.value)

    def replaced(self, rows: NDArray[np.int32], tastes: Tastes, n_rows: int) -> tuple[Matrix, Matrix, Matrix]:
        """With other tastes of some customers (`rows`, ascending), and room for at least `n_rows` of them.

        Answers the new matrix, and what those customers' rows were and are, one matrix row each.
        """
        n_rows = max(n_rows, len(self.indptr) - 1)
        old_sizes = np.zeros(n_rows, dtype=np.int64)
        old_sizes[: len(self.indptr) - 1] = np.diff(self.indptr)
        begins = np.zeros(n_rows, dtype=np.int64)
        begins[: len(self.indptr) - 1] = self.indptr[:-1]
        was = self._taken(begins[rows], old_sizes[rows])
        new = Matrix.of(tastes)
        sizes = old_sizes
        begins[rows] = len(self.indices) + new.indptr[:-1]
        sizes[rows] = np.diff(new.indptr)
        whole = Matrix(self.indptr, np.concatenate([self.indices, new.indices]), np.concatenate([self.data, new.data]))
        return whole._taken(begins, sizes), was, new

    def _taken(self, begins: NDArray[np.int64], sizes: NDArray[np.int64]) -> Matrix:
        indptr = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=indptr[1:])
        place: Any = np.repeat(begins - indptr[:-1], sizes) + np.arange(indptr[-1])
        return Matrix(indptr, self.indices[place], self.data[place])

    def beside(self, items: NDArray[np.int32], n_items: int) -> NDArray[np.bool_]:
        """bool [n_items]: which items share a customer with one of `items`, those themselves included."""
        chosen = np.zeros(n_items, dtype=np.bool_)
        chosen[items] = True
        so_far = np.concatenate([[0], np.cumsum(chosen[self.indices])])
        meets = so_far[self.indptr[1:]] > so_far[self.indptr[:-1]]
        found = np.zeros(n_items, dtype=np.bool_)
        found[self.indices[np.repeat(meets, np.diff(self.indptr))]] = True
        return found


def differing(was: Matrix, now: Matrix) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of two states of the same customers: the items whose columns differ, and all items of the customers who differ.

    Both int32, ascending.
    """
    before, after = _entries(was), _entries(now)
    row, item = np.concatenate([before[0], after[0]]), np.concatenate([before[1], after[1]])
    value = np.concatenate([before[2], after[2]])
    order = np.lexsort((value, item, row))
    row, item, value = row[order], item[order], value[order]
    # An entry that both states have stands twice.
    twice = np.flatnonzero((row[1:] == row[:-1]) & (item[1:] == item[:-1]) & (value[1:] == value[:-1]))
    alone = np.ones(len(row), dtype=np.bool_)
    alone[twice] = alone[twice + 1] = False
    changed = np.zeros(len(now.indptr) - 1, dtype=np.bool_)
    changed[row[alone]] = True
    return np.unique(item[alone]), np.unique(item[changed[row]])


def _entries(matrix: Matrix) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    rows = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
    return rows, matrix.indices, matrix.data


__all__ = ["Matrix", "differing"]
