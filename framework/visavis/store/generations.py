"""Tables `generations`, `generation_plugins`, `generation_arrays`, `similar_items`, `memberships`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visavis.errors import StoreDamaged
from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

PART_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One fitted generation. Counts are of what the fit has seen."""

    generation: int
    fitted_at: datetime
    fitted_sequence: int
    customers: int
    items: int
    interactions: int
    seconds: float
    version: str


@dataclass(frozen=True, slots=True)
class FittedPlugin:
    """A plugin of a generation with its learned state; `error` says why it was left out."""

    kind: str
    name: str
    options: str
    state: Mapping[str, Any]
    error: str = ""


def insert_plugin(tx: Transaction, generation: int, plugin: FittedPlugin) -> None:
    """Add a plugin's learned state to a generation that is not served yet."""
    tx.cursor.execute(
        "INSERT INTO generation_plugins VALUES (?, ?, ?, ?, nullif(?, ''))",
        [generation, plugin.kind, plugin.name, plugin.options, plugin.error],
    )
    for name, value in plugin.state.items():
        _insert_array(tx, generation, plugin, name, value)


def insert_generation(tx: Transaction, row: GenerationRow) -> None:
    """Add a generation whose plugins are all in, and let the pointer name it."""
    tx.cursor.execute(
        "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            row.generation,
            row.fitted_at,
            row.fitted_sequence,
            row.customers,
            row.items,
            row.interactions,
            row.seconds,
            row.version,
        ],
    )
    tx.cursor.execute("UPDATE store_state SET fitted_generation = ?", [row.generation])


def insert_similar_items(
    tx: Transaction, generation: int, scorer: str, neighbours: NDArray[np.int32], similarities: NDArray[np.float64]
) -> None:
    """Add neighbour lists [n_items, k] (−1: none) for analysts."""
    item, place = np.nonzero(neighbours >= 0)
    _insert_rows(
        tx,
        "similar_items (generation, scorer, item_code, rank, similar_code, similarity)",
        "?, ?, item_code, rank, similar_code, similarity",
        [generation, scorer],
        {
            "item_code": item.astype(np.int32),
            "rank": (place + 1).astype(np.uint16),
            "similar_code": neighbours[item, place],
            "similarity": similarities[item, place].astype(np.float64),
        },
    )


def insert_memberships(
    tx: Transaction, generation: int, segmentation: str, customers: NDArray[np.int32], segments: Sequence[str]
) -> None:
    """Add which customer is in which segment."""
    # Many customers are in few segments: each name goes over once.
    numbers = {name: number for number, name in enumerate(dict.fromkeys(segments), 1)}
    _insert_rows(
        tx,
        "memberships (generation, segmentation, customer_code, segment)",
        "?, ?, customer_code, list_extract(names, number)",
        [generation, segmentation, list(numbers)],
        {
            "customer_code": customers,
            "number": np.fromiter(map(numbers.__getitem__, segments), dtype=np.int32, count=len(segments)),
        },
        more=", (SELECT ?::VARCHAR[] AS names)",
    )


def delete_generations(tx: Transaction, keep: Sequence[int]) -> None:
    """Delete all but these generations."""
    tx.flush()
    for table in ("generations", "generation_plugins", "generation_arrays", "similar_items", "memberships"):
        tx.cursor.execute(f"DELETE FROM {table} WHERE NOT list_contains(?, generation)", [list(keep)])


def read_generations(cursor: duckdb.DuckDBPyConnection) -> list[GenerationRow]:
    """All generations, oldest first."""
    rows = cursor.execute(
        "SELECT generation, fitted_at, fitted_sequence, customers, items, interactions, seconds, version "
        "FROM generations ORDER BY generation"
    ).fetchall()
    return [GenerationRow(*row) for row in rows]


def served_generation(cursor: duckdb.DuckDBPyConnection) -> int:
    """The generation that the pointer names; 0 for none."""
    return int(cursor.execute("SELECT fitted_generation FROM store_state").fetchall()[0][0])


def read_plugins(cursor: duckdb.DuckDBPyConnection, generation: int) -> list[FittedPlugin]:
    """The plugins of a generation with their state."""
    plugins = cursor.execute(
        "SELECT kind, plugin, options, coalesce(error, '') FROM generation_plugins WHERE generation = ? "
        "ORDER BY kind, plugin",
        [generation],
    ).fetchall()
    states: dict[tuple[str, str], dict[str, Any]] = {}
    parts = cursor.execute(
        "SELECT kind, plugin, name, dtype, shape, data FROM generation_arrays WHERE generation = ? "
        "ORDER BY kind, plugin, name, part",
        [generation],
    ).fetchall()
    for (kind, plugin, name, dtype, shape), group in groupby(parts, key=lambda part: part[:5]):
        data = b"".join(part[5] for part in group)
        states.setdefault((kind, plugin), {})[name] = _decode(data, dtype, json.loads(shape), name)
    return [
        FittedPlugin(kind, name, options, states.get((kind, name), {}), error) for kind, name, options, error in plugins
    ]


def read_memberships(
    cursor: duckdb.DuckDBPyConnection, generation: int
) -> dict[str, tuple[NDArray[np.int32], list[str]]]:
    """By segmentation: customer codes and the segment of each."""
    result: dict[str, tuple[NDArray[np.int32], list[str]]] = {}
    names = cursor.execute(
        "SELECT DISTINCT segmentation FROM memberships WHERE generation = ? ORDER BY 1", [generation]
    ).fetchall()
    for (name,) in names:
        columns = cursor.execute(
            "SELECT customer_code, segment FROM memberships WHERE generation = ? AND segmentation = ? ORDER BY 1",
            [generation, name],
        ).fetchnumpy()
        result[name] = (np.asarray(columns["customer_code"], dtype=np.int32), columns["segment"].tolist())
    return result


def _insert_rows(
    tx: Transaction, table: str, selected: str, values: list[object], rows: dict[str, NDArray[Any]], *, more: str = ""
) -> None:
    """Add rows given as columns; what is the same in all of them is a value, told once."""
    if not len(next(iter(rows.values()))):
        return
    tx.cursor.register("fitted_rows", rows)
    try:
        tx.cursor.execute(f"INSERT INTO {table} SELECT {selected} FROM fitted_rows{more}", values)
    finally:
        tx.cursor.unregister("fitted_rows")


def _insert_array(tx: Transaction, generation: int, plugin: FittedPlugin, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        dtype, shape, data = value.dtype.str, json.dumps(value.shape), np.ascontiguousarray(value).tobytes()
    else:
        dtype, shape, data = "json", "[]", json.dumps(value).encode()
    for part, start in enumerate(range(0, max(len(data), 1), PART_BYTES)):
        tx.cursor.execute(
            "INSERT INTO generation_arrays VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [generation, plugin.kind, plugin.name, name, dtype, shape, part, data[start : start + PART_BYTES]],
        )


def _decode(data: bytes, dtype: str, shape: list[int], name: str) -> Any:
    if dtype == "json":
        return json.loads(data)
    kind = np.dtype(dtype)
    if len(data) != kind.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise StoreDamaged(
            f"learned array {name} has {len(data)} bytes, not those of {dtype}{shape}; run `visavis fit`"
        )
    return np.frombuffer(data, dtype=kind).reshape(shape)


__all__ = [
    "FittedPlugin",
    "GenerationRow",
    "delete_generations",
    "insert_generation",
    "insert_memberships",
    "insert_plugin",
    "insert_similar_items",
    "read_generations",
    "read_memberships",
    "read_plugins",
    "served_generation",
]
