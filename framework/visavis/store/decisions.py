"""Tables `decisions` and `decision_candidates`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from visavis.store.transaction import Transaction


class Decisions(NamedTuple):
    """What was answered to the customers of one request, in columns.

    `decided_at` in microseconds; `ids` are 16 random bytes for each customer, whose hexadecimal digits behind `d-` are
    the decision's id. `items` (int32, −1 behind the last), `scores` and `by` are [n_customers, n]; `by` is a number of
    `scorers`, whose first is the one asked for.
    """

    decided_at: int
    generation: int
    ids: bytes
    identities: NDArray[np.int32]
    scorers: tuple[str, ...]
    fallback_reasons: Sequence[str]
    items: NDArray[np.int32]
    scores: NDArray[np.float64]
    by: NDArray[np.int8]


_ID = "'d-' || printf('%016x%016x', id_high, id_low)"
_INSERT_DECISIONS = f"""
INSERT INTO decisions (decision_id, decided_at, identity_code, scorer, fallback_reason, generation)
SELECT {_ID}, make_timestamp(decided_at), identity_code, ($texts)[scorer],
    nullif(($texts)[fallback_reason], ''), generation
FROM batch_decisions
"""
_INSERT_CANDIDATES = f"""
INSERT INTO decision_candidates (decision_id, rank, item_code, score, scorer)
SELECT {_ID}, rank, item_code, score, ($texts)[scorer] FROM batch_candidates
"""


def insert_decisions(tx: Transaction, decided: Sequence[Decisions]) -> None:
    """Add decisions with their items.

    As numbers, texts looked up and ids spelt out by DuckDB: it does so without the interpreter's lock, which requests
    are waiting for.
    """
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        # Lists count from 1 in SQL.
        return numbers.setdefault(text, len(numbers) + 1)

    blocks = _blocks(decided)
    ids = np.frombuffer(b"".join(one.ids for one in blocks), dtype=">u8").astype(np.uint64).reshape(-1, 2)
    decisions: dict[str, NDArray[Any]] = {
        "id_high": ids[:, 0].copy(),
        "id_low": ids[:, 1].copy(),
        "decided_at": np.concatenate([one.decided_at for one in blocks]),
        "identity_code": np.concatenate([one.identities for one in blocks]),
        "scorer": np.concatenate(
            [np.array([number(name) for name in one.scorers], dtype=np.int32)[one.by[:, 0]] for one in blocks]
        ),
        "fallback_reason": np.array([number(why) for one in blocks for why in one.fallback_reasons], dtype=np.int32),
        "generation": np.concatenate([one.generation for one in blocks]),
    }
    taken = [one.items >= 0 for one in blocks]
    lengths = np.concatenate([one.sum(axis=1) for one in taken])
    candidates: dict[str, NDArray[Any]] = {
        "id_high": np.repeat(decisions["id_high"], lengths),
        "id_low": np.repeat(decisions["id_low"], lengths),
        "rank": np.concatenate([np.nonzero(one)[1] for one in taken]).astype(np.uint16) + np.uint16(1),
        "item_code": np.concatenate([one.items[here] for one, here in zip(blocks, taken, strict=True)]),
        "score": np.concatenate([one.scores[here] for one, here in zip(blocks, taken, strict=True)]),
        "scorer": np.concatenate(
            [
                np.array([number(name) for name in one.scorers], dtype=np.int32)[one.by[here]]
                for one, here in zip(blocks, taken, strict=True)
            ]
        ),
    }
    texts = list(numbers)
    for name, columns, statement in (
        ("batch_decisions", decisions, _INSERT_DECISIONS),
        ("batch_candidates", candidates, _INSERT_CANDIDATES),
    ):
        tx.cursor.register(name, columns)
        try:
            tx.cursor.execute(statement, {"texts": texts})
        finally:
            tx.cursor.unregister(name)


class _Block(NamedTuple):
    """Requests that asked the same scorers for as many items, as one; `decided_at` and `generation` of each answer."""

    decided_at: NDArray[np.int64]
    generation: NDArray[np.int32]
    ids: bytes
    identities: NDArray[np.int32]
    scorers: tuple[str, ...]
    fallback_reasons: Sequence[str]
    items: NDArray[np.int32]
    scores: NDArray[np.float64]
    by: NDArray[np.int8]


def _blocks(decided: Sequence[Decisions]) -> list[_Block]:
    """Most requests are about one customer and like each other: to go on with each would take many times as long."""
    alike: dict[tuple[int, tuple[str, ...]], list[Decisions]] = {}
    for one in decided:
        alike.setdefault((one.items.shape[1], one.scorers), []).append(one)
    blocks = []
    for (_, scorers), those in alike.items():
        sizes = [len(one.identities) for one in those]
        blocks.append(
            _Block(
                np.repeat(np.array([one.decided_at for one in those], dtype=np.int64), sizes),
                np.repeat(np.array([one.generation for one in those], dtype=np.int32), sizes),
                b"".join([one.ids for one in those]),
                np.concatenate([one.identities for one in those]),
                scorers,
                [why for one in those for why in one.fallback_reasons],
                np.concatenate([one.items for one in those]),
                np.concatenate([one.scores for one in those]),
                np.concatenate([one.by for one in those]),
            )
        )
    return blocks


__all__ = ["Decisions", "insert_decisions"]
