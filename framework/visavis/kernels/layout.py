"""The matrix of customers and items, laid out for comparing items: made once, read by `similar_items` and `rows_top_k`.

Items are renamed by rank, longest column first, so that what is used most lies together and the lengths of
neighbouring columns are nearly equal. Each customer's row is one run of memory, as finding a row takes longer than
fetching it: its length less one, the ranks, then the values if they differ (float32, on a multiple of 4 bytes).
A column lists where the rows of its customers begin. Customers keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from visavis.kernels import _check
from visavis.kernels._jit import LANES, in_threads, serial, thread_count

Kind = Literal["cosine", "adjusted_cosine", "product", "jaccard", "log_likelihood"]
_KINDS = get_args(Kind)
Ranks = NDArray[Any]
"""uint16 where every rank fits, otherwise uint32."""
Starts = NDArray[Any]
"""uint32 where every position fits, otherwise uint64."""

AHEAD = 24
"""Columns end with so many entries that point at the first row: kernels look ahead for the rows they need next."""

BLOCK = LANES
"""Ranks are summed up in blocks of this size."""

_STEP = 32
_ENTRIES_A_THREAD = 1 << 17


@dataclass(frozen=True, slots=True)
class ItemLayout:
    """What `item_layout` made; read-only, may be kept and read by many threads.

    `values` is the memory of `rows` read as float32. `nbytes`: for n entries, about 6 bytes each where every entry has
    one value and 14 otherwise (items past 65,536: 8 and 16), and 40 a column. `codes` int32 and `ranks` int32 turn
    ranks into item codes and back.
    `work` int64: entries in the rows of a column's customers, the cost of comparing it.
    """

    kind: Kind
    n_customers: int
    shrinkage: float
    codes: NDArray[np.int32]
    ranks: NDArray[np.int32]
    item_starts: NDArray[np.int64]
    starts: Starts
    own: NDArray[np.float32]
    rows: Ranks
    values: NDArray[np.float32]
    squares: NDArray[np.float64]
    scales: NDArray[np.float64]
    work: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def counted(self) -> bool:
        """Whether all entries have one value, so that common customers are counted."""
        return len(self.own) == 0

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, in bytes."""
        arrays = [getattr(self, part.name) for part in fields(self)]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) - self.values.nbytes


def item_layout(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64] | None,
    n_columns: int,
    *,
    kind: Kind = "cosine",
    shrinkage: float = 0.0,
    threads: int | None = None,
) -> ItemLayout:
    """Lay a CSR matrix of customers and items out for `similar_items` and `rows_top_k`.

    `kind`: how items are compared. x_i is column i, n_i its stored entries, n_ij those of customers with both:

    - `cosine`: x_i · x_j / (|x_i| |x_j| + shrinkage)
    - `adjusted_cosine`: the cosine of columns less the mean of each customer's own entries
    - `product`: x_i · x_j
    - `jaccard`: n_ij / (n_i + n_j − n_ij)
    - `log_likelihood`: Dunning's ratio G² of the four counts of customers with both, either and neither, 0 where the
      two meet no more often than by chance. All rows count as customers.

    `data` must be finite; None: every entry is 1. The last two kinds take no notice of it.
    Columns are held as float32 times a power of two each, so whole numbers whose sums stay below 2²⁴ are exact, and
    otherwise a similarity is off by some 1e-7 for each factor 2 or so in customers in common.
    Data that is all one value is only counted, which is exact. `threads`: None for one a core.
    """
    columns, width = _check.array("indices", indices, np.int32), _check.count("n_columns", n_columns)
    starts = _check.row_starts("indptr", indptr, len(columns))
    values = None if data is None else _check.array("data", data, np.float64, length=len(columns))
    if kind not in _KINDS:
        _check.refuse("kind", f"must be one of {', '.join(map(repr, _KINDS))}, not {kind!r}")
    shrunk_by = _check.number("shrinkage", shrinkage)
    if shrunk_by and kind != "cosine":
        _check.refuse("shrinkage", f"is for the kind 'cosine' only; leave it out with {kind!r}")
    n_threads = thread_count() if threads is None else _check.count("threads", threads, least=1)
    # Threads cost some time of their own.
    n_threads = min(n_threads, 1 + len(columns) // _ENTRIES_A_THREAD)
    borders = np.searchsorted(starts, np.linspace(0, len(columns), n_threads + 1)[1:-1])
    borders = np.concatenate([[0], borders, [len(starts) - 1]]).astype(np.int64)
    sound, alike = _looked_over(starts, columns, values, width, borders)
    if not sound:
        # This says what is wrong, and where.
        _check.pattern(starts, columns, width)
        _check.finite("data", values)
    adjusted, one = kind == "adjusted_cosine", 1.0
    if adjusted:
        kind, values = "cosine", np.ones(len(columns)) if values is None else values
    elif kind in ("jaccard", "log_likelihood"):
        values = None
    elif values is not None and alike:
        one, values = abs(float(values[0])) if len(values) else 1.0, None
    return _laid_out(starts, columns, values, width, kind, adjusted, one, shrunk_by, borders)


def _looked_over(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64] | None,
    n_columns: int,
    borders: NDArray[np.int64],
) -> tuple[bool, bool]:
    """Whether columns are in range and ascend within rows and values are finite; whether those are one and not 0."""
    n_threads = len(borders) - 1
    sound, alike = [False] * n_threads, [True] * n_threads

    def look(thread: int) -> None:
        first, last = borders[thread], borders[thread + 1]
        sound[thread] = _ascending(indptr, indices, n_columns, first, last)
        if data is not None:
            finite, alike[thread] = _finite_and_alike(data, indptr[first], indptr[last])
            sound[thread] = sound[thread] and bool(finite)

    in_threads(look, n_threads)
    return all(sound), all(alike)


