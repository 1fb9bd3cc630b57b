"""Long statements are watched while they run, and ended by who watches."""

from __future__ import annotations

import duckdb
import pytest

from visavis.model import Progress
from visavis.store import watching
from visavis.store.watching import watched

LONG = "SELECT count(*) FROM range(1000000000) a(x) JOIN range(100000) b(y) ON hash(x) % 100000 = y"


def test_what_is_raised_ends_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PERIOD_S", 0.05)
    told: list[Progress] = []

    def give_up(progress: Progress) -> None:
        told.append(progress)
        raise InterruptedError("enough")

    with duckdb.connect() as connection:
        with pytest.raises(InterruptedError, match="enough"), watched(connection, give_up, "read", 1000):
            connection.execute(LONG)
        assert connection.execute("SELECT 1").fetchall() == [(1,)], "the connection is of use again"
    assert [(one.step, one.total) for one in told] == [("read", 1000)]
    assert 0 <= told[0].done <= 1000


def test_a_failure_of_the_statement_passes() -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(duckdb.ParserException),
        watched(connection, lambda _: None, "read", 1),
    ):
        connection.execute("no SQL")
