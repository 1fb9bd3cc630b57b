"""What was already recorded or answered: interaction ids for ever, request ids for a day."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.errors import Conflict
from visavis.live.kept import KeptBase
from visavis.store import Operation, Store, Transaction
from visavis.store.interactions import read_id_hashes, stored_ids
from visavis.store.requests import (
    KEPT_FOR,
    AnsweredRequest,
    delete_requests_before,
    insert_request,
    read_requests,
)

if TYPE_CHECKING:
    import duckdb


MOST_RECENT = 100_000
"""Interaction ids kept as texts, beside the hashes of all."""
_FEW = 16
"""So many ids are looked up one by one; for more the compiled way is faster."""
_SWEEP_S = 3600.0


class _Ids:
    """Ids in lists as they come. They become a set when somebody asks, for hardly anybody does."""

    def __init__(self) -> None:
        self._lists: list[Sequence[str]] = []
        self._listed = 0
        self._set: set[str] = set()

    def __len__(self) -> int:
        return self._listed + len(self._set)

    def add(self, ids: Sequence[str]) -> None:
        if ids:
            self._lists.append(ids)
            self._listed += len(ids)

    def all(self) -> set[str]:
        self._set.update(*self._lists)
        self._lists, self._listed = [], 0
        return self._set


class _Recent:
    """The last ids that are surely stored: between one and two times `MOST_RECENT` of them."""

    def __init__(self) -> None:
        self._now = _Ids()
        self._before = _Ids()

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def add(self, ids: Sequence[str]) -> None:
        self._now.add(ids)
        if len(self._now) >= MOST_RECENT:
            self._before, self._now = self._now, _Ids()

    def which(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are here."""
        now, before = self._now.all(), self._before.all()
        return {one for one in ids if one in now or one in before}


