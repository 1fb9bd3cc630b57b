"""Evaluating: fit every scorer on the past, let it answer, compare with what was bought then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.customize.evaluation.asking import Asked
from visavis.customize.evaluation.baselines import BASELINES
from visavis.customize.evaluation.comparing import comparisons
from visavis.customize.evaluation.judging import Judge
from visavis.customize.evaluation.measures import PLACES
from visavis.customize.evaluation.stage import COLD, NEW, Stage, Truth
from visavis.customize.exclusions import Hidden
from visavis.customize.lists import Lists
from visavis.customize.ranking import fill
from visavis.errors import VisavisError
from visavis.evaluation import Compared, Judged
from visavis.history import Customers, Exclusions
from visavis.live.vocabulary import read_only
from visavis.model import Progress
from visavis.plugin import Registry, Scorer
from visavis.plugin.failures import type_and_place

log = logging.getLogger("visavis.customize")

_CELLS = 8_000_000  # of customers and items, that a scorer is asked about in one go: it may score all of them
_NO_GROUPS = np.empty(0, dtype=np.int32)


class Judgement(NamedTuple):
    """What came of it; `truths`: pairs of customer and item that were to be foretold."""

    truths: int
    judged: Sequence[Judged]
    compared: Sequence[Compared]
    failed: Mapping[str, str]


def evaluate(
    stage: Stage, registry: Registry, fallback: str, asked: Asked, tell: Callable[[Progress], None]
) -> Judgement:
    """Fit the scorers on the stage's past and judge their answers, one after the other.

    `fallback`: the name of the scorer that fills the places which others leave free; baselines leave none.
    """
    judges = {task: Judge(stage, _some(truth, asked)) for task, truth in stage.truths.items() if len(truth)}
    trial = _Trial(stage, judges, tell)
    baselines = {kind.name for kind in BASELINES}
    for kind in BASELINES:
        trial.judge(kind.name, kind, baseline=True)
    names = list(dict.fromkeys(asked.scorers or sorted(registry.scorers)))
    if fallback in registry.scorers and fallback not in baselines:
        trial.set_filler(fallback, lambda: registry.build_scorer(fallback))
    for name in names:
        if name in baselines:
            trial.failed[name] = "bears the name of a baseline; give the plugin another one"
        else:
            trial.judge(name, lambda name=name: registry.build_scorer(name), baseline=False)  # type: ignore[misc]
    tell(Progress("compare", 0, 0))
    compared = list(comparisons(trial.judged, trial.deciding, asked.seed))
    n_truths = sum(len(judge.truth.items) for task, judge in judges.items() if task != NEW)
    return Judgement(n_truths, trial.judged, compared, trial.failed)


def _some(truth: Truth, asked: Asked) -> Truth:
    """All, or as many as are asked for, chosen by chance."""
    if len(truth) <= asked.most_customers:
        return truth
    chance = np.random.default_rng(asked.seed)
    return truth.take(np.sort(chance.choice(len(truth), asked.most_customers, replace=False)))


class _Trial:
    """Judges one scorer after the other; one that fails is named and leaves nothing behind."""

    def __init__(self, stage: Stage, judges: Mapping[str, Judge], tell: Callable[[Progress], None]) -> None:
        self.judged: list[Judged] = []
        self.deciding: dict[str, dict[str, NDArray[np.float64]]] = {task: {} for task in judges}
        self.failed: dict[str, str] = {}
        self._stage = stage
        self._judges = judges
        self._tell = tell
        self._fillers: list[tuple[str, Scorer]] = []
        self._everywhere = read_only(np.zeros(len(stage.items), dtype=np.bool_))
        self._hidden = Hidden(stage.kinds, stage.kind_table)

    def set_filler(self, name: str, build: Callable[[], Scorer]) -> None:
        """Let this scorer fill free places, and the best-selling items those that it leaves or fails to fill."""
        scorer = self._fitted(name, build)
        if scorer is not None:
            self._fillers.insert(0, (name, scorer[0]))

    def judge(self, name: str, build: Callable[[], Scorer], *, baseline: bool) -> None:
        """Fit and judge one scorer at every task that it can be asked about."""
        fitted = self._fitted(name, build)
        if fitted is None:
            return
        scorer, seconds = fitted
        if baseline and not self._fillers:
            self._fillers.append((name, scorer))  # the first baseline is what sold most
        lines: list[Judged] = []
        decisive: dict[str, NDArray[np.float64]] = {}
        try:
            for task, judge in self._judges.items():
                # Of customers without a past a personal scorer knows nothing, and is not asked.
                if not (task == COLD and scorer.personal):
                    items, own = self._answers(name, scorer, task, judge.truth, fills=not baseline)
                    taken, decisive[task] = judge.measure(items, own)
                    lines.append(Judged(name, baseline, task, len(judge.truth), taken, seconds))
        except VisavisError as error:
            self._fail(name, error)
            return
        if not lines:
            self.failed[name] = "is personal, and everybody to be foretold was without a past; it was not asked"
        self.judged += lines
        for task, values in decisive.items():
            self.deciding[task][name] = values

    def _fitted(self, name: str, build: Callable[[], Scorer]) -> tuple[Scorer, float] | None:
        self._tell(Progress(f"fit {name}", 0, 0))
        began = time.monotonic()
        try:
            scorer = build()
            if scorer.mode == "fitted":
                scorer.fit(self._stage.history)
        except (Exception, SystemExit) as error:
            log.debug("traceback of scorer %s", name, exc_info=error)
            self._fail(name, error)
            return None
        return scorer, time.monotonic() - began

    def _fail(self, name: str, error: BaseException) -> None:
        text = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
        # A stranger's error may hold anything, and has to pass through JSON, HTML and gRPC.
        self.failed.setdefault(name, text.encode("utf-8", "backslashreplace").decode())
        log.warning("scorer %s failed and is left out: %s", name, type_and_place(error))

    def _answers(
        self, name: str, scorer: Scorer, task: str, truth: Truth, *, fills: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """int32 [n_customers, 20]: what each would have been shown, and bool alike: what the scorer chose itself.

        Places that it leaves free are filled as in a request.
        """
        items = np.full((len(truth), max(PLACES)), -1, dtype=np.int32)
        own = np.zeros(items.shape, dtype=np.bool_)
        at_once = max(1, min(256, _CELLS // max(len(self._stage.items), 1)))
        for begin in range(0, len(truth), at_once):
            self._tell(Progress(f"judge {name}, {task}", begin, len(truth)))
            customers = self._stage.customers(truth.customers[begin : begin + at_once])
            lists = Lists.empty(len(customers), max(PLACES), 1 + len(self._fillers))
            exclude = self._exclusions(customers, without_bought=task == NEW)
            rows = np.arange(len(customers))
            fill(lists, rows, 0, name, scorer, customers, self._stage.items, exclude, _NO_GROUPS)
            if fills:
                self._fill(lists, customers, exclude, scorer)
            end = begin + len(customers)
            items[begin:end] = lists.items
            own[begin:end] = (lists.items >= 0) & (lists.by == 0)
        self._tell(Progress(f"judge {name}, {task}", len(truth), len(truth)))
        return items, own

    def _fill(self, lists: Lists, customers: Customers, exclude: Exclusions, asked: Scorer) -> None:
        for number, (name, filler) in enumerate(list(self._fillers), 1):
            rows = np.arange(len(customers))
            if filler is asked or not len(lists.free()) or filler.personal:
                continue
            try:
                fill(lists, rows, number, name, filler, customers, self._stage.items, exclude, _NO_GROUPS)
            except VisavisError as error:
                self._fail(name, error)
                self._fillers.remove((name, filler))

    def _exclusions(self, customers: Customers, *, without_bought: bool) -> Exclusions:
        """What was skipped, and if asked what was bought, whether or not it was brought back."""
        exclude = self._hidden.exclusions(customers, self._everywhere, False)
        if not without_bought:
            return exclude
        owner = np.repeat(np.arange(len(customers)), np.diff(exclude.indptr))
        starts, seen = self._stage.bought_by(customers.codes)
        owner = np.concatenate([owner, np.repeat(np.arange(len(customers)), np.diff(starts))])
        width = max(len(self._stage.items), 1)
        pairs = np.unique(owner * width + np.concatenate([exclude.indices, seen]))
        indptr = np.searchsorted(pairs, np.arange(len(customers) + 1) * width)
        return Exclusions(exclude.everywhere, read_only(indptr), read_only((pairs % width).astype(np.int32)))


__all__ = ["Judgement", "evaluate"]
