"""The record of what was answered: gathered for a moment, then handed to the writer in one piece.

A commit costs as much as many answers take, so answers do not bring one about each. What is gathered when the process
is killed is lost with it; that is at most `LINGER_S`. Closing writes everything.
"""

from __future__ import annotations

import logging
import threading

from visavis.errors import VisavisError
from visavis.store import Operation, Store
from visavis.store.decisions import Decisions, insert_decisions

LINGER_S = 0.5
FULL = 2_000
"""Answers that are handed in at once, whatever the time."""

log = logging.getLogger("visavis.customize")


class Recorder:
    """Takes answers from any thread; never waits and never raises. One that cannot be written is counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._counting = threading.Lock()
        self._gathered: list[Decisions] = []
        self._answers = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self.unrecorded = 0
        """Answers whose record was dropped: too much was waiting to be written, or the writer has stopped."""

    def add(self, decided: Decisions) -> None:
        """Record these answers soon."""
        failure = self._store.writer.failure
        if failure is not None:
            self._count(len(decided.identities), failure)
            return
        with self._changed:
            self._gathered.append(decided)
            self._answers += len(decided.identities)
            if len(self._gathered) == 1 or self._answers >= FULL or self._closing:
                self._see_to_it()

    def flush(self) -> None:
        """Hand in what is gathered; a write that is submitted later is committed later, too."""
        with self._changed:
            self._hand_in()

    def close(self) -> None:
        """Hand in what is gathered; what comes later is handed in as it comes. Before the store closes. Idempotent."""
        with self._changed:
            self._closing = True
            self._hand_in()
            self._changed.notify_all()
            running = self._thread
        if running is not None:
            running.join()

    def _see_to_it(self) -> None:
        if self._answers >= FULL or self._closing:
            self._hand_in()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="visavis-recorder", daemon=True)
            self._thread.start()
        else:
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                if not self._gathered:
                    self._changed.wait()
                    continue
                # Others go on adding meanwhile; only closing cuts it short.
                self._changed.wait_for(lambda: self._closing, LINGER_S)
                self._hand_in()

    def _hand_in(self) -> None:
        gathered, self._gathered = self._gathered, []
        answers, self._answers = self._answers, 0
        if not gathered:
            return
        try:
            future = self._store.writer.submit(Operation(lambda tx: insert_decisions(tx, gathered), rows=answers))
        except VisavisError as error:
            # The answers are made from memory, and stand without their record.
            self._count(answers, error)
        else:
            future.add_done_callback(lambda done: self._count(answers, done.exception()))

    def _count(self, answers: int, error: BaseException | None) -> None:
        if error is None:
            return
        with self._counting:
            first = not self.unrecorded
            self.unrecorded += answers
        if first:
            log.warning("answers go unrecorded, the status counts them: %s", type(error).__name__)


__all__ = ["FULL", "LINGER_S", "Recorder"]