def _laid_out(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64] | None,
    n_columns: int,
    kind: Kind,
    adjusted: bool,
    one: float,
    shrinkage: float,
    borders: NDArray[np.int64],
) -> ItemLayout:
    """`data`: None where all entries have the value `one`; `adjusted`: less the mean of their row."""
    n_rows, n_threads = len(indptr) - 1, len(borders) - 1
    counts = np.zeros((n_threads, n_columns), np.int64)
    squares = np.zeros((n_threads, 0 if data is None else n_columns), np.float64)
    largest = np.zeros_like(squares)

    def tally(thread: int) -> None:
        first, last = int(borders[thread]), int(borders[thread + 1])
        if data is None:
            _tally_counts(indices[indptr[first] : indptr[last]], counts[thread])
        else:
            part = (indptr, indices, data, adjusted, first, last)
            _tally_values(*part, counts[thread], squares[thread], largest[thread])

    in_threads(tally, n_threads)
    # The order of ranks only matters for speed, so that it may hang on rounding; no value does.
    length = counts.sum(axis=0) if data is None else squares.sum(axis=0)
    codes = np.argsort(-length, kind="stable").astype(np.int32)
    ranks = np.empty(n_columns, np.int32)
    ranks[codes] = np.arange(n_columns, dtype=np.int32)
    by_rank = counts[:, codes]
    item_starts = np.concatenate([[0], np.cumsum(by_rank.sum(axis=0))]).astype(np.int64)
    places = item_starts[:-1] + np.cumsum(by_rank, axis=0) - by_rank

    scales = np.full(n_columns, one) if data is None else _powers(largest.max(axis=0))
    width = np.uint16 if n_columns <= 2**16 else np.uint32
    end = len(indices) + n_rows if data is None else _head(len(indices), n_rows, width().itemsize)
    rows = np.empty(end + 2 + end % 2, width)
    rows[end:] = 0
    starts = np.empty(len(indices) + AHEAD, np.uint32 if len(rows) < 2**32 else np.uint64)
    starts[len(indices) :] = 0
    values = rows[: 0 if data is None else len(rows)].view(np.float32)
    own = np.empty(0 if data is None else len(indices), np.float32)
    work = np.zeros((n_threads, n_columns), np.int64)
    known = ranks.astype(rows.dtype)

    def fill(thread: int) -> None:
        part = (indptr, indices, int(borders[thread]), int(borders[thread + 1]), known)
        if data is None:
            _fill_counts(*part, places[thread], work[thread], rows, starts)
        else:
            _fill_values(*part, data, adjusted, 1.0 / scales, places[thread], work[thread], rows, starts, values, own)

    in_threads(fill, n_threads)
    lengths = np.diff(item_starts).astype(np.float64)
    if data is not None:
        shares = np.searchsorted(item_starts, np.linspace(0, len(indices), n_threads + 1)).astype(np.int64)
        shares[0], shares[-1] = 0, n_columns
        in_threads(lambda thread: _squares(item_starts, own, shares[thread], shares[thread + 1], lengths), n_threads)
    with np.errstate(over="ignore"):
        _check.finite_squares("data", lengths[ranks] * scales * scales)
    return ItemLayout(
        kind, n_rows, shrinkage, codes, ranks, item_starts, starts, own, rows, values,
        lengths, scales[codes], work.sum(axis=0),
    )  # fmt: skip


