"""How far long statements are, told while they run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from visavis.model import Progress

if TYPE_CHECKING:
    import duckdb

PERIOD_S = 0.5


@contextmanager
def watched(
    cursor: duckdb.DuckDBPyConnection, tell: Callable[[Progress], None], step: str, total: int
) -> Iterator[None]:
    """Tell twice a second how much of `total` the statement that runs in this block has done, by DuckDB's estimate.

    Nothing is told of a block shorter than that. `tell` is called from another thread; what it raises ends the
    statement, and is raised from the block.
    """
    ended = threading.Event()
    raised: list[BaseException] = []

    def watch() -> None:
        percent = 0.0
        while not ended.wait(PERIOD_S):
            # Below 0 between statements, and for as long as DuckDB has no estimate.
            percent = max(percent, min(100.0, cursor.query_progress()))
            try:
                tell(Progress(step, int(total * percent / 100), total))
            except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
                raised.append(error)
                # Until the block ends: an interrupt between two statements stops neither.
                while not ended.wait(PERIOD_S / 10):
                    cursor.interrupt()
                return

    cursor.execute("SET enable_progress_bar = true")
    cursor.execute("SET enable_progress_bar_print = false")
    thread = threading.Thread(target=watch, name="visavis-watch", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        if raised:
            raise raised[0] from None
        raise
    finally:
        ended.set()
        thread.join()
    if raised:
        raise raised[0]


__all__ = ["PERIOD_S", "watched"]
