"""From checked rows in a staging file to the table `interactions`: ids to codes, then chunk by chunk.

What will be stored (`fresh`) is every row that was not refused and not known before. Codes come from memory by way of
the writer; here they are only noted down beside the ids, in the staging file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.store.columns import insert_columns
from visavis.store.source_files import quote
from visavis.store.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

CONTROL = r"[\x00-\x20\x7f]+"
_LONGEST_TEXT = 2_000


class ItemDetails(NamedTuple):
    """An item as the file describes it; empty texts and a None price where it does not."""

    item_id: str
    name: str
    category: str
    brand: str
    price_minor: int | None
    currency: str


class Chunk(NamedTuple):
    """Rows of `fresh` from `first` to `last` (row numbers, both included), and how many these are."""

    first: int
    last: int
    rows: int


class Loaded(NamedTuple):
    """What a chunk added, in which commit. `hashes` uint64 of the interaction ids."""

    sequence: int
    hashes: NDArray[np.uint64]
    without_customer: int
    returns: int
    linked: int


def list_fresh(cursor: duckdb.DuckDBPyConnection, schema: str, *, known: int) -> tuple[int, int]:
    """List the distinct customers and items of the rows to be stored, in order of appearance; answers how many.

    `known`: how many rows the store has already.
    """
    # As a table only where that saves work: these rows are read several times.
    cursor.execute(
        f'CREATE TABLE {schema}.fresh AS SELECT * FROM {schema}.rows ANTI JOIN {schema}.known USING ("row") '
        "WHERE reason IS NULL"
        if known
        else f"CREATE VIEW {schema}.fresh AS SELECT * FROM {schema}.rows WHERE reason IS NULL"
    )
    counts = []
    for role in ("customer", "item"):
        cursor.execute(
            f"CREATE TABLE {schema}.{role}s AS SELECT {role} AS id FROM {schema}.fresh WHERE {role} IS NOT NULL "
            f'GROUP BY {role} ORDER BY min("row")'
        )
        cursor.execute(f"CREATE TABLE {schema}.{role}_codes (id VARCHAR, code INTEGER)")
        counts.append(int(cursor.execute(f"SELECT count(*) FROM {schema}.{role}s").fetchall()[0][0]))
    _describe_items(cursor, schema)
    cursor.execute(f"CREATE TABLE {schema}.links (place BIGINT, reverses_id VARCHAR)")
    cursor.execute(f"CREATE TABLE {schema}.others (id_hash UBIGINT, interaction_id VARCHAR)")
    return counts[0], counts[1]


def fresh_kinds(cursor: duckdb.DuckDBPyConnection, schema: str, most: int) -> tuple[list[str], int]:
    """The first `most` kinds of the rows to be stored, in order of appearance, and how many there are."""
    found = cursor.execute(
        'SELECT kind, count(*) OVER () FROM (SELECT kind, min("row") AS first FROM '
        f"{schema}.fresh GROUP BY kind) ORDER BY first LIMIT {most}"
    ).fetchall()
    return [kind for kind, _ in found], found[0][1] if found else 0


def fresh_customers(cursor: duckdb.DuckDBPyConnection, schema: str, start: int, count: int) -> list[str]:
    """A page of the customers listed."""
    found = cursor.execute(
        f"SELECT id FROM {schema}.customers WHERE rowid >= {start} AND rowid < {start + count} ORDER BY rowid"
    ).fetchall()
    return [customer for (customer,) in found]


def fresh_items(cursor: duckdb.DuckDBPyConnection, schema: str, start: int, count: int) -> list[ItemDetails]:
    """A page of the items listed, with what the file says of them."""
    found = cursor.execute(
        "SELECT i.id, coalesce(d.name, ''), coalesce(d.category, ''), coalesce(d.brand, ''), d.price_minor, "
        f"coalesce(d.currency, '') FROM {schema}.items i LEFT JOIN {schema}.item_details d USING (id) "
        f"WHERE i.rowid >= {start} AND i.rowid < {start + count} ORDER BY i.rowid"
    ).fetchall()
    return [ItemDetails(*row) for row in found]


def note_codes(
    cursor: duckdb.DuckDBPyConnection, schema: str, role: str, ids: Sequence[str], codes: NDArray[np.int32]
) -> None:
    """Note down the codes of customers or items (`role` is `customer` or `item`)."""
    insert_columns(cursor, f"{schema}.{role}_codes", {"id": ids, "code": codes})


def note_kinds(cursor: duckdb.DuckDBPyConnection, schema: str, kinds: Sequence[str], codes: NDArray[np.uint16]) -> None:
    """Note down the codes of kinds."""
    cursor.execute(f"CREATE TABLE {schema}.kind_codes (kind VARCHAR, code USMALLINT)")
    insert_columns(cursor, f"{schema}.kind_codes", {"kind": kinds, "code": codes})


def chunks(cursor: duckdb.DuckDBPyConnection, schema: str, rows: int) -> Iterator[Chunk]:
    """Cut the rows to be stored into chunks of exactly `rows` (the last one may be smaller), in the order of the file.

    A whole row group of DuckDB goes straight into the file, anything less by way of its log.
    """
    found = cursor.execute(f'SELECT min("row"), max("row") FROM {schema}.fresh').fetchall()
    start, end = found[0]
    width = 4 * rows
    while start is not None and start <= end:
        numbers = cursor.execute(
            f'SELECT "row" FROM {schema}.fresh WHERE "row" >= {start} AND "row" < {start + width} ORDER BY "row"'
        ).fetchnumpy()["row"]
        over = start + width > end
        whole = len(numbers) // rows * rows
        if not over and not whole:
            width *= 2  # most rows here are refused or known
            continue
        for place in range(0, len(numbers) if over else whole, rows):
            part = numbers[place : place + rows]
            yield Chunk(int(part[0]), int(part[-1]), len(part))
        start = int(numbers[whole]) if whole < len(numbers) and not over else start + width


def note_others(cursor: duckdb.DuckDBPyConnection, schema: str, *, after: int, own: int) -> int:
    """Note down what others recorded after commit `after`, all but commit `own`; answers the commit up to which."""
    cursor.execute("BEGIN")
    try:
        sequence = int(cursor.execute("SELECT sequence FROM store_state").fetchall()[0][0])
        cursor.execute(
            f"INSERT INTO {schema}.others SELECT id_hash, interaction_id FROM interactions "
            f"WHERE sequence > {after} AND sequence <> {own}"
        )
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")
    return sequence


def load_chunk(tx: Transaction, schema: str, chunk: Chunk, *, since: int, source: str, recorded_at: int) -> Loaded:
    """Copy a chunk of `fresh` into `interactions`, but for what is in `others` or was recorded after commit `since`.

    `recorded_at` in microseconds. The transaction must hold nothing else (an exclusive operation).
    """
    cursor = tx.cursor
    cursor.execute(
        "INSERT INTO interactions (sequence, interaction_id, id_hash, identity_code, item_code, kind_code, "
        "occurred_at, quantity, amount_minor, currency, rating, cost_minor, discount_minor, tax_minor, order_id, "
        f"touchpoint, reverses_id, source, recorded_at) SELECT {tx.sequence}, f.interaction_id, f.id_hash, "
        "coalesce(c.code, -1), coalesce(i.code, -1), k.code, f.occurred_at, f.quantity, f.amount_minor, f.currency, "
        f"f.rating, f.cost_minor, f.discount_minor, f.tax_minor, f.order_id, {_clean('f.touchpoint')}, l.reverses_id, "
        f"{quote(source)}, make_timestamp({recorded_at}) "
        f'FROM (SELECT * FROM {schema}.fresh WHERE "row" >= {chunk.first} AND "row" <= {chunk.last}) f '
        f"LEFT JOIN {schema}.customer_codes c ON c.id = f.customer LEFT JOIN {schema}.item_codes i ON i.id = f.item "
        f"JOIN {schema}.kind_codes k ON k.kind = f.kind "
        f"LEFT JOIN (SELECT * FROM {schema}.links WHERE place >= {chunk.first} AND place <= {chunk.last}) l "
        'ON l.place = f."row" '
        f"WHERE NOT EXISTS (SELECT 1 FROM {schema}.others o WHERE o.id_hash = f.id_hash AND "
        "o.interaction_id = f.interaction_id) AND NOT EXISTS (SELECT 1 FROM interactions n "
        f"WHERE n.sequence > {since} AND n.id_hash = f.id_hash AND n.interaction_id = f.interaction_id) "
        'ORDER BY f."row"'
    )
    added = cursor.execute(
        "SELECT id_hash, identity_code < 0 AS nobody, kind = 'return' AS returned, reverses_id IS NOT NULL AS linked "
        f"FROM interactions JOIN kinds USING (kind_code) WHERE sequence = {tx.sequence}"
    ).fetchnumpy()
    nobody = np.asarray(added["nobody"], dtype=np.bool_)
    return Loaded(
        tx.sequence,
        np.asarray(added["id_hash"], dtype=np.uint64),
        int(nobody.sum()),
        int((np.asarray(added["returned"], dtype=np.bool_) & ~nobody).sum()),
        int(np.asarray(added["linked"], dtype=np.bool_).sum()),
    )


def _describe_items(cursor: duckdb.DuckDBPyConnection, schema: str) -> None:
    """What the file says of each item: its most usual texts, those of paid rows first (stock notes such as `damaged`
    cost nothing), and its latest price."""
    texts = []
    for column in ("name", "category", "brand"):
        texts.append(
            f"{column}s AS (SELECT item AS id, arg_max(v, (paid, n, latest)) AS {column} FROM (SELECT item, v, "
            f'count(*) FILTER (price_minor > 0) AS paid, count(*) AS n, max("row") AS latest FROM (SELECT *, '
            f"{_clean(column)} AS v FROM {schema}.fresh WHERE {column} IS NOT NULL AND item IS NOT NULL) "
            "WHERE v IS NOT NULL GROUP BY item, v) GROUP BY item)"
        )
    cursor.execute(
        f"CREATE TABLE {schema}.item_details AS WITH {', '.join(texts)}, prices AS (SELECT item AS id, "
        'arg_max(price_minor, (occurred_at, "row")) AS price_minor, '
        'arg_max(price_currency, (occurred_at, "row")) AS currency '
        f"FROM {schema}.fresh WHERE price_minor IS NOT NULL AND item IS NOT NULL GROUP BY item) "
        "SELECT id, name, category, brand, price_minor, currency FROM names FULL JOIN categorys USING (id) "
        "FULL JOIN brands USING (id) FULL JOIN prices USING (id)"
    )


def _clean(column: str) -> str:
    spaced = f"trim(regexp_replace({column}, {quote(CONTROL)}, ' ', 'g'))"
    return f"nullif(left({spaced}, {_LONGEST_TEXT}), '')"


__all__ = [
    "Chunk",
    "ItemDetails",
    "Loaded",
    "chunks",
    "fresh_customers",
    "fresh_items",
    "fresh_kinds",
    "list_fresh",
    "load_chunk",
    "note_codes",
    "note_kinds",
    "note_others",
]