def _powers(largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """A power of two for each column that brings its largest value near 1, in steps of 2³².

    Values of ordinary size all get 1, so that lengths of neighbouring columns stay comparable; values of any size
    keep clear of the limits of float32 (a sum of squares of 2³¹ values too).
    """
    exponent = np.frexp(largest)[1]
    return np.asarray(np.ldexp(1.0, _STEP * np.rint(exponent / _STEP).astype(np.int64)))


@serial
def _ascending(indptr: NDArray[np.int64], indices: NDArray[np.int32], n_columns: int, first: int, last: int) -> bool:
    n_wrong = 0
    for row in range(first, last):
        before = np.int32(-1)
        for entry in range(indptr[row], indptr[row + 1]):
            n_wrong += int(before >= indices[entry])
            before = indices[entry]
        n_wrong += int(before >= n_columns)
    return n_wrong == 0


@serial
def _finite_and_alike(data: NDArray[np.float64], first: int, last: int) -> tuple[bool, bool]:
    n_finite, n_alike = 0, 0
    for value in data[first:last]:
        n_finite += np.isfinite(value)
        n_alike += value == data[0]
    return n_finite == last - first, n_alike == last - first and (first == last or data[0] != 0.0)


@serial
def _tally_counts(indices: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    for column in indices:
        counts[column] += 1


@serial
def _tally_values(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float64],
    adjusted: bool,
    first: int,
    last: int,
    counts: NDArray[np.int64],
    squares: NDArray[np.float64],
    largest: NDArray[np.float64],
) -> None:
    for row in range(first, last):
        mean, rounding = _mean(data, indptr[row], indptr[row + 1]) if adjusted else (0.0, -1.0)
        for entry in range(indptr[row], indptr[row + 1]):
            column = indices[entry]
            size = abs(data[entry] - mean)
            size = size if size > rounding else 0.0
            counts[column] += 1
            squares[column] += size * size
            largest[column] = max(largest[column], size)


@serial
def _fill_counts(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    first: int,
    last: int,
    ranks: Ranks,
    places: NDArray[np.int64],
    work: NDArray[np.int64],
    rows: Ranks,
    starts: Starts,
) -> None:
    for row in range(first, last):
        head = indptr[row] + row
        length = indptr[row + 1] - indptr[row]
        rows[head] = max(length - 1, 0)
        for entry in range(indptr[row], indptr[row + 1]):
            rank = ranks[indices[entry]]
            rows[head + 1 + entry - indptr[row]] = rank
            place = places[rank]
            places[rank] = place + 1
            work[rank] += length
            starts[place] = head


@serial
def _fill_values(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    first: int,
    last: int,
    ranks: Ranks,
    data: NDArray[np.float64],
    adjusted: bool,
    shrunk: NDArray[np.float64],
    places: NDArray[np.int64],
    work: NDArray[np.int64],
    rows: Ranks,
    starts: Starts,
    values: NDArray[np.float32],
    own: NDArray[np.float32],
) -> None:
    shift = 4 // rows.itemsize - 1
    for row in range(first, last):
        length = indptr[row + 1] - indptr[row]
        head = _head(indptr[row], row, rows.itemsize)
        first_value = (head + 1 + length + shift) >> shift
        rows[head] = max(length - 1, 0)
        mean, rounding = _mean(data, indptr[row], indptr[row + 1]) if adjusted else (0.0, -1.0)
        for entry in range(indptr[row], indptr[row + 1]):
            column = indices[entry]
            rank = ranks[column]
            difference = data[entry] - mean
            value = np.float32((difference if abs(difference) > rounding else 0.0) * shrunk[column])
            rows[head + 1 + entry - indptr[row]] = rank
            values[first_value + entry - indptr[row]] = value
            place = places[rank]
            places[rank] = place + 1
            work[rank] += length
            starts[place] = head
            own[place] = value


@serial
def _head(n_before: int, row: int, itemsize: int) -> int:
    """Where a row with values begins that has so many entries before it, counted in ranks of 2 or 4 bytes.

    Ranks of 2 bytes leave room to put the values on a multiple of 4 bytes.
    """
    return (3 * n_before + 2 * row + 1) // 2 * 2 if itemsize == 2 else 2 * n_before + row


@serial
def _squares(
    item_starts: NDArray[np.int64], own: NDArray[np.float32], first: int, last: int, squares: NDArray[np.float64]
) -> None:
    """|x_i|² of each column, of the values as they are held."""
    for rank in range(first, last):
        square = 0.0
        for entry in range(item_starts[rank], item_starts[rank + 1]):
            square += np.float64(own[entry]) * np.float64(own[entry])
        squares[rank] = square


@serial
def _mean(data: NDArray[np.float64], start: int, stop: int) -> tuple[float, float]:
    """The mean of a row, and how far it may be off."""
    total = 0.0
    largest = 0.0
    for entry in range(start, stop):
        total += data[entry]
        largest = max(largest, abs(data[entry]))
    # The mean of 0.1, 0.2, 0.3 is not quite 0.2: without this bound on the error of a plain sum, an item
    # rated 0.2 would have a direction made of rounding alone, and similarities of ±1.
    return total / max(stop - start, 1), largest * 2.220446049250313e-16 * (stop - start)


__all__ = ["ItemLayout", "item_layout"]
