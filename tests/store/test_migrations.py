"""Steps of the schema: numbered without a gap, each applied once."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from string import ascii_uppercase

import duckdb
import pytest

from visavis.errors import StoreTooNew
from visavis.money import exponent
from visavis.store import migrations
from visavis.store.migrations import Migration, all_migrations, latest_version, migrate, schema_version


def _checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CHECKPOINT")


def test_steps_are_numbered_from_one_without_a_gap() -> None:
    steps = all_migrations()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert latest_version() == len(steps)
    assert len({step.name for step in steps}) == len(steps)


def test_an_empty_file_gets_all_steps_once(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        assert schema_version(connection) == 0
        assert migrate(connection, "s", _checkpoint) == latest_version()
        assert migrate(connection, "s", _checkpoint) == schema_version(connection) == latest_version()
        applied = connection.execute("SELECT number, name FROM migrations ORDER BY number").fetchall()
    assert applied == [(step.number, step.name) for step in all_migrations()]


def test_a_later_step_is_added_and_views_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        migrate(connection, "s", _checkpoint)
        connection.execute('DROP VIEW "segments"')
        later = (
            *all_migrations(),
            Migration(latest_version() + 1, "more", "ALTER TABLE items ADD COLUMN colour VARCHAR"),
        )
        monkeypatch.setattr(migrations, "all_migrations", lambda: later)
        assert migrate(connection, "s", _checkpoint) == len(later)
        connection.execute("SELECT colour FROM items")
        connection.execute("SELECT * FROM segments")


def test_views_lost_in_a_crash_come_back_and_foreign_ones_stay(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        migrate(connection, "s", _checkpoint)
        made = migrations.view_names(connection)
        assert made == migrations.known_views()
        connection.execute("CREATE VIEW mine AS SELECT 1 AS one")
        for view in made:
            connection.execute(f"DROP VIEW {view}")
        migrate(connection, "s", _checkpoint)
        assert migrations.view_names(connection) == {*made, "mine"}


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.duckdb"
    known = latest_version()
    bad = (*all_migrations(), Migration(known + 1, "bad", "CREATE TABLE half (a INTEGER); SELECT * FROM nowhere"))
    with duckdb.connect(str(path)) as connection:
        migrate(connection, "s", _checkpoint)
        monkeypatch.setattr(migrations, "all_migrations", lambda: bad)
        with pytest.raises(duckdb.CatalogException):
            migrate(connection, "s", _checkpoint)
    with duckdb.connect(str(path)) as connection:
        assert schema_version(connection) == known
        assert "half" not in migrations.table_names(connection)


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        migrate(connection, "s", _checkpoint)
        connection.execute("INSERT INTO migrations VALUES (7777, 'later', now()::TIMESTAMP, '9')")
        with pytest.raises(StoreTooNew, match="7777") as caught:
            migrate(connection, "the path", _checkpoint)
    assert caught.value.metadata["path"] == "the path"


def test_the_views_know_the_same_minor_units_as_money(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        migrate(connection, "s", _checkpoint)
        stored = dict(connection.execute("SELECT currency, exponent FROM currencies").fetchall())
    every = ["".join(letters) for letters in product(ascii_uppercase, repeat=3)]
    assert stored == {currency: exponent(currency) for currency in every if exponent(currency) != 2}
