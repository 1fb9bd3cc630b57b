"""Keeping what is served up to date: scorers that can are refreshed in the background, soon after each commit."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from visavis.history import Changes
from visavis.live import Live
from visavis.live.models import Generation
from visavis.plugin import Scorer
from visavis.plugin.failures import type_and_place
from visavis.store import Store

log = logging.getLogger("visavis.customize")
_AGAIN_S = 60.0  # after a scorer failed
_LAST_S = 5.0  # given to a refresh that runs at the end


class Refreshing:
    """One thread that asks the served scorers for refreshed ones (`Scorer.refreshed`) while interactions come in."""

    def __init__(self, store: Store, live: Live, pause_s: float) -> None:
        self._store = store
        self._live = live
        self._pause_s = pause_s
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._served = Generation()
        self._failed: dict[str, float] = {}
        """Scorers that failed, and when each is asked again, `time.monotonic()`."""
        self._sequence = 0

    @property
    def sequence(self) -> int:
        """The last commit that the served scorers know of, those that can be refreshed; 0 if nothing is fitted."""
        generation, sequence = self._live.generation, self._sequence
        return sequence if generation is self._served else generation.sequence

    def start(self) -> None:
        """Refresh from now on, until `close`. Idempotent; does nothing where the pause is 0."""
        if self._thread is None and self._pause_s > 0:
            self._thread = threading.Thread(target=self._run, name="visavis-refresh", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; a refresh that takes long goes on, reads only, and is thrown away. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LAST_S)

    def refresh(self) -> int:
        """Bring the served scorers up to date now; answers `sequence`."""
        with self._turn:
            generation = self._live.generation
            if generation is not self._served:
                self._served, self._sequence = generation, generation.sequence
                self._failed = {}
            # Read first: what is committed meanwhile may be learned now, and is looked at again.
            sequence = self._store.writer.applied
            if generation.number and sequence > self._sequence:
                # Rows of an import come into memory all together, behind their commits: until then none is known.
                self._refresh(generation, self._sequence if self._live.behind else sequence)
            return self._sequence

    def _refresh(self, generation: Generation, sequence: int) -> None:
        """Learn what came; what was committed up to `sequence` is known then."""
        changes = self._live.changes_since(self._sequence)
        scorers = {} if changes is None else self._refreshed(generation, changes)
        if self._stop.is_set():
            return
        if scorers:
            served = self._live.refresh(generation, scorers)
            if served is None:
                return  # a newer generation is served: the next turn begins with it
            self._served = served
        self._sequence = sequence

    def _refreshed(self, generation: Generation, changes: Changes) -> dict[str, Scorer]:
        scorers = {}
        for name, scorer in generation.scorers.items():
            if self._stop.is_set() or time.monotonic() < self._failed.get(name, 0.0):
                continue
            try:
                # Who failed has missed what came meanwhile.
                refreshed = scorer.refreshed(replace(changes, customers=None) if name in self._failed else changes)
                self._failed.pop(name, None)
            except (Exception, SystemExit) as error:
                self._failed[name] = time.monotonic() + _AGAIN_S
                log.warning("scorer %s cannot be refreshed, it stays as it is: %s", name, type_and_place(error))
                log.debug("traceback of scorer %s", name, exc_info=error)
                continue
            if refreshed is not None:
                scorers[name] = refreshed
        return scorers

    def _run(self) -> None:
        pause = self._pause_s
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self.refresh()
            except Exception as error:
                log.error("models could not be refreshed: %s", type(error).__name__, exc_info=error)
            # Half of a core at most.
            pause = max(self._pause_s, time.monotonic() - began)


__all__ = ["Refreshing"]
