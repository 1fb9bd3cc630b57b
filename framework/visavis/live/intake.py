"""What a transaction recorded, on its way into memory: all of it at once, after the commit."""

from __future__ import annotations

import numpy as np

from visavis.live.histories import Histories
from visavis.live.identities import Identities
from visavis.live.known import KnownIds
from visavis.live.late import LateColumns
from visavis.store import Transaction
from visavis.store.interactions import InteractionColumns


class Intake:
    """Takes part in transactions, behind the identities, items and kinds that its rows are of."""

    def __init__(self, identities: Identities, known_ids: KnownIds, histories: Histories) -> None:
        self._identities = identities
        self._known_ids = known_ids
        self._histories = histories
        self._pending: list[InteractionColumns] = []
        self._sequence = 0

    def add(self, tx: Transaction, rows: InteractionColumns) -> None:
        """Rows that `tx` writes; enlist all that made their codes before."""
        tx.enlist(self)
        self._sequence = tx.sequence
        self._pending.append(rows)

    def commit(self) -> None:
        pending, self._pending = self._pending, []
        hashes = np.concatenate([rows.id_hash for rows in pending])
        self._known_ids.add(hashes)
        columns = LateColumns(
            np.full(len(hashes), self._sequence, dtype=np.int64),
            np.concatenate([rows.item for rows in pending]),
            np.concatenate([rows.kind for rows in pending]),
            np.concatenate([rows.occurred_at for rows in pending]),
            np.concatenate([rows.quantity for rows in pending]),
            np.concatenate([rows.amount for rows in pending]),
            np.concatenate([rows.rating for rows in pending]),
            np.concatenate([rows.basket for rows in pending]),
            hashes,
            np.concatenate([rows.reverses for rows in pending]),
        )
        self._histories.append(
            self._identities.customers_of(np.concatenate([rows.identity for rows in pending])), columns
        )

    def rollback(self) -> None:
        self._pending = []


__all__ = ["Intake"]
