"""The one thread that writes, with group commit.

Calls hand in an `Operation` and get a future. The thread takes what has gathered, waits a few milliseconds for
company, runs all of it in one transaction, and then, in this order: commit, high-water mark, apply to memory,
acknowledge. So what a call acknowledged, the next call sees, and what was acknowledged survives a crash.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import duckdb

from visavis.config import Settings
from visavis.errors import Overloaded, StoreError, Unavailable, VisavisError
from visavis.store.database import Database, duckdb_errors
from visavis.store.high_water import HighWater, Mark
from visavis.store.transaction import Operation, Transaction

T = TypeVar("T")
log = logging.getLogger("visavis.store")


@dataclass(slots=True)
class _Pause(Generic[T]):
    """Work in the writer's place, between two transactions."""

    work: Callable[[], T]
    future: Future[T] = field(default_factory=Future)


class Writer:
    """Owns the writing cursor. `submit` from any thread; `close` writes what is queued, then checkpoints."""

    IDLE_CHECKPOINT_S = 5.0
    IDLE_CHECKPOINT_BYTES = 1 << 20
    CHECKPOINT_RETRY_S = 5.0
    OVERFULL = 8

    def __init__(self, database: Database, high_water: HighWater, mark: Mark, settings: Settings) -> None:
        self._database = database
        self._high_water = high_water
        self.mark = mark
        self.applied = mark.sequence
        """Number of the last commit that memory holds."""
        self._settings = settings
        self._queue: queue.SimpleQueue[Operation[Any] | _Pause[Any] | None] = queue.SimpleQueue()
        self._taken: list[Operation[Any] | _Pause[Any]] = []  # out of the queue, perhaps not answered yet
        self._queued_rows = 0
        self._count_lock = threading.Lock()
        self._closing = False
        self._checkpoint_at = 0.0
        """Not before this moment of `time.monotonic()`; 0: the last one went well."""
        self._logged = False
        """Whether anything was committed since the last checkpoint."""
        self._failure: VisavisError | None = None
        self._applied = threading.Condition()
        self._cursor = database.own_cursor()
        self._thread = threading.Thread(target=self._run, name="visavis-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> VisavisError | None:
        """Why nothing is written any more; None while all is well. It does not go away until the store is reopened."""
        return self._failure

    def submit(self, operation: Operation[T]) -> Future[T]:
        """Queue an operation. Raises `Overloaded` when too much is waiting, the failure when the writer is broken."""
        with self._count_lock:
            self._count(operation.rows)
            # Inside the lock, so that nothing can follow the end mark that close() puts in the queue.
            self._queue.put(operation)
        return operation.future

    def join(self, operation: Operation[Any], rows: int, add: Callable[[], None]) -> bool:
        """Let so many rows more go along with an operation that still waits, by `add`; False if it is under way.

        Raises what `submit` raises.
        """
        with self._count_lock:
            if operation.taken:
                return False
            self._count(rows)
            operation.rows += rows
            add()
            return True

    def _count(self, rows: int) -> None:
        """Take so many rows into the queue's account, or refuse them; with the lock."""
        self._require_open()
        if self._queued_rows and self._queued_rows + rows > self._settings["queue_rows"]:
            raise Overloaded(
                f"{self._queued_rows} rows wait to be written; send again in a moment",
                metadata={"queued_rows": str(self._queued_rows)},
            )
        self._queued_rows += rows

    def pause(self, work: Callable[[], T]) -> T:
        """Run `work` in the writer thread, between two transactions; it may put another file of the same rows there."""
        if threading.current_thread() is self._thread:
            raise StoreError("the writer cannot wait for itself; do it in a thread")
        pause = _Pause(work)
        with self._count_lock:
            self._require_open()
            self._queue.put(pause)
        try:
            return pause.future.result()
        except KeyboardInterrupt:
            # What has begun ends, before the caller clears up behind it.
            if not pause.future.cancel():
                wait([pause.future])
            raise

    def _require_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise Unavailable("the store is closing; open it again, or ask the next server")

    def stop(self, failure: VisavisError) -> None:
        """Take nothing more, because of `failure`: what is on the disk is in doubt."""
        self._fail(failure)

    def run(self, operation: Operation[T]) -> T:
        """Submit and wait."""
        if threading.current_thread() is self._thread:
            raise StoreError("a plugin's hook called a verb that writes, and would wait for itself; do it in a thread")
        return self.submit(operation).result()

    def wait_for(self, sequence: int) -> None:
        """Wait until memory holds what commit `sequence` wrote: a reader of the file may be ahead of it."""
        if threading.current_thread() is self._thread and self.applied < sequence:
            raise StoreError("a plugin's hook called a verb that reads what is being written; do it in a thread")
        with self._applied:
            self._applied.wait_for(lambda: self.applied >= sequence or self._failure is not None)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Write what is queued, checkpoint, end the thread. Idempotent."""
        with self._count_lock:
            if not self._closing:
                self._closing = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            self._fail(StoreError(f"the writer of {self._database.path} broke off; start again ({error!r})"))
            # Nothing follows any more: who submits is told the failure.
            while not self._queue.empty():
                self._take(0)
            for one in self._taken:
                with suppress(InvalidStateError):  # it has its answer, or was cancelled
                    one.future.set_exception(self._failure)
        self._cursor.close()

    def _take(self, seconds: float) -> Operation[Any] | _Pause[Any] | None:
        """The next of the queue; None for its end. Raises `queue.Empty`."""
        following = self._queue.get(timeout=seconds)
        if following is not None:
            self._taken.append(following)
        return following

    def _work(self) -> None:
        held: Operation[Any] | _Pause[Any] | None = None
        open_ = True
        while open_:
            first, held = held, None
            self._taken = [] if first is None else [first]
            if first is None:
                try:
                    first = self._take(self.IDLE_CHECKPOINT_S)
                except queue.Empty:
                    self._checkpoint(self.IDLE_CHECKPOINT_BYTES)
                    continue
            if first is None:
                break
            if isinstance(first, _Pause):
                self._stand_aside(first)
                continue
            group = [first]
            if not first.exclusive:
                open_, held = self._gather(group)
            if group := [operation for operation in group if self._start(operation)]:
                self._commit_group(group)
            self._checkpoint(self._settings["checkpoint_wal_mb"] << 20)
        self._checkpoint_at = 0.0
        self._checkpoint(1)

    def _stand_aside(self, pause: _Pause[Any]) -> None:
        if not pause.future.set_running_or_notify_cancel():
            return
        if self._failure is not None:
            pause.future.set_exception(self._failure)
            return
        self._cursor.close()
        failure, outcome = None, None
        try:
            outcome = pause.work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller's future
            failure = error
        try:
            self._cursor = self._database.own_cursor()
        except StoreError as error:
            self._fail(error)
        if failure is not None:
            pause.future.set_exception(failure)
        else:
            pause.future.set_result(outcome)

    def _gather(self, group: list[Operation[Any]]) -> tuple[bool, Operation[Any] | _Pause[Any] | None]:
        """Fill `group` until the linger is over or it is large, then with who waits. (still open, exclusive one met)"""
        rows, enough = group[0].rows, self._settings["group_rows"]
        # From now, although some have waited already: a commit costs the same however few it holds.
        end = time.monotonic() + self._settings["linger_ms"] / 1000
        while rows < enough * self.OVERFULL:
            try:
                following = self._take(max(0.0, end - time.monotonic()) if rows < enough else 0.0)
            except queue.Empty:
                return True, None
            if following is None:
                return False, None
            if isinstance(following, _Pause) or following.exclusive:
                return True, following
            group.append(following)
            rows += following.rows
        return True, None

    def _commit_group(self, group: list[Operation[Any]]) -> None:
        try:
            results = self._transact(group)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller's future
            if self._failure is None and self._one_by_one(group):
                return
            group[0].future.set_exception(error)
            for operation in group[1:]:
                operation.future.set_exception(self._failure or error)
            return
        for operation, result in zip(group, results, strict=True):
            operation.future.set_result(result)

    def _one_by_one(self, group: list[Operation[Any]]) -> bool:
        """One of them is at fault: each alone shows which. False if there is one alone, which cannot be divided."""
        if len(group) > 1:
            for operation in group:
                self._commit_group([operation])
            return True
        parts = group[0].split() if group[0].split is not None else ()
        if not parts:
            return False
        answers: list[Any] = []
        for part in parts:
            if self._prepare(part):
                self._commit_group([part])
            error = part.future.exception()
            answers += part.future.result() if error is None else [error]
        group[0].future.set_result(answers)
        return True

    def _start(self, operation: Operation[Any]) -> bool:
        """Whether there is anything to be written."""
        with self._count_lock:
            self._queued_rows -= operation.rows
            operation.taken = True
        return self._prepare(operation)

    @staticmethod
    def _prepare(operation: Operation[Any]) -> bool:
        if not operation.future.set_running_or_notify_cancel():
            return False
        if operation.before is None:
            return True
        try:
            answer = operation.before()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller's future
            operation.future.set_exception(error)
            return False
        if answer is not None:
            operation.future.set_result(answer)
        return answer is None

    def _transact(self, group: list[Operation[Any]]) -> list[Any]:
        if self._failure is not None:
            raise self._failure
        try:
            # What is written into a file that is gone would be gone with this process.
            self._database.require_in_place()
        except StoreError as error:
            self._fail(error)
            raise
        sequence = self.mark.sequence + 1
        transaction = Transaction(self._cursor, sequence)
        try:
            with duckdb_errors(self._database.path):
                self._cursor.execute("BEGIN")
                results = [operation.apply(transaction) for operation in group]
                transaction.flush()
                self._cursor.execute(f"UPDATE store_state SET sequence = {sequence}")  # a parameter costs half a ms
                self._commit()
        except BaseException as error:
            for participant in transaction.participants:
                participant.rollback()
            self._roll_back(error)
            raise
        self._logged = True
        self.mark = Mark(self.mark.store_id, self.mark.lineage, sequence)
        try:
            self._high_water.write(self.mark)
            for participant in transaction.participants:
                participant.commit()
            for operation, result in zip(group, results, strict=True):
                if operation.committed is not None:
                    operation.committed(result)
        except BaseException as error:
            # Committed but not in memory: answers would be wrong from here on, so nothing more is taken.
            self._fail(StoreError(f"memory no longer agrees with {self._database.path}; start again ({error!r})"))
            raise
        with self._applied:
            self.applied = sequence
            self._applied.notify_all()
        return results

    def _commit(self) -> None:
        try:
            with duckdb_errors(self._database.path):
                self._cursor.execute("COMMIT")
        except BaseException as error:
            # Nobody knows whether it is in the file: to write on, or the same again, could record it twice.
            told = error.message if isinstance(error, VisavisError) else str(error)
            self._fail(
                StoreError(f"{self._database.path} could not be written and takes nothing more; start again ({told})")
            )
            raise

    def _roll_back(self, error: BaseException) -> None:
        if isinstance(error, StoreError) and isinstance(error.__cause__, duckdb.FatalException):
            self._fail(error)
            return
        try:
            self._cursor.execute("ROLLBACK")
        except duckdb.TransactionException:
            pass  # the failed COMMIT has already ended it
        except duckdb.Error as second:
            told = str(second).partition("\n")[0]
            self._fail(StoreError(f"{self._database.path} takes no more writes; `visavis doctor` says more ({told})"))

    def _fail(self, failure: VisavisError) -> None:
        with self._count_lock:
            if self._failure is not None:
                return
            self._failure = failure
        # Without the error's text: DuckDB quotes the row that a constraint refused.
        log.critical("the writer stopped: %s; `visavis doctor` says more", failure.reason)
        with self._applied:
            self._applied.notify_all()

    def _checkpoint(self, at_bytes: int) -> None:
        if self._failure is not None or time.monotonic() < self._checkpoint_at:
            return
        size = self._database.wal_bytes()
        # A log that is not there although something was committed was taken away: the file must hold it all.
        if size < at_bytes and (size or not self._logged):
            return
        try:
            self._database.checkpoint(self._cursor)
        except (StoreError, duckdb.Error) as error:
            if isinstance(error, StoreError) and isinstance(error.__cause__, duckdb.FatalException):
                self._fail(error)  # DuckDB does nothing more; what was acknowledged is in the log
                return
            # Nothing is lost, the log only grows. A snapshot holds it for minutes, so not every commit tries again.
            if not self._checkpoint_at:
                log.warning("checkpoint put off, it is tried again: %s", error)
            self._checkpoint_at = time.monotonic() + self.CHECKPOINT_RETRY_S
        else:
            self._checkpoint_at = 0.0
            self._logged = False


__all__ = ["Writer"]
