"""Values of the work that keeps a store sound: what a backup holds, what a compaction won."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole copy of a store, kept to be restored. `sequence` is the last commit in it, `rows` those of all tables."""

    path: str
    bytes: int
    sequence: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Compaction:
    """A store's file written anew. `bytes_before` with its write-ahead log, `rows` of all tables.

    Calls that write waited `pause_seconds` of the `seconds`.
    """

    bytes_before: int
    bytes_after: int
    rows: int
    seconds: float
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent copy for analysts."""

    path: str
    bytes: int
    sequence: int
    seconds: float


__all__ = ["Backup", "Compaction", "Snapshot"]
