"""Tables `decisions` and `decision_candidates`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from visavis.store.writer import Transaction


class DecisionRow(NamedTuple):
    """What was answered to one customer. `decided_at` in microseconds; the last three are aligned."""

    decision_id: str
    decided_at: int
    identity: int
    scorer: str
    fallback_reason: str
    generation: int
    items: Sequence[int]
    scores: Sequence[float]
    scorers: Sequence[str]


def insert_decisions(tx: Transaction, rows: Sequence[DecisionRow]) -> None:
    """Add decisions with their items."""
    tx.insert(
        "decisions",
        {
            "decision_id": [row.decision_id for row in rows],
            "decided_at": np.array([row.decided_at for row in rows], dtype="datetime64[us]"),
            "identity_code": np.array([row.identity for row in rows], dtype=np.int32),
            "scorer": [row.scorer for row in rows],
            "fallback_reason": [row.fallback_reason for row in rows],
            "generation": np.array([row.generation for row in rows], dtype=np.int32),
        },
    )
    lengths = [len(row.items) for row in rows]
    if sum(lengths):
        tx.insert(
            "decision_candidates",
            {
                "decision_id": [row.decision_id for row in rows for _ in row.items],
                "rank": np.concatenate([np.arange(1, n + 1) for n in lengths]).astype(np.uint16),
                "item_code": np.array([code for row in rows for code in row.items], dtype=np.int32),
                "score": np.array([score for row in rows for score in row.scores], dtype=np.float64),
                "scorer": [name for row in rows for name in row.scorers],
            },
        )


__all__ = ["DecisionRow", "insert_decisions"]
