"""Returns of an import with the purchases that they may take back, a share of the customers at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.store.columns import insert_columns
from visavis.store.interactions import filled

if TYPE_CHECKING:
    import duckdb

ROWS_AT_ONCE = 2_000_000


class Candidates(NamedTuple):
    """Rows that returns may be laid on, and the returns, by group (customer and item) and time.

    `place` int64 names the row; `group` int64, `is_return` bool, `quantity` and `price` float64; `is_fresh` bool: the
    row is of this file.
    """

    place: NDArray[np.int64]
    group: NDArray[np.int64]
    is_return: NDArray[np.bool_]
    quantity: NDArray[np.float64]
    price: NDArray[np.float64]
    is_fresh: NDArray[np.bool_]


def return_candidates(
    cursor: duckdb.DuckDBPyConnection, schema: str, owners: NDArray[np.int32], rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[Candidates]:
    """The returns of the file with all purchases and returns of the same customer and item, in the file and the store.

    `owners` int32 [n_identities] names the customer of each identity: who buys by card may return by account. A
    group is never cut in two.
    """
    cursor.execute(f"CREATE TABLE {schema}.owners (identity_code INTEGER, customer INTEGER)")
    if len(owners):
        columns = {"identity_code": np.arange(len(owners), dtype=np.int32), "customer": owners}
        insert_columns(cursor, f"{schema}.owners", columns)
    cursor.execute(
        f"CREATE TABLE {schema}.candidates AS WITH traded AS ("
        "SELECT f.\"row\" AS file_row, f.interaction_id, o.customer, i.code AS item_code, f.kind = 'return' AS "
        f"is_return, f.occurred_at, f.quantity, f.amount_minor FROM {schema}.fresh f "
        f"JOIN {schema}.customer_codes c ON c.id = f.customer JOIN {schema}.owners o ON o.identity_code = c.code "
        f"JOIN {schema}.item_codes i ON i.id = f.item WHERE f.kind IN ('purchase', 'return')"
        "), groups AS (SELECT DISTINCT customer, item_code FROM traded WHERE is_return), "
        "named AS (SELECT kind_code, kind FROM kinds WHERE kind IN ('purchase', 'return')), "
        "found AS (FROM traded UNION ALL "
        "SELECT 0, n.interaction_id, o.customer, n.item_code, k.kind = 'return', n.occurred_at, n.quantity, "
        "n.amount_minor FROM interactions n JOIN named k USING (kind_code) "
        f"JOIN {schema}.owners o USING (identity_code)"
        ") SELECT found.* FROM found SEMI JOIN groups USING (customer, item_code)"
    )
    total = int(cursor.execute(f"SELECT count(*) FROM {schema}.candidates").fetchall()[0][0])
    shares = 1 + total // rows_at_once
    for share in range(shares if total else 0):
        columns = cursor.execute(
            "SELECT rowid AS place, customer::BIGINT * 2147483648 + item_code AS grouped, is_return, quantity, "
            f"round(amount_minor / quantity, 6) AS price, file_row > 0 AS is_fresh FROM {schema}.candidates "
            f"WHERE customer % {shares} = {share} "
            "ORDER BY customer, item_code, occurred_at, is_return, file_row, interaction_id"
        ).fetchnumpy()
        yield Candidates(
            np.asarray(columns["place"], dtype=np.int64),
            np.asarray(columns["grouped"], dtype=np.int64),
            np.asarray(columns["is_return"], dtype=np.bool_),
            filled(columns["quantity"]),
            filled(columns["price"]),
            np.asarray(columns["is_fresh"], dtype=np.bool_),
        )


def link_returns(
    cursor: duckdb.DuckDBPyConnection, schema: str, returns: NDArray[np.int64], purchases: NDArray[np.int64]
) -> None:
    """Note down which purchase each return takes back; both int64 [n], places of candidates."""
    if not len(returns):
        return
    cursor.execute(f"CREATE OR REPLACE TABLE {schema}.pairs (taken BIGINT, bought BIGINT)")
    insert_columns(cursor, f"{schema}.pairs", {"taken": returns, "bought": purchases})
    cursor.execute(
        f"INSERT INTO {schema}.links SELECT t.file_row, b.interaction_id FROM {schema}.pairs p "
        f"JOIN {schema}.candidates t ON t.rowid = p.taken JOIN {schema}.candidates b ON b.rowid = p.bought"
    )


__all__ = ["ROWS_AT_ONCE", "Candidates", "link_returns", "return_candidates"]
