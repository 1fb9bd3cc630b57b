"""The open set of interaction kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visavis.errors import FieldViolation, InvalidInput
from visavis.live.vocabulary import Vocabulary
from visavis.store import Transaction
from visavis.store.interactions import insert_kinds, read_kinds

if TYPE_CHECKING:
    import duckdb

MOST_KINDS = 1024


class Kinds:
    """Kinds by code. Takes part in transactions."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._names = Vocabulary(read_kinds(cursor))

    @property
    def names(self) -> list[str]:
        """All kinds by code; not to be changed."""
        return self._names.texts

    def find(self, kind: str) -> int:
        """The code of a kind, or −1."""
        return self._names.find(kind)

    def encode(self, tx: Transaction, kinds: Sequence[str], places: Sequence[int] | None = None) -> NDArray[np.uint16]:
        """Codes of kinds, new ones made. Raises `InvalidInput` past 1,024 kinds in a store.

        `places` are those of the kinds in the caller's batch, for the message (default: 0, 1 …).
        """
        tx.enlist(self)
        codes = np.empty(len(kinds), dtype=np.uint16)
        made = []
        for place, kind in enumerate(kinds):
            code, new = self._names.encode(kind)
            if code >= MOST_KINDS:
                raise InvalidInput(
                    [
                        FieldViolation(
                            f"interactions[{place if places is None else places[place]}].kind",
                            f"is {kind!r}, kind number {code + 1} of this store, which takes {MOST_KINDS}; kinds are "
                            "few words such as `view` or `purchase`, put what varies into item_id or touchpoint",
                        )
                    ],
                    reason="TOO_MANY_KINDS",
                    metadata={"kind": kind, "limit": str(MOST_KINDS)},
                )
            codes[place] = code
            if new:
                made.append((code, kind))
        insert_kinds(tx, made)
        return codes

    def commit(self) -> None:
        self._names.commit()

    def rollback(self) -> None:
        self._names.rollback()


__all__ = ["MOST_KINDS", "Kinds"]
