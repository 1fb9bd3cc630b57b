"""A child that opens damaged stores, one after the other, and says what came of it; it may die of one.

It reads a path a line and answers with a line of JSON. First the doctor looks, then the store is opened as any process
would open it, all its tables are read, and a customer is recommended something.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import duckdb

import visavis
from visavis.config import load_settings
from visavis.errors import StoreError
from visavis.live import kept
from visavis.store.doctor import examine
from visavis.store.migrations import table_names

COMMITS = 12  # in each of the two halves: in the file, and in the log alone
ROWS = 150


def make(path: Path, *, closed: bool) -> None:
    """Make a store and die: half of its commits are then in the log alone, or none if it was `closed`."""
    settings = load_settings({"linger_ms": 0}, environ={})
    for half in (0, COMMITS):
        shop = visavis.open(path, settings=settings)
        for commit in range(half, half + COMMITS):
            shop.identify.record(_commit(commit), request_id=f"request {commit}")
            shop.identify.set_consent("customer 1", visavis.Consent("marketing", True, source=f"word {commit}"))
        shop.identify.upsert_items(
            [visavis.Item(f"item {row}", name=f"name {half}", category="c") for row in range(40)]
        )
        if not half:
            shop.fit()
        if not half or closed:
            shop.close()
    os._exit(0)


def _commit(number: int) -> list[visavis.Interaction]:
    return [
        visavis.Interaction(
            "purchase", f"customer {row * (number + 3) % 61}", f"item {row * 7 % 40}", interaction_id=f"{number}-{row}"
        )
        for row in range(ROWS)
    ]


def digests(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[int]]:
    """Of each table the number of rows and a checksum that their order does not change."""
    return {
        table: [
            int(value)
            for value in cursor.execute(
                f"SELECT count(*), coalesce(bit_xor(hash(t)), 0), coalesce(sum(hash(t) % 1000003), 0) FROM {table} t"
            ).fetchall()[0]
        ]
        for table in sorted(table_names(cursor))
    }


def _try(path: Path) -> dict[str, Any]:
    settings = load_settings({"linger_ms": 0, "data": path}, environ={})
    result: dict[str, Any] = {
        "doctor": [f"{one.what}: {one.detail}; {one.advice}" for one in examine(settings) if one.level == "error"]
    }
    print("looked", flush=True)
    try:
        with visavis.open(path, settings=settings) as shop:
            try:
                with shop.store.cursor() as cursor:
                    result["digests"] = digests(cursor)
                for customer in range(61):
                    shop.recommend(f"customer {customer}")
                result["again"] = sum(shop.identify.record(_commit(number)).recorded for number in (0, 2 * COMMITS - 1))
            except StoreError as error:
                result["unreadable"] = str(error)
    except StoreError as error:
        result["refused"] = f"{type(error).__name__}: {error}"
    return result


def main(arguments: list[str]) -> None:
    """`make PATH closed|crashed`, or `open` whatever paths are asked for."""
    logging.disable()
    kept.KEPT_ROWS = 0  # so that a small store, too, has the file
    if arguments[0] == "make":
        make(Path(arguments[1]), closed=arguments[2] == "closed")
    for line in sys.stdin:
        try:
            result = _try(Path(line.rstrip("\n")))
        except Exception as error:  # noqa: BLE001 - the one thing that must not happen is what is looked for
            result = {"broke": repr(error)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])


__all__ = ["digests"]
