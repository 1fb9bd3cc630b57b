"""Answers by request id: written, read since a time, forgotten before one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from visavis.config import Settings
from visavis.store import Operation, Store
from visavis.store.requests import AnsweredRequest, delete_requests_before, insert_request, read_requests

NOON = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - as stored


def test_answers_are_kept_and_forgotten(tmp_path: Path, plain_settings: Settings) -> None:
    rows = [AnsweredRequest(f"r{hour}", "record", "f", "{}", NOON + timedelta(hours=hour)) for hour in range(3)]
    with Store.open(tmp_path / "s.duckdb", plain_settings) as store:
        for row in rows:
            store.writer.run(Operation(lambda tx, row=row: insert_request(tx, row)))  # type: ignore[misc]
        with store.cursor() as cursor:
            assert read_requests(cursor, NOON + timedelta(hours=1)) == rows[1:]
        store.writer.run(Operation(lambda tx: delete_requests_before(tx, NOON + timedelta(hours=2))))
        with store.cursor() as cursor:
            assert read_requests(cursor, NOON) == rows[2:]
