"""Each row of a staged file on its own: read by role, refused for one reason, known from before, or fresh.

The file is worked through in ranges of rows, so that memory does not grow with it. What needs all rows at once (which
ones are equal, which ids repeat) is narrowed down by hash first, a share of the hashes at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visavis.model import Progress, RejectedRow
from visavis.store.row_checks import CHECKS, ROW_REASONS, Plan, checked_rows_sql, row_text
from visavis.store.source_files import NESTED, quote
from visavis.store.watching import watched

if TYPE_CHECKING:
    import duckdb

RANGE_ROWS = 4 * 122_880
"""Rows checked by one statement; DuckDB's row groups have 122,880, and a thread works on one."""
HASHES_AT_ONCE = 8_000_000
"""Hashes that are grouped by one statement: some 300 MB."""

Tell = Callable[[Progress], None]


class Checked(NamedTuple):
    """Counts of a checked file. `known` rows were recorded before; `sequence` is a commit up to which that holds."""

    rows: int
    rejected: Mapping[str, int]
    known: int
    sequence: int


def check_rows(
    cursor: duckdb.DuckDBPyConnection, schema: str, plan: Plan, tell: Tell = lambda progress: None
) -> Checked:
    """Make `rows` (every row by role, with its reason if refused), `known` and `rejected` in the staging file.

    Tells of the steps `compare` (rows with each other, then with the store) and `check`.
    """
    exponents = dict(cursor.execute("SELECT currency, exponent FROM currencies").fetchall())
    split, broken = _count(cursor, f"{schema}.raw"), _count(cursor, f"{schema}.broken")
    by_id = "id" in plan.places
    cursor.execute(f"CREATE TABLE {schema}.repeated (place BIGINT, ordinal BIGINT)")
    if not by_id:
        with watched(cursor, tell, "compare", split):
            _find_repeated(cursor, schema, plan, split)
    if broken:
        cursor.execute(
            f'CREATE TABLE {schema}.shifts AS SELECT before, max(n) AS n FROM (SELECT "row" - row_number() OVER '
            f'(ORDER BY "row") AS before, row_number() OVER (ORDER BY "row") AS n FROM {schema}.broken) '
            "GROUP BY before ORDER BY before"
        )
    into = f"CREATE TABLE {schema}.rows AS"
    for start in range(0, max(split, 1), RANGE_ROWS):
        end = start + RANGE_ROWS
        cursor.execute(f"{into} {checked_rows_sql(schema, plan, exponents, start, end, broken=broken > 0)}")
        into = f"INSERT INTO {schema}.rows"
        if end < split:
            tell(Progress("check", end, split + broken))
    with watched(cursor, tell, "compare", split):
        sequence = _find_known(cursor, schema, split, by_id=by_id)
        _list_rejected(cursor, schema)
    rejected = cursor.execute(
        f"SELECT reason, count(*) FROM {schema}.rejected GROUP BY reason ORDER BY count(*) DESC, reason"
    ).fetchall()
    return Checked(split + broken, dict(rejected), _count(cursor, f"{schema}.known"), sequence)


def rejected_samples(
    cursor: duckdb.DuckDBPyConnection, schema: str, most: int, fields: Mapping[str, str]
) -> tuple[RejectedRow, ...]:
    """The first refused rows; `fields` names the file's column of each role."""
    found = cursor.execute(
        f'SELECT "row", reason, role, value FROM {schema}.rejected ORDER BY "row" LIMIT {most}'
    ).fetchall()
    return tuple(RejectedRow(row, reason, fields.get(role, role), value) for row, reason, role, value in found)


def write_rejects(
    cursor: duckdb.DuckDBPyConnection, schema: str, names: tuple[str, ...], fields: Mapping[str, str], path: Path
) -> None:
    """Write every refused row to a CSV file: row number, reason, field, value, then the file's own columns."""
    columns = "".join(
        f', ltrim(w.c{place}, chr({NESTED})) AS "{name.replace(chr(34), chr(34) * 2)}"'
        for place, name in enumerate(names)
    )
    named = "CASE x.role " + "".join(f"WHEN {quote(r)} THEN {quote(n)} " for r, n in fields.items()) + "ELSE x.role END"
    if not fields:
        named = "x.role"
    cursor.execute(
        f'COPY (SELECT x."row" AS "row", x.reason AS reason, {named} AS field, x.value AS value{columns} '
        f'FROM {schema}.rejected x LEFT JOIN {schema}.raw w ON w.rowid = x.place ORDER BY x."row") '
        # Into the file that is there, with its permissions, instead of beside it under a new one.
        f"TO {quote(str(path))} (FORMAT csv, HEADER true, USE_TMP_FILE false)"
    )


