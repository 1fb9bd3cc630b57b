"""What a child does to a shop until it is killed: steady writers, and rarer, longer works one after the other.

Everything that was acknowledged is said in one line of JSON on standard output, each by one write call: a line is
whole or not there when the kill comes. What is written follows from its name, so that the parent can tell what is
missing, torn or twice, and can send it again.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import visavis
from visavis.cli.main import main as serve
from visavis.cli.session import connect_owner
from visavis.errors import NotReady, VisavisError
from visavis.identify import storing
from visavis.live import histories, kept
from visavis.store import migrations
from visavis.store.owner import read_owner, side_folder
from visavis.store.writer import Writer

LARGEST_BATCH = 400
GROUP = 15  # items or customers that one call changes together
IMPORT_ROWS = 3_000
IMPORT_CHUNK = 500  # instead of 100,000, so that a kill finds an import between two chunks
STEP_ROWS = 50_000
REBASE_ROWS = 2_000  # instead of 100,000, so that a base is built, kept and opened again many times in a store's life
_START = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST_PAUSE = 0.05


def say(**line: Any) -> None:
    """One line to the parent."""
    os.write(1, (json.dumps(line) + "\n").encode())


def batch(name: str) -> list[visavis.Interaction]:
    """The interactions of a batch."""
    chance = random.Random(name)
    return [
        visavis.Interaction(
            "purchase",
            f"customer {chance.randrange(3000)}",
            f"item {chance.randrange(300)}",
            interaction_id=f"{name}-{row}",
            occurred_at=_START + timedelta(minutes=chance.randrange(200_000)),
        )
        for row in range(int(name.rpartition("-")[2]))
    ]


def ware(thread: int, place: int, version: int) -> visavis.Item:
    """One of the items that a thread changes together."""
    return visavis.Item(f"ware {thread}-{place}", name=f"version {version}", category="wares")


def person(thread: int, place: int, version: int) -> visavis.Customer:
    """One of the customers that a thread changes together."""
    address = visavis.Identifier("email", f"person{place}.{thread}@example.org")
    return visavis.Customer(f"person {thread}-{place}", identifiers=(address,), attributes={"version": version})


# Each steady work is called again and again with the shop, a name of its own and the number of its thread.


def _batches(shop: Any, name: str, thread: int, number: int) -> None:
    name = f"{name}-{random.Random(name).randint(1, LARGEST_BATCH)}"
    shop.identify.record(batch(name))
    say(batch=name)


def _single(shop: Any, name: str, thread: int, number: int) -> None:
    shop.identify.record(batch(f"{name}-1"))
    say(batch=f"{name}-1")


def _requests(shop: Any, name: str, thread: int, number: int) -> None:
    name = f"{name}-{random.Random(name).randint(1, 20)}"
    answer = shop.identify.record(batch(name), request_id=name)
    say(request=name, answer=[answer.recorded, answer.already_known])


def _items(shop: Any, name: str, thread: int, number: int) -> None:
    shop.identify.upsert_items([ware(thread, place, number) for place in range(GROUP)])
    say(items=thread, version=number)


def _customers(shop: Any, name: str, thread: int, number: int) -> None:
    shop.identify.upsert_customers([person(thread, place, number) for place in range(GROUP)])
    say(customers=thread, version=number)


def _consents(shop: Any, name: str, thread: int, number: int) -> None:
    customer = f"consenting {random.Random(name).randrange(20)}"
    if number % 1000 == 0:
        shop.identify.upsert_customers([visavis.Customer(f"consenting {place}") for place in range(20)])
    shop.identify.set_consent(customer, visavis.Consent("marketing", number % 2 == 0, source=name))
    say(consent=name)


STEADY = (_batches, _batches, _single, _single, _requests, _items, _customers, _consents)


# Longer works: their beginning is said, so that the kill can be aimed into them.


def _import(shop: Any, name: str, folder: Path) -> None:
    file = folder / f"{name}.csv"
    lines = [
        f"importer {row % 400},import item {row % 90},2026-02-{row % 28 + 1:02} 10:00:00" for row in range(IMPORT_ROWS)
    ]
    file.write_text("customer,item,time\n" + "\n".join(lines) + "\n")
    say(**{"import": name, "file": str(file)})
    shop.identify.import_file(file, source=name)
    say(imported=name)


def _fit(shop: Any, name: str, folder: Path) -> None:
    report = shop.admin.fit()
    say(generation=report.generation)


def _copy(verb: str, shop: Any, name: str, folder: Path) -> None:
    path = folder / f"{verb}-{name}.duckdb"
    getattr(shop.admin, verb)(path)
    say(copy=str(path))


def _compact(shop: Any, name: str, folder: Path) -> None:
    shop.admin.compact()


LONG: dict[str, Callable[[Any, str, Path], None]] = {
    "import": _import,
    "fit": _fit,
    "snapshot": partial(_copy, "snapshot"),
    "backup": partial(_copy, "backup"),
    "compact": _compact,
}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep memory on the disk, and make it anew, at sizes that a large store comes to after days."""
    with patch.object(kept, "KEPT_ROWS", 0), patch.object(histories, "REBASE_ROWS", REBASE_ROWS):
        yield


