"""Numbered, append-only changes of the schema; each file is applied once, in order, at open.

`NNNN_name.sql` holds the statements of step NNNN. A released file is never edited: a new one is added. `views.sql`
is not a step: views hold no data, so ours are made anew whenever a step was applied or one of them is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING

from visavis._version import __version__
from visavis.errors import StoreTooNew

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, its name and its SQL."""

    number: int
    name: str
    sql: str


def all_migrations() -> tuple[Migration, ...]:
    """Every step that this version knows, in order."""
    found = []
    for entry in files(__name__).iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda step: step.number))


def latest_version() -> int:
    """The schema version that this version of Visavis writes."""
    return all_migrations()[-1].number


def schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The last step applied to an open file; 0 for an empty one."""
    if not table_names(connection):
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()
    return int(row[0]) if row else 0


def table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the tables in an open file."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary").fetchall()
    return {name for (name,) in rows}


def view_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the views in an open file."""
    rows = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    return {name for (name,) in rows}


def known_views() -> set[str]:
    """Names of the views that this version makes."""
    return set(re.findall(r"^CREATE VIEW (\w+)", _views_sql(), flags=re.MULTILINE))


def migrate(
    connection: duckdb.DuckDBPyConnection, path: str, checkpoint: Callable[[duckdb.DuckDBPyConnection], None]
) -> int:
    """Apply what is missing, each step in its own transaction, and end with `checkpoint`. Answers the version.

    Raises `StoreTooNew` if the file knows steps that this version does not.
    """
    steps = all_migrations()
    current = schema_version(connection)
    if current > steps[-1].number:
        raise StoreTooNew(
            f"{path} has schema version {current}, this Visavis {__version__} knows {steps[-1].number}; "
            "install the version that wrote it, or a later one",
            metadata={"path": path, "schema_version": str(current), "known_version": str(steps[-1].number)},
        )
    for step in steps[current:]:
        connection.execute("BEGIN")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations "
            "(number INTEGER NOT NULL, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL, version VARCHAR NOT NULL)"
        )
        connection.execute(step.sql)
        connection.execute(
            "INSERT INTO migrations VALUES (?, ?, ?, ?)",
            [step.number, step.name, datetime.now(UTC).replace(tzinfo=None), __version__],
        )
        connection.execute("COMMIT")
    # Looked at in every opening, so that views lost in a crash between the two transactions come back.
    if current < steps[-1].number or known_views() - view_names(connection):
        connection.execute("BEGIN")
        # Ours only: an analyst's own views stay.
        for name in known_views():
            connection.execute(f"DROP VIEW IF EXISTS {name}")
        connection.execute(_views_sql())
        connection.execute("COMMIT")
        # A crash between DDL and checkpoint leaves a log that some versions replay badly: end on a clean file.
        checkpoint(connection)
    return steps[-1].number


def _views_sql() -> str:
    return files(__name__).joinpath("views.sql").read_text(encoding="utf-8")


__all__ = [
    "Migration",
    "all_migrations",
    "known_views",
    "latest_version",
    "migrate",
    "schema_version",
    "table_names",
    "view_names",
]
