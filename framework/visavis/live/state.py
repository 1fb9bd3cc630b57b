"""The memory that the request path reads, loaded from one store."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.errors import NotFound, StoreDamaged, VisavisError
from visavis.history import KIND_TABLE, Changes, Customers, History, KindTable
from visavis.live.base import Base, build, history_of
from visavis.live.catalog import Catalog
from visavis.live.consents import Consents
from visavis.live.histories import Histories, most_late
from visavis.live.identities import Identities
from visavis.live.intake import Intake
from visavis.live.kept import KeptBase, owners_checksum
from visavis.live.kinds import Kinds
from visavis.live.known import KnownIds, KnownRequests
from visavis.live.models import Generation, Memberships
from visavis.plugin import Registry, Scorer
from visavis.plugin.failures import type_and_place
from visavis.store import Operation, Store, Transaction
from visavis.store.generations import read_generations, read_memberships, read_plugins, served_generation
from visavis.store.interactions import count_interactions, read_later, reading

log = logging.getLogger("visavis.live")


class _BuiltFor(NamedTuple):
    """The commit of the base that was built last, and the owners of identities at that time: how many, a checksum."""

    sequence: int
    identities: int
    owners: int


class Live:
    """Everything that requests read. Each part is written by the writer thread after a commit; `generation` and
    the base of `histories` are replaced whole."""

    def __init__(self, store: Store, registry: Registry, kind_table: KindTable = KIND_TABLE) -> None:
        self._store = store
        self.kind_table = kind_table
        with store.cursor() as cursor:
            self.identities = Identities(cursor)
            self.catalog = Catalog(cursor)
            self.kinds = Kinds(cursor)
            self.consents = Consents(cursor)
            self.known_requests = KnownRequests(cursor)
        self._kept = KeptBase(store)
        self._rebasing = threading.Lock()
        self._serving = threading.Lock()
        self._rebase: threading.Thread | None = None
        self._closing = False
        self.histories = self._open_histories()
        self.imported = 0
        """The last commit of an import; set by the writer thread."""
        self.known_ids = KnownIds(store, self._kept)
        self.intake = Intake(self.identities, self.known_ids, self.histories)
        self.generation = self._load_generation(registry)
        self._kept.check_soon(self._rebase_soon)

    def warm_up(self) -> None:
        """Load what recording reads: the set of known ids, and the ids of customers and items as kernels read them."""

        def load(_: Transaction) -> None:
            self.identities.customers.warm_up()
            self.catalog.ids.warm_up()

        self.known_ids.warm_up()
        # The writer does it, so that no commit slips past.
        self._store.writer.run(Operation(load, exclusive=True))

    def build(self, progress: Callable[[int, int], None] = lambda done, rows: None) -> Base:
        """Sort all interactions as of now by customer, for fitting or for a new base of `histories`.

        `progress` hears how many rows were read, of how many.
        """
        with self._store.cursor() as cursor, reading(cursor) as recorded:
            # The file may be a commit ahead of memory.
            self._store.writer.wait_for(recorded.sequence)
            owners = self.identities.owners
            draft = self._kept.draft(recorded.rows, len(self.identities.customers))
            try:
                base = build(recorded, owners, list(self.kinds.names), draft.arrays, progress)
            except BaseException:
                draft.discard()
                raise
        self._kept.keep_soon(draft, base, owners)
        self._built_for = _BuiltFor(base.sequence, len(owners), owners_checksum(owners))
        return base

    def newest(self, progress: Callable[[int, int], None] = lambda done, rows: None) -> Base:
        """A base that holds everything recorded so far: that of `histories` if it does, otherwise a new one."""
        base, built = self.histories.base, self._built_for
        with self._store.cursor() as cursor:
            counts = count_interactions(cursor, since=base.sequence)
        owners = self.identities.owners
        if (
            (counts.all, counts.later) == (len(base.item), 0)
            and len(base.indptr) - 1 == len(self.identities.customers)
            and built == (base.sequence, built.identities, owners_checksum(owners[: built.identities]))
            and self._kept.is_sound()
        ):
            progress(counts.all, counts.all)
            return base
        return self.build(progress)

    def serve(self, generation: Generation) -> None:
        """Let requests be answered by a generation that was just fitted."""
        with self._serving:
            self.generation = generation

    def refresh(self, generation: Generation, scorers: Mapping[str, Scorer]) -> Generation | None:
        """Put refreshed scorers in the places of those of `generation`; None if another one is served by now."""
        with self._serving:
            if self.generation is not generation:
                return None
            self.generation = replace(generation, scorers={**generation.scorers, **scorers})
            return self.generation

    def changes_since(self, sequence: int) -> Changes | None:
        """What came after a commit, of the kinds that are learned from; None if nothing did that a customer is known
        for."""
        codes = self.histories.changed_since(sequence)
        if codes is not None and not len(codes):
            return None

        def told(codes: NDArray[np.int32]) -> Customers:
            texts = self.identities.customers.texts
            ids = [texts[code] for code in codes.tolist()]
            return self.histories.of(codes, ids, self.kinds.names, now_us()).training()

        some = None if codes is None else told(codes)
        n_customers, n_items = len(self.identities.customers), len(self.catalog)
        return Changes(some, lambda: told(np.arange(n_customers, dtype=np.int32)), n_customers, n_items)

    def history(self, base: Base) -> History:
        """What plugins learn from, of the rows of a base."""
        return history_of(base, list(self.kinds.names), self.catalog.whole(), now_us(), self.kind_table)

    def rebuild_histories(self, progress: Callable[[int, int], None] = lambda done, rows: None) -> None:
        """Replace the base of `histories` by one that holds everything recorded so far."""
        self.histories.swap(self.build(progress))

    @property
    def behind(self) -> bool:
        """Whether an import stored rows that `histories` lacks: it was broken off before it came to `rebuild`."""
        return self.imported > self.histories.built_to

    def _open_histories(self) -> Histories:
        """From the base that was kept and what came since; built from the store if there is none, or too much came."""
        with self._store.cursor() as cursor:
            base = self._kept.open(cursor, self.identities.owners)
            if base is not None:
                owners = self.identities.owners
                self._built_for = _BuiltFor(base.sequence, len(owners), owners_checksum(owners))
                later = count_interactions(cursor, since=base.sequence).later
                if later <= most_late(base):
                    histories = Histories(base, self._rebase_soon, self.kind_table)
                    histories.load(self.identities.owners, read_later(cursor, after=base.sequence))
                    return histories
        return Histories(self.build(), self._rebase_soon, self.kind_table)

    def close(self) -> None:
        """Wait for what runs in the background; nothing is begun any more. Before the store closes. Idempotent."""
        with self._rebasing:
            self._closing = True
            running = self._rebase
        if running is not None:
            running.join()
        self._kept.close()

    def _rebase_soon(self) -> None:
        """Replace the base of `histories` in the background, once at a time."""
        with self._rebasing:
            if self._closing or (self._rebase is not None and self._rebase.is_alive()):
                return
            self._rebase = threading.Thread(target=self._rebase_now, name="visavis-rebase", daemon=True)
            self._rebase.start()

    def _rebase_now(self) -> None:
        try:
            self.rebuild_histories()
        except Exception as error:
            # Answers stay right, they only get slower; it is tried again when as much came once more.
            log.error("histories could not be rebased: %s", type(error).__name__, exc_info=error)

    def _load_generation(self, registry: Registry) -> Generation:
        with self._store.cursor() as cursor:
            number = served_generation(cursor)
            if not number:
                return Generation()
            try:
                row = next(row for row in read_generations(cursor) if row.generation == number)
                plugins = read_plugins(cursor, number)
                memberships = read_memberships(cursor, number)
            except StoreDamaged as error:
                # What customers did is not touched by that, and a new fit needs an open store.
                log.error("generation %d is left out: %s", number, error)
                return Generation(failed={f"generation {number}": error.message})
        scorers, failed, unloaded = {}, {}, set()
        for plugin in plugins:
            if plugin.error:
                failed[plugin.name] = plugin.error
            if plugin.error or plugin.kind != "scorer":
                continue
            try:
                scorer = registry.build_scorer(plugin.name)
                fitted_with = json.loads(plugin.options)
                if json.loads(json.dumps(asdict(scorer.options))) != fitted_with:
                    log.warning("scorer %s was fitted with other options; run `visavis fit`", plugin.name)
                scorers[plugin.name] = scorer.restore(plugin.state)
            except NotFound as error:
                unloaded.add(plugin.name)
                failed[plugin.name] = f"{error.message}; give --plugins-dir or set plugins_dir, if it lies in a folder"
                log.warning("scorer %s of generation %d is left out: %s", plugin.name, number, failed[plugin.name])
            except (Exception, SystemExit) as error:
                why = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
                failed[plugin.name] = why
                log.warning("scorer %s of generation %d is left out: %s", plugin.name, number, type_and_place(error))
                log.debug("traceback of scorer %s", plugin.name, exc_info=error)
        return Generation(
            number=number,
            fitted_at=row.fitted_at.replace(tzinfo=UTC),
            interactions=row.interactions,
            sequence=row.fitted_sequence,
            scorers=scorers,
            segmentations={name: Memberships(codes, labels) for name, (codes, labels) in memberships.items()},
            failed=failed,
            unloaded=frozenset(unloaded),
        )


def now_us() -> int:
    """This moment in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


__all__ = ["Live", "now_us"]
