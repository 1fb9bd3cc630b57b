"""Running a store: fit, snapshot, backup, compact, status, plugins. Orders the rooms that learn, above all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from visavis._version import __version__
from visavis.customize import Customize
from visavis.customize.fitting import fit_scorers
from visavis.customize.refreshing import Refreshing
from visavis.differentiate.features import build_features
from visavis.differentiate.segmenting import run_segmenters
from visavis.errors import Conflict, NotReady
from visavis.live import Live
from visavis.live.models import Generation
from visavis.model import FitReport, PluginInfo, Progress, Status
from visavis.plugin import Registry
from visavis.store import Operation, Store, Transaction
from visavis.store.backup import write_backup
from visavis.store.compaction import compact
from visavis.store.generations import (
    GenerationRow,
    delete_generations,
    insert_generation,
    read_generations,
)
from visavis.store.interactions import count_interactions
from visavis.store.snapshot import write_snapshot
from visavis.store.store import read_muted
from visavis.upkeep import Backup, Compaction, Snapshot

Report = Callable[[Progress], None]


class Admin:
    """The room of those who run a store."""

    def __init__(
        self, store: Store, live: Live, registry: Registry, customize: Customize, refreshing: Refreshing, keep: int
    ) -> None:
        self._store = store
        self._live = live
        self._registry = registry
        self._customize = customize
        self._refreshing = refreshing
        self._keep = keep
        self._fitting = threading.Lock()

    def fit(self, *, progress: Report | None = None) -> FitReport:
        """Learn from everything recorded so far: a new generation, served from the moment it is whole.

        Requests are answered by the old one meanwhile. A plugin that fails is named in the report. Raises
        `NotReady` when there is nothing to learn from, `Conflict` while another fit runs.
        """
        if not self._fitting.acquire(blocking=False):
            raise Conflict("a fit is running; wait for it, then fit again if you need to", reason="FIT_RUNNING")
        try:
            return self._fit(progress or (lambda _: None))
        finally:
            self._fitting.release()

    def _fit(self, progress: Report) -> FitReport:
        started = time.monotonic()
        progress(Progress("read", 0, 0))
        base = self._live.newest(lambda done, rows: progress(Progress("read", done, rows)))
        history = self._live.history(base)
        if not len(history):
            raise NotReady("there is nothing to fit on; import a file or record interactions first")
        number = self._new_generation()
        customer_ids = self._live.identities.customers.texts[: history.n_customers]
        fitted = fit_scorers(self._store, self._registry, history, number, progress)
        features = build_features(history, customer_ids)
        objectors = self._live.consents.objectors()
        segmented = run_segmenters(self._store, self._registry, features, objectors, number, progress)
        failed = {**fitted.failed, **segmented.failed}
        for stored in (*fitted.storing, *segmented.storing):
            stored.result()
        fitted_at = datetime.now(UTC)
        seconds = time.monotonic() - started
        row = GenerationRow(
            number,
            fitted_at.replace(tzinfo=None),
            base.sequence,
            history.n_customers,
            len(history.items),
            len(history),
            seconds,
            __version__,
        )
        generation = Generation(
            number, fitted_at, len(history), base.sequence, fitted.scorers, segmented.segmentations, failed
        )

        def serve(_: None) -> None:
            self._live.histories.swap(base)
            self._live.serve(generation)

        def flip(tx: Transaction) -> None:
            insert_generation(tx, row)
            delete_generations(tx, kept)

        kept = [*self._whole_generations(), number][-self._keep :]
        progress(Progress("store", 0, 0))
        self._store.writer.run(Operation(flip, committed=serve, exclusive=True))
        return FitReport(
            generation=number,
            scorers=tuple(sorted(fitted.scorers)),
            segmenters=tuple(sorted(segmented.segmentations)),
            failed=failed,
            customers=history.n_customers,
            items=len(history.items),
            interactions=len(history),
            seconds=seconds,
        )

    def _new_generation(self) -> int:
        """Number of the next generation; what an interrupted fit left behind is deleted."""
        numbers = self._whole_generations()
        self._store.writer.run(Operation(lambda tx: delete_generations(tx, numbers)))
        return max(numbers, default=0) + 1

    def _whole_generations(self) -> list[int]:
        with self._store.cursor() as cursor:
            return [row.generation for row in read_generations(cursor)]

    def snapshot(self, path: str | Path, *, progress: Report | None = None) -> Snapshot:
        """Write a consistent copy for analysts, beside the running writer. Raises if `path` exists."""
        self._customize.flush()
        return write_snapshot(self._store, Path(path), progress or (lambda _: None))

    def backup(self, path: str | Path, *, progress: Report | None = None) -> Backup:
        """Write the whole store, as of one commit, to a new file, beside the running writer. Raises if `path` exists.

        It holds personal data, and only its owner may read it. `visavis restore` makes a store of it again.
        """
        self._customize.flush()
        return write_backup(self._store, Path(path), progress or (lambda _: None))

    def compact(self, *, progress: Report | None = None) -> Compaction:
        """Write the store's file anew: smaller, and without a trace of deleted rows. Calls that write wait at its end.

        Raises `Conflict` while another one runs, `StoreUnwritable` when the disk has no room for a second file.
        """
        return compact(self._store, progress or (lambda _: None))

    def status(self) -> Status:
        """The state of the store and of what is served."""
        live, store = self._live, self._store
        with store.cursor() as cursor:
            fitted = {row.generation: row.fitted_sequence for row in read_generations(cursor)}
            counts = count_interactions(cursor, since=fitted.get(live.generation.number, 0))
            muted = read_muted(cursor)
        warnings = [*store.warnings]
        if store.writer.failure is not None:
            warnings.append(f"nothing is written any more: {store.writer.failure}")
        warnings += [f"plugin {name} is left out: {why}" for name, why in sorted(live.generation.failed.items())]
        if self._customize.unrecorded:
            warnings.append(
                f"{self._customize.unrecorded} answers went unrecorded because the writer was behind or had stopped"
            )
        return Status(
            version=__version__,
            store_id=store.mark.store_id,
            path=str(store.path),
            schema_version=store.schema_version,
            sequence=store.mark.sequence,
            generation=live.generation.number,
            refreshed_sequence=self._refreshing.sequence,
            fitted_at=live.generation.fitted_at,
            customers=len(live.identities.customers),
            items=len(live.catalog),
            interactions=counts.all,
            unfitted_interactions=counts.later,
            wal_bytes=store.wal_bytes(),
            file_bytes=store.file_bytes(),
            muted=muted,
            warnings=tuple(warnings),
        )

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was found, the broken and the switched-off ones too."""
        return self._registry.infos()


__all__ = ["Admin"]
