"""Table `requests`: the answers to mutations by request id, kept for 24 hours, written with the mutation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

KEPT_FOR = timedelta(hours=24)


class AnsweredRequest(NamedTuple):
    """A mutation that was answered; `answer` is a JSON object."""

    request_id: str
    method: str
    fingerprint: str
    answer: str
    answered_at: datetime


def insert_request(tx: Transaction, row: AnsweredRequest) -> None:
    """Keep an answer."""
    tx.insert(
        "requests",
        {
            "request_id": [row.request_id],
            "method": [row.method],
            "fingerprint": [row.fingerprint],
            "answer": [row.answer],
            "answered_at": np.array([row.answered_at], dtype="datetime64[us]"),
        },
    )


def delete_requests_before(tx: Transaction, limit: datetime) -> None:
    """Forget answers older than `limit`."""
    tx.cursor.execute("DELETE FROM requests WHERE answered_at < ?", [limit])


def read_requests(cursor: duckdb.DuckDBPyConnection, since: datetime) -> list[AnsweredRequest]:
    """Answers given since."""
    rows = cursor.execute(
        "SELECT request_id, method, fingerprint, answer, answered_at FROM requests WHERE answered_at >= ?", [since]
    ).fetchall()
    return [AnsweredRequest(*row) for row in rows]


__all__ = ["KEPT_FOR", "AnsweredRequest", "delete_requests_before", "insert_request", "read_requests"]
