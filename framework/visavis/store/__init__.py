"""The DuckDB file: opening, migrating, the one writer, and one module a table family.

The only home of duckdb and of SQL. Other rooms call functions of the table modules with a `Transaction` (to
write) or with a cursor from `Store.cursor()` (to read).
"""

from visavis.store.store import Store
from visavis.store.transaction import Operation, Participant, Transaction

__all__ = ["Operation", "Participant", "Store", "Transaction"]
