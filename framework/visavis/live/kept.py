"""The base on disk: kept when it was built, found again when the store is opened.

The file `base` in the store's side folder is a cache: it may be deleted while nobody has the store open. It is
believed only if the store has exactly the rows that it was made of, and its arrays are compared with their checksums
in the background; what does not agree is built anew.
"""

from __future__ import annotations

import itertools
import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.errors import StoreUnwritable
from visavis.live.base import COLUMNS, Arrays, Base, as_base, new_arrays
from visavis.store import Store
from visavis.store.array_file import ArrayFile, NewArrayFile, file_bytes, open_array_file
from visavis.store.interactions import Fingerprint, read_fingerprint
from visavis.store.room import check_room

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger("visavis.live")

KEPT_ROWS = 200_000
"""A base of fewer rows is built faster than it is kept."""

_FORMAT = 2
_IDS = "ids"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Draft:
    """Arrays for a base that is about to be built; `file` None: in memory alone."""

    arrays: Arrays
    file: NewArrayFile | None = None

    def discard(self) -> None:
        """It is not going to be kept."""
        if self.file is not None:
            self.file.discard()


class IdSet(NamedTuple):
    """The hashes of all interaction ids up to commit `sequence`, as `kernels.id_set_add` answers them."""

    table: NDArray[np.uint64]
    used: int
    sequence: int


class KeptBase:
    """Keeps the base of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path: Path = store.folder / "base"
        self._file: ArrayFile | None = None
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._newest = -1
        """Commit of the base in the file."""
        self._checked = threading.Event()
        self._checked.set()
        self._damaged = False
        """What came of the last comparison, once `_checked` is set."""
        self._threads: list[threading.Thread] = []
        self._closing = False

    def open(self, cursor: duckdb.DuckDBPyConnection, owners: NDArray[np.int32]) -> Base | None:
        """The base that was kept, if the store still has its rows; it may lag behind the store."""
        try:
            file = open_array_file(self._path)
        except (OSError, ValueError) as error:
            log.warning("the file `base` beside the store is left aside, and made anew: %s", error)
            return None
        if file is None:
            return None
        if file.header.get("format") != _FORMAT:
            log.info("the file `base` beside the store is another version's, and made anew")
            return None
        # What leads to other places is checked before it does; wrong values only make wrong answers, for a moment.
        if not self._belongs(file.header, cursor, owners) or file.damaged(["indptr", "item", "kind"]):
            log.warning("the file `base` beside the store is not of what the store holds now, and made anew")
            self._path.unlink(missing_ok=True)
            return None
        self._file, self._newest = file, file.header["sequence"]
        return as_base(file.header["sequence"], file.header["currency"], file.arrays)

    def _belongs(self, header: Mapping[str, Any], cursor: duckdb.DuckDBPyConnection, owners: NDArray[np.int32]) -> bool:
        sequence, identities = header["sequence"], header["identities"]
        return (
            (header["store_id"], header["lineage"]) == (self._store.mark.store_id, self._store.mark.lineage)
            and sequence <= self._store.mark.sequence
            and identities <= len(owners)
            and header["owners"] == owners_checksum(owners[:identities])
            and Fingerprint(*header["fingerprint"]) == read_fingerprint(cursor, until=sequence)
        )

    def check_soon(self, if_damaged: Callable[[], None]) -> None:
        """Compare the opened base with its checksums in the background."""
        if self._file is not None:
            self._checked.clear()
            if not self._start(partial(self._check, self._file, if_damaged)):
                self._checked.set()

    def is_sound(self) -> bool:
        """Whether the opened base agrees with its checksums; waits until they were compared. True where none was
        opened."""
        self._checked.wait()
        return not self._damaged

    def known_ids(self) -> IdSet | None:
        """The id hashes that were kept with the opened base, as a copy; the first time only."""
        file, self._file = self._file, None
        if file is None:
            return None
        # Before the first use: an id that is missing here would be recorded twice.
        if file.damaged([_IDS]):
            log.warning("the file `base` beside the store is damaged; the known ids are read from the store")
            return None
        # A copy, because it will be written to, and what is mapped would hold the whole file on the disk.
        return IdSet(file.arrays[_IDS].copy(), file.header["ids"], file.header["sequence"])

    def draft(self, rows: int, n_customers: int) -> Draft:
        """Arrays for a new base: in a file if they are many and the disk takes them, else in memory."""
        if rows < KEPT_ROWS:
            return Draft(new_arrays(rows, n_customers))
        shapes = {name: (dtype, rows) for name, dtype in COLUMNS.items()}
        shapes |= {"indptr": (np.int64, n_customers + 1), _IDS: (np.uint64, len(kernels.id_set_new(rows)))}
        try:
            folder = self._store.scratch("building")
            check_room(folder, file_bytes(shapes))
            file = NewArrayFile(folder / f"base-{next(_numbers)}", shapes)
        except (OSError, StoreUnwritable) as error:
            log.warning("the base is held in memory, for it cannot be kept beside the store: %s", error)
            return Draft(new_arrays(rows, n_customers))
        return Draft(file.arrays, file)

    def keep_soon(self, draft: Draft, base: Base, owners: NDArray[np.int32]) -> None:
        """Finish the file of a new base in the background. `owners` are those that it was built for."""
        if draft.file is not None and not self._start(
            partial(self._keep, draft.file, base, len(owners), owners_checksum(owners))
        ):
            draft.discard()

    def close(self) -> None:
        """Wait for what is being written; what is only being checked is given up. Idempotent."""
        with self._lock:
            self._closing = True
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join()

    def _keep(self, file: NewArrayFile, base: Base, identities: int, owners: int) -> None:
        try:
            with self._keeping:
                if base.sequence <= self._newest:
                    file.discard()
                    return
                _, used, _ = kernels.id_set_add(file.arrays[_IDS], 0, base.id_hash)
                header = {
                    "format": _FORMAT,
                    "store_id": self._store.mark.store_id,
                    "lineage": self._store.mark.lineage,
                    "sequence": base.sequence,
                    "currency": base.currency,
                    "fingerprint": [len(base.id_hash), int(np.bitwise_xor.reduce(base.id_hash))],
                    "identities": identities,
                    "owners": owners,
                    "ids": used,
                }
                file.seal(self._path, header)
                self._newest = base.sequence
        except OSError as error:
            # The base is good as it is; the next opening takes longer.
            log.warning("the base could not be kept beside the store: %s", error.strerror)
            file.discard()
        except BaseException:
            file.discard()
            raise

    def _check(self, file: ArrayFile, if_damaged: Callable[[], None]) -> None:
        damaged: Sequence[str] = ()
        self._damaged = True  # also if the file cannot be read
        try:
            damaged = file.damaged(list(COLUMNS), stop=lambda: self._closing)
            self._damaged = bool(damaged) or self._closing
        finally:
            self._checked.set()
        if damaged:
            log.error("the file `base` beside the store is damaged (%s); it is made anew", ", ".join(damaged))
            self._path.unlink(missing_ok=True)
            self._newest = -1
            if_damaged()

    def _start(self, work: Callable[[], None]) -> bool:
        """Run in the background; False if nothing is begun any more."""
        with self._lock:
            if self._closing:
                return False
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=work, name="visavis-base", daemon=True)
            self._threads.append(thread)
            thread.start()
            return True


def owners_checksum(owners: NDArray[np.int32]) -> int:
    """Tells whether identities still belong to the customers that a base was built for."""
    return zlib.crc32(np.ascontiguousarray(owners).tobytes())


__all__ = ["KEPT_ROWS", "Draft", "IdSet", "KeptBase", "owners_checksum"]