OPENING = "opening"
CHECKPOINT = "checkpoint"


def long_works(admin: Any) -> list[str]:
    """The longer works that this version knows; what it gets later is taken up by itself."""
    return [name for name in LONG if name == "import" or hasattr(admin, name)]


@contextmanager
def later_version(steps: int) -> Iterator[None]:
    """Be a version of Visavis whose schema has that many steps more."""
    known = migrations.all_migrations()
    more = tuple(_step(known[-1].number + number, number) for number in range(1, steps + 1))
    with patch.object(migrations, "all_migrations", lambda: known + more):
        yield


def _step(number: int, place: int) -> migrations.Migration:
    sql = (
        f"CREATE TABLE step_{place} AS SELECT range AS n, repeat('x', 100) AS t FROM range({STEP_ROWS});"
        f"ALTER TABLE interactions ADD COLUMN step_{place} INTEGER DEFAULT {place};"
        f"UPDATE requests SET method = method;"
    )
    return migrations.Migration(number, f"step_{place}", sql)


def do(shop: Any, round_number: int, folder: Path, long: list[str]) -> None:
    """Work on a shop in many threads until killed, or until its server is gone."""
    threads = [
        threading.Thread(target=_steadily, args=(work, shop, round_number, thread))
        for thread, work in enumerate(STEADY)
    ]
    if long:
        threads.append(threading.Thread(target=_lengthily, args=(long, shop, round_number, folder)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _steadily(work: Callable[[Any, str, int, int], None], shop: Any, round_number: int, thread: int) -> None:
    number = round_number * 1_000_000
    while _tried(work.__name__, work, shop, f"{round_number}-{thread}-{number}", thread, number):
        number += 1


def _lengthily(long: list[str], shop: Any, round_number: int, folder: Path) -> None:
    chance = random.Random(round_number)
    number = 0
    while True:
        name = long[number % len(long)]
        say(begin=name)
        if not _tried(name, LONG[name], shop, f"{round_number}-{number}", folder):
            return
        say(end=name)
        number += 1
        time.sleep(chance.uniform(0, _LONGEST_PAUSE))


def _tried(name: str, work: Callable[..., None], *arguments: Any) -> bool:
    try:
        work(*arguments)
    except NotReady:
        pass  # a fit before anything was recorded
    except VisavisError as error:
        say(error=f"{name}: {type(error).__name__}: {error}")
        return False
    except Exception as error:
        say(error=f"{name}: {error!r}")
        raise
    return True


def tell_checkpoints() -> None:
    """Say when a checkpoint begins and ends: the writer makes them when it sees fit."""
    checkpoint = Writer._checkpoint

    def told(self: Writer, at_bytes: int) -> None:
        due = self._database.wal_bytes() >= at_bytes
        if due:
            say(begin=CHECKPOINT)
        checkpoint(self, at_bytes)
        if due:
            say(end=CHECKPOINT)

    patch.object(Writer, "_checkpoint", told).start()


def main(arguments: list[str]) -> None:
    """The child: `work` opens the store itself, `serve` serves it, `call` works through the server that owns it."""
    mode, path, round_number, steps, *long = arguments
    # A checkpoint that is put off until later is no news.
    logging.getLogger("visavis").setLevel(logging.ERROR)
    patch.object(storing, "CHUNK_ROWS", IMPORT_CHUNK).start()
    with later_version(int(steps)), kept_memory():
        if mode == "serve":
            serve(["serve", "--create", "--data", path, "--listen", "127.0.0.1:0", "--log-level", "error"])
        elif mode == "call":
            owner = read_owner(side_folder(Path(path)))
            if owner is None:
                raise RuntimeError(f"nobody owns {path}")
            with connect_owner(owner) as client:
                do(client, int(round_number), Path(path).parent, long)
        else:
            tell_checkpoints()
            say(begin=OPENING)
            with visavis.open(path, checkpoint_wal_mb=1) as shop:
                say(end=OPENING)
                do(shop, int(round_number), Path(path).parent, long)


if __name__ == "__main__":
    main(sys.argv[1:])


__all__ = [
    "CHECKPOINT",
    "GROUP",
    "IMPORT_CHUNK",
    "IMPORT_ROWS",
    "OPENING",
    "REBASE_ROWS",
    "STEP_ROWS",
    "batch",
    "kept_memory",
    "later_version",
    "long_works",
    "person",
    "ware",
]