class _Pending:
    """The ids that a transaction adds. As a set for few that ask, and as hashes for many: each made when asked for."""

    def __init__(self) -> None:
        self.lists: list[Sequence[str]] = []
        self._ids = _Ids()
        self._hashes: list[NDArray[np.uint64]] = []
        self._table: NDArray[np.uint64] | None = None
        self._used = 0

    def add(self, ids: Sequence[str], hashes: NDArray[np.uint64]) -> None:
        self.lists.append(ids)
        self._ids.add(ids)
        self._hashes.append(hashes)

    def ids(self) -> set[str]:
        """All of them."""
        return self._ids.all()

    def are_new(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """bool [n]: which hashes are of no id that was added, nor stand earlier in the call."""
        if self._table is None:
            self._table = kernels.id_set_new(len(hashes))
        self._table, self._used, _ = kernels.id_set_add(
            self._table, self._used, np.concatenate([*self._hashes, np.empty(0, dtype=np.uint64)])
        )
        self._hashes = []
        self._table, self._used, new = kernels.id_set_add(self._table, self._used, hashes)
        return new


class KnownIds:
    """Hashes of all interaction ids: 8 to 23 bytes an id. Loaded when first asked; the writer thread alone uses it.

    A hash that is there is only a suspicion: the full id is then looked up, among the last ones first, because what is
    sent again is mostly sent again at once, and a look into the store is a scan of it.
    """

    def __init__(self, store: Store, kept: KeptBase) -> None:
        self._store = store
        self._kept = kept
        self._table: NDArray[np.uint64] | None = None
        self._used = 0
        self._pending = _Pending()
        self._recent = _Recent()

    def warm_up(self) -> None:
        """Load the table now. From any thread: the writer does it, so that no commit slips past."""
        self._store.writer.run(Operation(lambda _: self._load(), exclusive=True))

    def _load(self) -> NDArray[np.uint64]:
        """The table, read from the store when first asked for."""
        if self._table is None:
            kept = self._kept.known_ids()
            with self._store.cursor() as cursor:
                hashes = read_id_hashes(cursor, after=kept.sequence if kept else 0)
            table, used = (kept.table, kept.used) if kept else (kernels.id_set_new(len(hashes)), 0)
            self._table, self._used, _ = kernels.id_set_add(table, used, hashes)
        return self._table

    def is_new(self, tx: Transaction, ids: Sequence[str], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """bool [n]: which ids were never recorded, counting an id twice in the call as known the second time."""
        tx.enlist(self)
        known = kernels.id_set_contains(self._load(), hashes)
        new = ~known
        if len(ids) > _FEW:
            new &= self._pending.are_new(hashes)
            suspects = np.flatnonzero(~new).tolist()
        else:
            suspects = list(range(len(ids)))
        if suspects:
            pending = self._pending.ids()
            stored = self._stored(tx, ids, hashes, np.flatnonzero(known).tolist()) if known.any() else frozenset()
            texts = list(ids)
            first = {one: place for place, one in zip(range(len(ids) - 1, -1, -1), reversed(texts), strict=True)}
            for place in suspects:
                one = texts[place]
                new[place] = one not in stored and one not in pending and first[one] == place
        if new.all():
            self._pending.add(ids, hashes)
        else:
            self._pending.add([ids[place] for place in np.flatnonzero(new).tolist()], hashes[new])
        return new

    def _stored(
        self, tx: Transaction, ids: Sequence[str], hashes: NDArray[np.uint64], suspects: Sequence[int]
    ) -> set[str]:
        """Which of the suspects are in the store."""
        recent = self._recent.which(ids[place] for place in suspects)
        asking = [place for place in suspects if ids[place] not in recent]
        if not asking:
            return recent
        found = stored_ids(tx.cursor, hashes[asking].tolist())
        self._recent.add(list(found - self._pending.ids()))
        return recent | found

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in what was committed, if the table was loaded already."""
        if self._table is not None:
            self._table, self._used, _ = kernels.id_set_add(self._table, self._used, hashes)

    def commit(self) -> None:
        for ids in self._pending.lists:
            self._recent.add(ids)
        self._pending = _Pending()

    def rollback(self) -> None:
        self._pending = _Pending()


class KnownRequests:
    """Answers by request id, so that a call sent again gets the first answer.

    An answer is forgotten when its time is over by the wall clock, and this process has had it for as long: a clock
    that is ahead for a moment makes nothing forgotten.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        since = datetime.now(UTC).replace(tzinfo=None) - KEPT_FOR
        self._swept_at = time.monotonic()
        self._answers = {row.request_id: (row, self._swept_at) for row in read_requests(cursor, since)}
        """With the moment of `time.monotonic()` since when it is here."""
        self._pending: dict[str, tuple[AnsweredRequest, float]] = {}

    def once(
        self, tx: Transaction, request_id: str, method: str, content: Any, work: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], bool]:
        """Run `work` unless `request_id` was answered: (the answer, whether `work` ran). Empty id: always run.

        `content` is anything with a stable repr. Raises `Conflict` if the id was used for another request.
        """
        if not request_id:
            return work(), True
        fingerprint = hashlib.sha256(repr(content).encode()).hexdigest()
        known = self._pending.get(request_id) or self._answers.get(request_id)
        if known is not None and not _is_over(*known):
            before, _ = known
            if (before.method, before.fingerprint) != (method, fingerprint):
                raise Conflict(
                    f"request_id {request_id!r} was used for another request within 24 hours; give each its own",
                    reason="REQUEST_ID_REUSED",
                    metadata={"request_id": request_id, "method": before.method},
                )
            answer: dict[str, Any] = json.loads(before.answer)
            return answer, False
        answer = work()
        tx.enlist(self)
        now = datetime.now(UTC).replace(tzinfo=None)
        row = AnsweredRequest(request_id, method, fingerprint, json.dumps(answer), now)
        insert_request(tx, row)
        if self._is_time_to_sweep():
            kept = [row.answered_at for row, since in self._answers.values() if not _is_over(row, since)]
            delete_requests_before(tx, min([now - KEPT_FOR, *kept]))
        self._pending[request_id] = row, time.monotonic()
        return answer, True

    def commit(self) -> None:
        self._answers.update(self._pending)
        self._pending.clear()
        if self._is_time_to_sweep():
            self._answers = {key: known for key, known in self._answers.items() if not _is_over(*known)}
            self._swept_at = time.monotonic()

    def rollback(self) -> None:
        self._pending.clear()

    def _is_time_to_sweep(self) -> bool:
        return time.monotonic() - self._swept_at > _SWEEP_S


def _is_over(row: AnsweredRequest, since: float) -> bool:
    """Whether an answer that is here since a moment of `time.monotonic()` has been kept long enough."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now - row.answered_at > KEPT_FOR and time.monotonic() - since > KEPT_FOR.total_seconds()


__all__ = ["KnownIds", "KnownRequests"]
