"""Stores with a synthetic set in them, made through the ordinary import and kept in the cache.

What is kept is imported but not fitted; every run fits a copy. Its name holds a mark of the code that decides what a
store looks like, so that it is imported again when that changes.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
from tests.bench import data
from tests.bench.cache import kept
from tests.bench.child import REPOSITORY

STORE = "shop.duckdb"
_SHAPING = ("framework/visavis/store", "framework/visavis/live", "framework/visavis/identify", "tests/bench/shops.py")
_FIRST_DAY = np.datetime64("2024-01-01", "us")
_YEAR_US = 365 * 86_400_000_000


def customer_id(customer: int) -> str:
    """Id of a row of the set."""
    return f"c{customer:07}"


def item_id(item: int) -> str:
    """Id of a column of the set."""
    return f"ITEM{item:06}"


def imported(name: str, cache: Path) -> Path:
    """The store of a set, in the cache; made if it is not there. Only to be copied, see `copy`."""

    def make(folder: Path) -> None:
        import visavis

        source = folder / "sales.parquet"
        _write(data.load(data.prepare(name, cache)), source)
        with visavis.open(folder / STORE) as shop:
            shop.identify.import_file(source)
        source.unlink()

    folder = kept(cache / f"shop-{name}-{_mark()}", make)
    for old in cache.glob(f"shop-{name}-*"):
        if old != folder and not old.suffix:  # with a suffix it is in the making, by another run
            shutil.rmtree(old, ignore_errors=True)
    return folder / STORE


def copy(store: Path, folder: Path) -> Path:
    """A closed store, copied into `folder` with all that lies beside it."""
    shutil.copytree(store.parent, folder)
    return folder / store.name


def _write(interactions: data.Interactions, path: Path) -> None:
    """The set as a file of purchases: one a pair, some time in 2024, in the order of time."""
    import duckdb

    chance = np.random.default_rng(3)
    counts = np.diff(interactions.indptr)
    columns = {
        "customer": np.repeat(np.arange(len(counts)), counts),
        "item": interactions.indices,
        "occurred_at": _FIRST_DAY + np.sort(chance.integers(0, _YEAR_US, len(interactions.indices))),
        "cents": chance.integers(99, 9_999, len(interactions.indices)),
    }
    mixed = chance.permutation(len(interactions.indices))
    columns["customer"], columns["item"] = columns["customer"][mixed], columns["item"][mixed]
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        connection.execute(
            f"""
            COPY (
                SELECT printf('c%07d', customer) AS customer_id, printf('ITEM%06d', item) AS item_id,
                       'Item number ' || item AS product_name, occurred_at,
                       (cents / 100)::DECIMAL(9, 2) AS amount
                FROM columns
            ) TO '{path}' (FORMAT parquet)
            """
        )


def _mark() -> str:
    files = sorted(
        path
        for part in _SHAPING
        for path in ((REPOSITORY / part).rglob("*") if (REPOSITORY / part).is_dir() else [REPOSITORY / part])
        if path.suffix in (".py", ".sql")
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


__all__ = ["STORE", "copy", "customer_id", "imported", "item_id"]