def _find_repeated(cursor: duckdb.DuckDBPyConnection, schema: str, plan: Plan, rows: int) -> None:
    """Fill `repeated`: the rows that have an equal one before them, with their number among their equals."""
    text = row_text(plan)
    cursor.execute(f"CREATE TABLE {schema}.prints AS SELECT rowid AS place, hash({text}) AS hash FROM {schema}.raw")
    if _list_doubles(cursor, schema, f"{schema}.prints", rows):
        cursor.execute(
            f"INSERT INTO {schema}.repeated SELECT place, ordinal FROM (SELECT place, row_number() OVER "
            f"(PARTITION BY text ORDER BY place) AS ordinal FROM (SELECT rowid AS place, md5({text}) AS text "
            f"FROM {schema}.raw SEMI JOIN (SELECT place FROM {schema}.prints SEMI JOIN {schema}.doubles USING (hash)) "
            "AS suspects ON suspects.place = raw.rowid)) WHERE ordinal > 1"
        )
    cursor.execute(f"DROP TABLE {schema}.prints")
    cursor.execute(f"DROP TABLE {schema}.doubles")


def _list_doubles(cursor: duckdb.DuckDBPyConnection, schema: str, table: str, rows: int) -> int:
    """Make `doubles`: each `hash` that stands in the table more than once. Answers how many."""
    cursor.execute(f"CREATE TABLE {schema}.doubles (hash UBIGINT)")
    shares = 1 + rows // HASHES_AT_ONCE
    for share in range(shares):
        cursor.execute(
            f"INSERT INTO {schema}.doubles SELECT hash FROM {table} WHERE hash % {shares} = {share} "
            "GROUP BY hash HAVING count(*) > 1"
        )
    return _count(cursor, f"{schema}.doubles")


def _find_known(cursor: duckdb.DuckDBPyConnection, schema: str, rows: int, *, by_id: bool) -> int:
    """Make `known`: rows that the store has, and repeated ids; answers the commit up to which that holds."""
    # First: what is recorded from here on may or may not be found, and is looked for again when rows are stored.
    sequence = int(cursor.execute("SELECT sequence FROM store_state").fetchall()[0][0])
    known = (
        f'SELECT r."row" FROM {schema}.rows r SEMI JOIN interactions i '
        "ON i.id_hash = r.id_hash AND i.interaction_id = r.interaction_id WHERE r.reason IS NULL"
    )
    if by_id:
        cursor.execute(f"CREATE VIEW {schema}.ids AS SELECT id_hash AS hash FROM {schema}.rows WHERE reason IS NULL")
        _list_doubles(cursor, schema, f"{schema}.ids", rows)
        known += (
            ' UNION SELECT "row" FROM (SELECT "row", row_number() OVER (PARTITION BY interaction_id ORDER BY "row") '
            f"AS n FROM {schema}.rows SEMI JOIN {schema}.doubles ON doubles.hash = rows.id_hash "
            "WHERE reason IS NULL) WHERE n > 1"
        )
    cursor.execute(f"CREATE TABLE {schema}.known AS {known}")
    return sequence


def _list_rejected(cursor: duckdb.DuckDBPyConnection, schema: str) -> None:
    cursor.execute(f"CREATE TABLE {schema}.reasons (code VARCHAR, reason VARCHAR, role VARCHAR)")
    checks = ", ".join(f"({', '.join(map(quote, check[:3]))})" for check in (*CHECKS, *ROW_REASONS))
    cursor.execute(f"INSERT INTO {schema}.reasons VALUES {checks}")
    cursor.execute(
        f'CREATE TABLE {schema}.rejected AS SELECT r."row", r.place, m.reason, m.role, '
        f"coalesce(left(ltrim(r.value, chr({NESTED})), 200), '') AS value "
        f"FROM {schema}.rows r JOIN {schema}.reasons m ON m.code = r.reason "
        'UNION ALL SELECT b."row", NULL, '
        "coalesce(m.reason, 'record cannot be read'), '', coalesce(left(b.line, 200), '') "
        f"FROM {schema}.broken b LEFT JOIN {schema}.reasons m ON m.code = b.error"
    )


def _count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


__all__ = [
    "HASHES_AT_ONCE",
    "RANGE_ROWS",
    "Checked",
    "Tell",
    "check_rows",
    "rejected_samples",
    "write_rejects",
]
