"""From checked rows in a staging file to the table `interactions`: ids to codes, returns to purchases, then chunks.

What will be stored (`fresh`) is every row that was not refused and not known before. Codes come from memory by way of
the writer; here they are only noted down beside the ids, in the staging file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.store.columns import insert_columns
from visavis.store.interactions import filled
from visavis.store.sources import quote
from visavis.store.writer import Transaction

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


class Candidates(NamedTuple):
    """Rows that returns may be laid on, and the returns, by group (customer and item) and time.

    `group` int64, `is_return` bool, `quantity` and `price` float64; `is_fresh` bool: the row is of this file.
    """

    group: NDArray[np.int64]
    is_return: NDArray[np.bool_]
    quantity: NDArray[np.float64]
    price: NDArray[np.float64]
    is_fresh: NDArray[np.bool_]


class Loaded(NamedTuple):
    """What a chunk added. `hashes` uint64 of the interaction ids."""

    hashes: NDArray[np.uint64]
    without_customer: int
    returns: int
    linked: int


def list_fresh(cursor: duckdb.DuckDBPyConnection, schema: str) -> tuple[int, int]:
    """List the distinct customers and items of the rows to be stored, in order of appearance; answers how many."""
    cursor.execute(
        f'CREATE VIEW {schema}.fresh AS SELECT * FROM {schema}.rows ANTI JOIN {schema}.known USING ("row") '
        "WHERE reason IS NULL"
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
    return counts[0], counts[1]


def fresh_kinds(cursor: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    """The kinds of the rows to be stored, in order of appearance."""
    found = cursor.execute(f'SELECT kind FROM {schema}.fresh GROUP BY kind ORDER BY min("row")').fetchall()
    return [kind for (kind,) in found]


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


def make_ready(cursor: duckdb.DuckDBPyConnection, schema: str) -> int:
    """Make `ready`: the rows to be stored with codes for ids, in the order of the file; answers how many."""
    cursor.execute(
        f'CREATE TABLE {schema}.ready AS SELECT row_number() OVER (ORDER BY f."row") - 1 AS place, f.interaction_id, '
        "f.id_hash, coalesce(c.code, -1)::INTEGER AS identity_code, coalesce(i.code, -1)::INTEGER AS item_code, "
        "k.code AS kind_code, f.kind = 'return' AS is_return, f.kind = 'purchase' AS is_purchase, f.occurred_at, "
        "f.quantity, f.amount_minor, f.currency, f.rating, f.cost_minor, f.discount_minor, f.tax_minor, f.order_id, "
        f"{_clean('f.touchpoint')} AS touchpoint "
        f"FROM {schema}.fresh f LEFT JOIN {schema}.customer_codes c ON c.id = f.customer "
        f"LEFT JOIN {schema}.item_codes i ON i.id = f.item JOIN {schema}.kind_codes k ON k.kind = f.kind ORDER BY place"
    )
    cursor.execute(f"CREATE TABLE {schema}.links (place BIGINT, reverses_id VARCHAR)")
    return int(cursor.execute(f"SELECT count(*) FROM {schema}.ready").fetchall()[0][0])


def return_candidates(cursor: duckdb.DuckDBPyConnection, schema: str, owners: NDArray[np.int32]) -> Candidates:
    """The returns of the file with all purchases and returns of the same customer and item, in the file and the store.

    `owners` int32 [n_identities] names the customer of each identity: who buys by card may return by account.
    """
    cursor.execute(f"CREATE TABLE {schema}.owners (identity_code INTEGER, customer INTEGER)")
    if len(owners):
        columns = {"identity_code": np.arange(len(owners), dtype=np.int32), "customer": owners}
        insert_columns(cursor, f"{schema}.owners", columns)
    cursor.execute(
        f"CREATE TABLE {schema}.candidates AS WITH groups AS (SELECT DISTINCT o.customer, r.item_code FROM "
        f"{schema}.ready r JOIN {schema}.owners o USING (identity_code) WHERE r.is_return AND r.item_code >= 0), "
        "named AS (SELECT kind_code, kind FROM kinds WHERE kind IN ('purchase', 'return')), "
        "found AS ("
        "SELECT r.place, r.interaction_id, o.customer, r.item_code, r.is_return, r.occurred_at, r.quantity, "
        f"r.amount_minor FROM {schema}.ready r JOIN {schema}.owners o USING (identity_code) "
        "WHERE r.is_return OR r.is_purchase "
        "UNION ALL "
        "SELECT -1, n.interaction_id, o.customer, n.item_code, k.kind = 'return', n.occurred_at, n.quantity, "
        "n.amount_minor FROM interactions n JOIN named k USING (kind_code) "
        f"JOIN {schema}.owners o USING (identity_code)"
        ") SELECT found.* FROM found SEMI JOIN groups USING (customer, item_code) "
        "ORDER BY customer, item_code, occurred_at, is_return, place, interaction_id"
    )
    columns = cursor.execute(
        "SELECT customer::BIGINT * 2147483648 + item_code AS grouped, is_return, quantity, "
        f"round(amount_minor / quantity, 6) AS price, place >= 0 AS is_fresh FROM {schema}.candidates ORDER BY rowid"
    ).fetchnumpy()
    return Candidates(
        np.asarray(columns["grouped"], dtype=np.int64),
        np.asarray(columns["is_return"], dtype=np.bool_),
        filled(columns["quantity"]),
        filled(columns["price"]),
        np.asarray(columns["is_fresh"], dtype=np.bool_),
    )


def link_returns(
    cursor: duckdb.DuckDBPyConnection, schema: str, returns: NDArray[np.int64], purchases: NDArray[np.int64]
) -> None:
    """Note down which purchase each return takes back; both int64 [n], rows of the candidates."""
    if not len(returns):
        return
    cursor.execute(f"CREATE TABLE {schema}.pairs (taken BIGINT, bought BIGINT)")
    insert_columns(cursor, f"{schema}.pairs", {"taken": returns, "bought": purchases})
    cursor.execute(
        f"INSERT INTO {schema}.links SELECT t.place, b.interaction_id FROM {schema}.pairs p "
        f"JOIN {schema}.candidates t ON t.rowid = p.taken JOIN {schema}.candidates b ON b.rowid = p.bought"
    )


def load_chunk(
    tx: Transaction, schema: str, start: int, count: int, *, since: int, source: str, recorded_at: int
) -> Loaded:
    """Copy rows `start` … of `ready` into `interactions`, but for those recorded after commit `since`.

    `recorded_at` in microseconds. The transaction must hold nothing else (an exclusive operation).
    """
    cursor = tx.cursor
    cursor.execute(
        "INSERT INTO interactions (sequence, interaction_id, id_hash, identity_code, item_code, kind_code, "
        "occurred_at, quantity, amount_minor, currency, rating, cost_minor, discount_minor, tax_minor, order_id, "
        f"touchpoint, reverses_id, source, recorded_at) SELECT {tx.sequence}, r.interaction_id, r.id_hash, "
        "r.identity_code, r.item_code, r.kind_code, r.occurred_at, r.quantity, r.amount_minor, r.currency, r.rating, "
        "r.cost_minor, r.discount_minor, r.tax_minor, r.order_id, r.touchpoint, l.reverses_id, "
        f"{quote(source)}, make_timestamp({recorded_at}) "
        f"FROM {schema}.ready r LEFT JOIN {schema}.links l USING (place) "
        f"WHERE r.place >= {start} AND r.place < {start + count} AND NOT EXISTS (SELECT 1 FROM interactions n "
        f"WHERE n.sequence > {since} AND n.id_hash = r.id_hash AND n.interaction_id = r.interaction_id) "
        "ORDER BY r.place"
    )
    added = cursor.execute(
        "SELECT id_hash, identity_code < 0 AS nobody, kind = 'return' AS returned, reverses_id IS NOT NULL AS linked "
        f"FROM interactions JOIN kinds USING (kind_code) WHERE sequence = {tx.sequence}"
    ).fetchnumpy()
    nobody = np.asarray(added["nobody"], dtype=np.bool_)
    return Loaded(
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
    "Candidates",
    "ItemDetails",
    "Loaded",
    "fresh_customers",
    "fresh_items",
    "fresh_kinds",
    "link_returns",
    "list_fresh",
    "load_chunk",
    "make_ready",
    "note_codes",
    "note_kinds",
    "return_candidates",
]
