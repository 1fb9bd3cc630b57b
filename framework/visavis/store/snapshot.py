"""A consistent copy of the store for analysts, made beside the running writer.

The copy is one transaction: it holds whole commits or none of them. It is a store of its own, with an id of its own,
muted, and it says which store it was taken from.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from visavis.model import Progress
from visavis.store.copying import copied, copy_errors, new_file, record_copy, take_name
from visavis.store.store import Store, read_mark
from visavis.store.transaction import Operation
from visavis.upkeep import Snapshot


def write_snapshot(store: Store, path: Path, progress: Callable[[Progress], None] | None = None) -> Snapshot:
    """Copy the open store to the new file `path`, which only its owner may read; recorded in its table `snapshots`.

    `progress` hears of each table: rows copied, rows to copy. Raises `InvalidInput` when the path is no name,
    `Conflict` when it is taken or the store's own, `StoreUnwritable` when its folder is missing, read-only or full,
    `StoreError` when the copy fails; then nothing is left behind.
    """
    with new_file(store.path, path, "snapshot") as partial:
        started = time.monotonic()
        with copied(store, partial, path, "snapshot", progress) as copy:
            sequence = read_mark(copy.cursor).sequence
            copy.cursor.execute(
                f"UPDATE {copy.alias}.main.store_state SET snapshot_of = store_id, store_id = ?, muted = true",
                [str(uuid.uuid4())],
            )
        size = partial.stat().st_size
        # Before the file takes its name: a list with a copy too many is better than one with a copy too few.
        store.writer.run(Operation(lambda tx: record_copy(tx, store.folder, path, sequence)))
        with copy_errors(path, "snapshot"):
            take_name(partial, path)
        return Snapshot(str(path), size, sequence, time.monotonic() - started)


__all__ = ["write_snapshot"]
