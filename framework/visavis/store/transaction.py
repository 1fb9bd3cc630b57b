"""What the writer is handed, and what it writes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from visavis.store.columns import Column, insert_columns
from visavis.store.texts import Texts

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


class Participant(Protocol):
    """Something in memory that changes with a transaction: it keeps what is new apart until told."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...


class Transaction:
    """What an operation writes through. `sequence` is the number of the commit being made.

    Inserted columns are gathered by table and go in as one statement when something must read them, or at the end.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, sequence: int) -> None:
        self.cursor = cursor
        self.sequence = sequence
        self._pending: dict[tuple[str, tuple[str, ...]], list[dict[str, Column]]] = {}
        self.participants: list[Participant] = []

    def insert(self, table: str, columns: dict[str, Column]) -> None:
        """Add rows: columns of equal length, texts as lists of `str` (empty = NULL), all else as arrays."""
        # Rows that fill other columns go in by themselves: nothing given may get lost in another's statement.
        self._pending.setdefault((table, tuple(sorted(columns))), []).append(columns)

    def enlist(self, participant: Participant) -> None:
        """Tell `participant` how the transaction ends."""
        if participant not in self.participants:
            self.participants.append(participant)

    def flush(self) -> None:
        """Write the gathered rows, so that `cursor` sees them."""
        pending, self._pending = self._pending, {}
        for (table, names), batches in pending.items():
            merged: dict[str, Column] = {}
            for name in names:
                parts = [batch[name] for batch in batches]
                if len(parts) == 1:
                    merged[name] = parts[0]
                elif isinstance(parts[0], np.ndarray):
                    merged[name] = np.concatenate(parts)
                else:
                    merged[name] = Texts.joined(parts)  # type: ignore[arg-type]
            insert_columns(self.cursor, table, merged)


@dataclass(slots=True)
class Operation(Generic[T]):
    """Work for the writer thread.

    `apply` runs inside the transaction; it raises before it changes anything, or not at all. `committed` runs
    after the commit, still in the writer thread, and applies the result to memory. `rows` is the weight in the
    queue. An `exclusive` operation gets a transaction of its own.

    `before` runs in the writer thread ahead of the transaction; if it answers anything, that is the result, and there
    is nothing to write. `split` divides an operation of several that failed alone: each part is then tried, and what
    they answer, lists of one, is put together, with the error of a part in its place; no parts: it is one.
    """

    apply: Callable[[Transaction], T]
    rows: int = 1
    committed: Callable[[T], None] | None = None
    exclusive: bool = False
    before: Callable[[], T | None] | None = None
    split: Callable[[], Sequence[Operation[Any]]] | None = None
    future: Future[T] = field(default_factory=Future)
    taken: bool = False
    """Whether the writer has begun with it."""


__all__ = ["Operation", "Participant", "Transaction"]
