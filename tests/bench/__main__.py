"""`python -m tests.bench`: our speed beside our peers', measured in one run on one machine.

Medians of several repeats after one that compiles and warms up. `QUICK=1` takes smaller data and ends within a
minute. Peers that are not installed are left out by name.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

import numpy as np

import visavis
from visavis import kernels


class Size(NamedTuple):
    """How much is measured."""

    customers: int
    items: int
    interactions: int
    repeats: int
    batches: int
    questions: int


SMALL = Size(4_000, 1_500, 150_000, 3, 60, 300)
LARGE = Size(40_000, 10_000, 2_000_000, 5, 200, 2_000)
_NEIGHBOURS = 50
_BATCH_ROWS = 1_000
_WRITERS = 8


def main() -> None:
    size = SMALL if os.environ.get("QUICK") else LARGE
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("visavis", "numpy", "numba", "duckdb"))
    print(f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores, {memory:.1f} GiB")
    print(f"Python {platform.python_version()}, {versions}")
    print(
        f"{size.customers:,} customers, {size.items:,} items, {size.interactions:,} interactions, medians of "
        f"{size.repeats}"
    )
    measure_building(size)
    with tempfile.TemporaryDirectory(prefix="visavis-bench-") as folder:
        measure_engine(size, Path(folder))


def measure_building(size: Size) -> None:
    """The item-item model: the same matrix and the same K for everybody."""
    rows, columns = _purchases(size)
    values = np.ones(len(rows))
    indptr, indices, data = kernels.build_csr(rows, columns, values, size.customers, size.items)
    print(f"\nbuilding: cosine, the {_NEIGHBOURS} nearest items of each item ({len(data):,} entries)")
    ours = _median(lambda: kernels.cosine_top_k(indptr, indices, data, size.items, _NEIGHBOURS), size.repeats)
    print(f"  visavis         {ours * 1000:10.1f} ms")
    for name, module, peer in (
        ("implicit", "implicit", _implicit),
        ("sparse_dot_topn", "sparse_dot_topn", _sparse_dot_topn),
    ):
        if util.find_spec(module) is None or util.find_spec("scipy") is None:
            print(f"  {name:<15} not installed; `make bench` installs it")
            continue
        from scipy.sparse import csr_matrix

        matrix = csr_matrix((data, indices, indptr), (size.customers, size.items))
        theirs = _median(peer(matrix), size.repeats)
        print(f"  {name:<15} {theirs * 1000:10.1f} ms   {theirs / ours:6.2f} times ours")


def _implicit(matrix: object) -> Callable[[], object]:
    from implicit.nearest_neighbours import CosineRecommender

    # It transposes the matrix itself, and then warns about the form that this has.
    warnings.filterwarnings("ignore", module="implicit")

    return lambda: CosineRecommender(K=_NEIGHBOURS + 1).fit(matrix, show_progress=False)


def _sparse_dot_topn(matrix: object) -> Callable[[], object]:
    from scipy.sparse import csr_matrix, diags
    from sparse_dot_topn import sp_matmul_topn

    def build() -> object:
        items = csr_matrix(matrix).T.tocsr()
        lengths = np.sqrt(np.asarray(items.multiply(items).sum(axis=1)).ravel())
        unit = csr_matrix(diags(1.0 / np.maximum(lengths, 1e-300)) @ items)
        threads = os.cpu_count() or 1
        return sp_matmul_topn(unit, unit.T.tocsr(), top_n=_NEIGHBOURS + 1, sort=True, n_threads=threads)

    return build


def measure_engine(size: Size, folder: Path) -> None:
    """The whole engine: durable recording, fit, answers."""
    chance = np.random.default_rng(2)
    rows, columns = _purchases(size)
    with visavis.open(folder / "bench.duckdb") as shop:
        print(f"\nrecording: {size.batches} batches of {_BATCH_ROWS:,}, each durable before it is acknowledged")
        batches = [
            [
                visavis.Interaction("purchase", f"c{rows[place]}", f"i{columns[place]}")
                for place in chance.integers(len(rows), size=_BATCH_ROWS)
            ]
            for _ in range(size.batches)
        ]
        shop.identify.record(batches[0])  # compiles
        for writers in (1, _WRITERS):
            with ThreadPoolExecutor(writers) as pool:
                started = time.perf_counter()
                took = list(pool.map(lambda batch: _timed(lambda: shop.identify.record(batch)), batches))
                whole = time.perf_counter() - started
            print(
                f"  {writers} at a time: {size.batches * _BATCH_ROWS / whole:10,.0f} interactions a second, "
                f"a batch takes {statistics.median(took) * 1000:.1f} ms"
            )
        report = shop.admin.fit()
        print(f"\nfit: {report.interactions:,} interactions in {report.seconds:.2f} s (first time, with compiling)")
        report = shop.admin.fit()
        print(f"     {report.interactions:,} interactions in {report.seconds:.2f} s (second time)")
        ids = [f"c{rows[place]}" for place in chance.integers(len(rows), size=size.questions)]
        shop.recommend(ids[0])
        print(f"\nanswers: 10 items with reasons, {size.questions:,} questions, one at a time")
        for scorer in report.scorers:
            took = [_timed(lambda one=one, scorer=scorer: shop.recommend(one, scorer=scorer)) for one in ids]
            middle, late = np.percentile(took, (50, 99)) * 1000
            print(f"  {scorer:<16} median {middle:7.3f} ms   99 of 100 within {late:7.3f} ms")


def _purchases(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Customers and items of purchases: a few items sell most, and customers keep to a region of the range."""
    chance = np.random.default_rng(1)
    customers = chance.integers(size.customers, size=size.interactions).astype(np.int32)
    popular = np.minimum(chance.zipf(1.3, size=size.interactions) - 1, size.items - 1)
    near = (customers * 7919 + chance.integers(size.items // 20, size=size.interactions)) % size.items
    items = np.where(chance.random(size.interactions) < 0.3, popular, near).astype(np.int32)
    return customers, items


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _median(action: Callable[[], object], repeats: int) -> float:
    action()
    return statistics.median(_timed(action) for _ in range(repeats))


if __name__ == "__main__":
    main()
