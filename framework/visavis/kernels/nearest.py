"""Customers like these: whose vectors lie nearest, and what those hold on average."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import serial
from visavis.kernels.sparse import _transpose

_FEW = 32
_Parts = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class KnownRows:
    """What `known_rows` made; read-only, may be kept and read by many threads. CSR by row and by column, and the sum
    of squares of each row."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float64]
    owner_indptr: NDArray[np.int64]
    owners: NDArray[np.int32]
    owner_data: NDArray[np.float64]
    squares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.squares)


def known_rows(
    indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float64], n_columns: int
) -> KnownRows:
    """Lay a CSR matrix of finite values out for `nearest_means`."""
    starts, columns, values, width = _check.csr(indptr, indices, data, n_columns)
    _check.finite("data", values)
    squares = np.zeros(len(starts) - 1)
    np.add.at(squares, np.repeat(np.arange(len(squares)), np.diff(starts)), values**2)
    made = KnownRows(starts, columns, values, *_transpose(starts, columns, values, width), squares)
    for field in fields(made):
        getattr(made, field.name).flags.writeable = False
    return made


def nearest_means(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    known: KnownRows,
    own: NDArray[np.int32],
    k: int,
) -> _Parts:
    """For each row, the mean of the k known rows that lie nearest to it: CSR `(indptr, indices, data)`.

    Rows are CSR, with the columns of the known ones and perhaps more, and finite `data`; the answer also has an entry,
    0, for each column that the row has and none of the k. Nearest is meant in Euclid's sense; of rows that are equally
    near the first. Row r is never compared with the known row `own[r]` (int32, −1: none). Where there are fewer than
    k, all are taken; the mean of none, and that for an empty row, is 0. A row takes time for each known row, and for
    each entry of those that shares a column with it.
    """
    starts, columns, values, _ = _check.csr(indptr, indices, data, _check.MAX_CODES)
    _check.finite("data", values)
    selves = _check.array("own", own, np.int32, length=len(starts) - 1)
    return _nearest_means(
        starts, columns, values, known.indptr, known.indices, known.data, known.owner_indptr, known.owners,
        known.owner_data, known.squares, selves, _check.count("k", k, least=1),
    )  # fmt: skip


@serial
def _nearest_means(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    known_indptr: NDArray[np.int64],
    known_indices: NDArray[np.int32],
    known_data: NDArray[np.float64],
    owner_indptr: NDArray[np.int64],
    owners: NDArray[np.int32],
    owner_data: NDArray[np.float64],
    squares: NDArray[np.float64],
    own: NDArray[np.int32],
    k: int,
) -> _Parts:
    n_rows, n_known, n_columns = len(indptr) - 1, len(known_indptr) - 1, len(owner_indptr) - 1
    starts = np.zeros(n_rows + 1, np.int64)
    columns, means = np.empty(1024, np.int32), np.empty(1024)
    distances, sums = np.empty(n_known), np.zeros(n_columns)
    met, touched = np.zeros(n_columns, np.bool_), np.empty(n_columns, np.int32)
    for row in range(n_rows):
        starts[row + 1] = starts[row]
        if indptr[row] == indptr[row + 1]:
            continue
        # The square of the distance, less that of this row, which is the same for all.
        distances[:] = squares
        for entry in range(indptr[row], indptr[row + 1]):
            column, value = indices[entry], 2.0 * data[entry]
            if column < n_columns:
                for place in range(owner_indptr[column], owner_indptr[column + 1]):
                    distances[owners[place]] -= value * owner_data[place]
        others = n_known
        if 0 <= own[row] < n_known:
            distances[own[row]] = np.inf
            others -= 1
        wanted = min(k, others)
        bar = np.partition(distances, wanted - 1)[wanted - 1] if wanted > 0 else -np.inf
        ties = wanted
        for known in range(n_known):
            ties -= distances[known] < bar
        n_touched, beyond = 0, 0
        for entry in range(indptr[row], indptr[row + 1]):
            if indices[entry] >= n_columns:
                beyond += 1
            else:
                met[indices[entry]] = True
                touched[n_touched] = indices[entry]
                n_touched += 1
        for known in range(n_known):
            if wanted == 0 or distances[known] > bar or (distances[known] == bar and ties == 0):
                continue
            ties -= distances[known] == bar
            for entry in range(known_indptr[known], known_indptr[known + 1]):
                column = known_indices[entry]
                if not met[column]:
                    met[column] = True
                    touched[n_touched] = column
                    n_touched += 1
                sums[column] += known_data[entry]
        end = starts[row] + n_touched + beyond
        if end > len(columns):
            columns = np.append(columns, np.empty(end, np.int32))
            means = np.append(means, np.empty(end))
        if n_touched * _FEW > n_columns:
            # Then walking over all columns is faster than sorting those.
            n_touched = 0
            for column in range(n_columns):
                if met[column]:
                    touched[n_touched] = column
                    n_touched += 1
        else:
            touched[:n_touched].sort()
        for place in range(n_touched):
            column = touched[place]
            columns[starts[row] + place], means[starts[row] + place] = column, sums[column] / max(wanted, 1)
            sums[column], met[column] = 0.0, False
        # What nobody known has comes last, for columns ascend.
        for place in range(beyond):
            columns[end - beyond + place], means[end - beyond + place] = indices[indptr[row + 1] - beyond + place], 0.0
        starts[row + 1] = end
    return starts, columns[: starts[-1]].copy(), means[: starts[-1]].copy()


__all__ = ["KnownRows", "known_rows", "nearest_means"]
