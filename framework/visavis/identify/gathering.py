"""Small calls that record, gathered until the writer has time for them, and then taken together by column.

Checked one by one, a call costs more than what it records. Those that wait together are read from their bytes, checked
and written as one batch; where something is wrong with one of them, all of these go row by row, which finds the words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import numpy as np
from numpy.typing import NDArray

from visavis.config import Settings
from visavis.errors import VisavisError
from visavis.identify.batches import check_batch
from visavis.identify.columnar import CheckedBatch, InteractionBatch
from visavis.identify.recording import CheckedRows, check_interactions, tell_recorded
from visavis.live import Live
from visavis.live.state import now_us
from visavis.model import Interaction, RecordResult
from visavis.plugin import Registry
from visavis.store import Operation, Store, Transaction
from visavis.store.interactions import InteractionColumns, insert_interactions

MOST_ROWS = 10_000
"""Of calls that go together."""

Outcome = RecordResult | BaseException
Together = Callable[[Sequence[bytes]], tuple[InteractionBatch, NDArray[np.int64]] | None]
"""Reads calls: all rows, and int64 [n_calls + 1] where those of each begin; None if columns cannot say it."""
Alone = Callable[[bytes], Sequence[Interaction]]
"""Reads one call. Raises `InvalidInput`."""


class Gathering:
    """For one thread that hands in calls, of which each records all of its rows or none."""

    def __init__(
        self, store: Store, live: Live, settings: Settings, registry: Registry, together: Together, alone: Alone
    ) -> None:
        self._writer = store.writer
        self._new = partial(_Calls, live, settings, registry, together, alone)
        self._calls: _Calls | None = None

    def add(self, call: bytes, rows: int) -> tuple[Future[list[Outcome]], int]:
        """Hand in a call of so many rows; the future answers for all that go together, and which one this is.

        Raises what `Writer.submit` raises.
        """
        calls = self._calls
        if calls is not None and calls.operation.rows + rows <= MOST_ROWS:
            place = len(calls.given)
            if self._writer.join(calls.operation, rows, partial(calls.given.append, call)):
                return calls.operation.future, place
        calls = self._new([call], rows)
        self._writer.submit(calls.operation)
        self._calls = calls
        return calls.operation.future, 0


class _Calls:
    """Calls that go together. `given` grows until the writer takes the operation."""

    def __init__(
        self,
        live: Live,
        settings: Settings,
        registry: Registry,
        together: Together,
        alone: Alone,
        given: list[bytes],
        rows: int,
    ) -> None:
        self.given = given
        self._live = live
        self._settings = settings
        self._registry = registry
        self._together = together
        self._alone = alone
        self._columns: tuple[CheckedBatch, NDArray[np.int64]] | None = None
        self._rows: list[CheckedRows | VisavisError] = []
        self._written: list[InteractionColumns] = []
        self.operation: Operation[list[Outcome]] = Operation(
            self._apply, rows=rows, before=self._check, committed=self._committed, split=self._split
        )

    def _check(self) -> list[Outcome] | None:
        """What needs no transaction; the outcomes, if none of the calls does."""
        read = self._together(self.given)
        checked = None if read is None else check_batch(read[0], self._settings, self._live)
        if read is not None and checked is not None:
            self._columns = checked, read[1]
            return None
        for call in self.given:
            try:
                self._rows.append(check_interactions(self._alone(call), self._settings))
            except VisavisError as error:
                self._rows.append(error)
        refused = [one for one in self._rows if isinstance(one, VisavisError)]
        return [*refused] if len(refused) == len(self._rows) else None

    def _apply(self, tx: Transaction) -> list[Outcome]:
        self._written.clear()
        if self._columns is None:
            return [one if isinstance(one, VisavisError) else self._record(tx, one) for one in self._rows]
        checked, starts = self._columns
        new = checked.new_rows(tx, self._live)
        self._write(tx, checked.encode_rows(tx, self._live, new))
        recorded = np.diff(np.searchsorted(new, starts)).tolist()
        return [RecordResult(some, rows - some) for some, rows in zip(recorded, np.diff(starts).tolist(), strict=True)]

    def _record(self, tx: Transaction, rows: CheckedRows) -> RecordResult:
        columns = rows.encode(tx, self._live)
        self._write(tx, columns)
        recorded = len(columns.interaction_id)
        return RecordResult(recorded, rows.count - recorded)

    def _write(self, tx: Transaction, columns: InteractionColumns) -> None:
        if len(columns.interaction_id):
            insert_interactions(tx, columns, now_us())
            self._live.intake.add(tx, columns)
            self._written.append(columns)

    def _committed(self, _: list[Outcome]) -> None:
        if self._registry.observes_interactions:
            for columns in self._written:
                tell_recorded(self._live, columns, self._registry)

    def _split(self) -> list[Operation[list[Outcome]]]:
        """Each call by itself, for one of them made the transaction fail."""
        if len(self.given) == 1:
            return []
        new = partial(_Calls, self._live, self._settings, self._registry, self._together, self._alone)
        return [new([call], 1).operation for call in self.given]


__all__ = ["MOST_ROWS", "Gathering", "Outcome"]
