"""The sets that everything is measured on: four synthetic ones by size, two real ones where they are at hand.

Synthetic interactions look like a shop's: popularity by the law of Zipf and Mandelbrot, log-normal activity, and
customers who keep to one of fifty tastes for a third of what they do. Each set is made once and kept in the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.bench.cache import kept

SHARED = Path(os.environ.get("VISAVIS_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
_VERSION = 1  # of what is kept in the cache; raise it when a set changes
_SEED = 7
_TASTES = 50
_BY_TASTE = 0.35  # share of a customer's interactions that keep to the own taste
_LEAST_ACTIVE = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What a synthetic set is made to be."""

    customers: int
    items: int
    interactions: int
    macs: float
    """Multiply-adds of an item-item product: the sum over customers of their squared number of items."""
    least: int = _LEAST_ACTIVE
    """Draws that every customer gets at least."""
    exponent: float = 1.0
    shift: float = 30.0
    """Popularity of the item of rank r is 1 / (r + shift) ** exponent."""
    surplus: float = 1.18
    """Draws for each interaction that is wanted; repeats fall away."""


SHAPES = {
    "T": Shape(2_000, 400, 20_000, 3.26e5, shift=20),
    "S": Shape(50_000, 10_000, 1_000_000, 4.47e7, shift=20),
    "M": Shape(500_000, 50_000, 10_000_000, 4.80e8),
    "L": Shape(1_000_000, 100_000, 32_000_000, 2.46e9),
    "D": Shape(138_000, 27_000, 20_000_000, 5.50e9, least=20, exponent=1.3, shift=200, surplus=1.32),
}
"""By name. T is for trying things out; D is as dense as MovieLens 20M."""

REAL = {
    "R1": ("online_retail_ii/transactions_2009_2010.parquet", "online_retail_ii"),
    "R2": ("complete_journey/transactions_sample.parquet", "complete_journey sample"),
}
"""By name: file in the folder of shared data, and what people call it."""

NAMES = (*SHAPES, *REAL)


@dataclass(frozen=True, slots=True)
class Interactions:
    """Customers as rows and items as columns, one entry a pair, ratings 1 to 5 as values."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    ratings: NDArray[np.float64]
    n_items: int

    @property
    def n_customers(self) -> int:
        return len(self.indptr) - 1

    @property
    def macs(self) -> float:
        """See `Shape.macs`."""
        return float((np.diff(self.indptr).astype(np.float64) ** 2).sum())

    def __str__(self) -> str:
        return (
            f"{self.n_customers:,} customers x {self.n_items:,} items, {len(self.indices):,} interactions, "
            f"{self.macs:.3g} multiply-adds"
        )


def available(name: str) -> bool:
    """Whether the set can be made here."""
    return name in SHAPES or (SHARED / REAL[name][0]).is_file()


def prepare(name: str, cache: Path) -> Path:
    """The folder of a set in the cache; made if it is not there."""

    def make(folder: Path) -> None:
        made = synthetic(SHAPES[name]) if name in SHAPES else _real(SHARED / REAL[name][0])
        for part in ("indptr", "indices", "ratings"):
            np.save(folder / f"{part}.npy", getattr(made, part))
        np.save(folder / "n_items.npy", made.n_items)

    return kept(cache / f"set-{name}-v{_VERSION}", make)


def load(folder: Path) -> Interactions:
    """A set that `prepare` has made."""
    parts = (np.load(folder / f"{part}.npy") for part in ("indptr", "indices", "ratings"))
    return Interactions(*parts, int(np.load(folder / "n_items.npy")))


def synthetic(shape: Shape) -> Interactions:
    """The same set for the same shape, always."""
    chance = np.random.default_rng(_SEED)
    n_customers, n_items = shape.customers, shape.items

    activity = np.exp(chance.normal(0, 1, n_customers))
    activity *= (shape.interactions - shape.least * n_customers) / activity.sum()
    draws = np.minimum((activity * shape.surplus).astype(np.int64) + shape.least, n_items // 4)
    customers = np.repeat(np.arange(n_customers), draws)

    popularity = 1.0 / (np.arange(n_items) + shape.shift) ** shape.exponent
    taste_of_item = chance.integers(0, _TASTES, n_items)
    taste_of_customer = chance.integers(0, _TASTES, n_customers)
    items = _drawn(np.arange(n_items), popularity, chance.random(len(customers)))
    by_taste = chance.random(len(customers)) < _BY_TASTE
    taste = taste_of_customer[customers]
    for one in range(_TASTES):
        own = np.flatnonzero(by_taste & (taste == one))
        range_ = np.flatnonzero(taste_of_item == one)
        if len(range_):
            items[own] = _drawn(range_, popularity[range_], chance.random(len(own)))
    items = chance.permutation(n_items)[items]  # or the codes would be in the order of popularity

    pairs = np.unique(customers * n_items + items)
    if len(pairs) > shape.interactions:
        pairs = np.sort(chance.choice(pairs, shape.interactions, replace=False))
    customers, items = np.divmod(pairs, n_items)
    level = 3.6 + chance.normal(0, 0.6, n_customers)[customers]
    ratings = np.clip(np.round(level + chance.normal(0, 1, len(pairs))), 1, 5)
    return _by_customer(customers, items, ratings, n_customers, n_items)


def _drawn(items: NDArray[np.int64], popularity: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """One of `items` for each number in [0, 1), the popular ones more often."""
    share = np.cumsum(popularity)
    return items[np.minimum(np.searchsorted(share / share[-1], chance), len(items) - 1)]


def _real(path: Path) -> Interactions:
    """Who bought what; as a rating, how often, up to 5 times."""
    import duckdb

    with duckdb.connect() as connection:
        columns = connection.execute(
            """
            SELECT dense_rank() OVER (ORDER BY customer_id) - 1 AS customer,
                   dense_rank() OVER (ORDER BY item_id) - 1 AS item,
                   least(count(*), 5)::DOUBLE AS rating
            FROM read_parquet(?) WHERE customer_id IS NOT NULL AND item_id IS NOT NULL
            GROUP BY customer_id, item_id ORDER BY customer, item
            """,
            [str(path)],
        ).fetchnumpy()
    customers, items = columns["customer"], columns["item"]
    return _by_customer(customers, items, columns["rating"], int(customers.max()) + 1, int(items.max()) + 1)


def _by_customer(
    customers: NDArray[np.int64], items: NDArray[np.int64], ratings: NDArray[np.float64], n_customers: int, n_items: int
) -> Interactions:
    """From entries that are sorted by customer, then item."""
    indptr = np.zeros(n_customers + 1, np.int64)
    np.cumsum(np.bincount(customers, minlength=n_customers), out=indptr[1:])
    return Interactions(indptr, items.astype(np.int32), np.asarray(ratings, np.float64), n_items)


__all__ = ["NAMES", "REAL", "SHAPES", "Interactions", "Shape", "available", "load", "prepare", "synthetic"]
