"""Evaluating: fit every scorer on the past, let it answer, compare with what was bought then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.customize.evaluation.asking import Asked
from visavis.customize.evaluation.baselines import BASELINES
from visavis.customize.evaluation.bootstrap import paired_interval, verdict
from visavis.customize.evaluation.judging import DECIDING, Judge
from visavis.customize.evaluation.measures import PLACES
from visavis.customize.evaluation.stage import COLD, NEW, Stage, Truth
from visavis.customize.exclusions import Hidden
from visavis.customize.lists import Lists
from visavis.customize.ranking import fill
from visavis.errors import VisavisError
from visavis.evaluation import Compared, Judged
from visavis.model import Progress
from visavis.plugin import Registry, Scorer
from visavis.plugin.failures import type_and_place

log = logging.getLogger("visavis.customize")

_AT_ONCE = 256  # customers that a scorer answers for in one go: it may score the whole catalogue for each
_NO_GROUPS = np.empty(0, dtype=np.int32)


class Judgement(NamedTuple):
    """What came of it; `truths`: pairs of customer and item that were to be foretold."""

    truths: int
    judged: Sequence[Judged]
    compared: Sequence[Compared]
    failed: Mapping[str, str]


class _Contestant(NamedTuple):
    name: str
    scorer: Scorer
    baseline: bool
    seconds: float


def evaluate(
    stage: Stage, registry: Registry, fallback: str, asked: Asked, tell: Callable[[Progress], None]
) -> Judgement:
    """Fit the scorers on the stage's past and judge their answers.

    `fallback`: the name of the scorer that fills the places which others leave free.
    """
    truths = {task: _some(truth, asked) for task, truth in stage.truths.items()}
    names = asked.scorers or tuple(sorted(registry.scorers))
    failed: dict[str, str] = {}
    contestants = _fitted(stage, registry, names, fallback, failed, tell)
    filler = next((one.scorer for one in contestants if one.name == fallback), contestants[0].scorer)
    judges = {task: Judge(stage, truth) for task, truth in truths.items() if len(truth)}
    judged: list[Judged] = []
    deciding: dict[str, dict[str, NDArray[np.float64]]] = {task: {} for task in judges}
    for place, one in enumerate(contestants):
        tell(Progress(f"judge {one.name}", place, len(contestants)))
        if not one.baseline and one.name not in names:
            continue  # fitted to fill places only
        own: list[Judged] = []
        try:
            for task, judge in judges.items():
                # Of customers without a past a personal scorer knows nothing, and is not asked.
                if not (task == COLD and one.scorer.personal):
                    lists = _answers(stage, one, filler, judge.truth, without_bought=task == NEW)
                    taken, deciding[task][one.name] = judge.measure(lists)
                    own.append(Judged(one.name, one.baseline, task, len(judge.truth), taken, one.seconds))
        except VisavisError as error:
            failed[one.name] = error.message
            for values in deciding.values():
                values.pop(one.name, None)
        else:
            judged += own
    tell(Progress("judge", len(contestants), len(contestants)))
    n_truths = sum(len(judge.truth.items) for task, judge in judges.items() if task != NEW)
    return Judgement(n_truths, judged, list(_comparisons(judged, deciding, asked.seed)), failed)


def _some(truth: Truth, asked: Asked) -> Truth:
    """All, or as many as are asked for, chosen by chance."""
    if len(truth) <= asked.most_customers:
        return truth
    chance = np.random.default_rng(asked.seed)
    return truth.take(np.sort(chance.choice(len(truth), asked.most_customers, replace=False)))


def _fitted(
    stage: Stage,
    registry: Registry,
    names: Sequence[str],
    fallback: str,
    failed: dict[str, str],
    tell: Callable[[Progress], None],
) -> list[_Contestant]:
    """Baselines first, then the scorers; those that fail to fit are named and left out."""
    contestants: list[_Contestant] = []
    for kind in BASELINES:
        began = time.monotonic()
        baseline = kind().fit(stage.history)
        contestants.append(_Contestant(kind.name, baseline, True, time.monotonic() - began))
    wanted = [*names, *(name for name in (fallback,) if name not in names and name in registry.scorers)]
    for place, name in enumerate(wanted):
        tell(Progress(f"fit {name}", place, len(wanted)))
        began = time.monotonic()
        try:
            scorer = registry.build_scorer(name).fit(stage.history)
        except (Exception, SystemExit) as error:
            failed[name] = error.message if isinstance(error, VisavisError) else f"{type(error).__name__}: {error}"
            log.warning("scorer %s failed to fit and is left out: %s", name, type_and_place(error))
            log.debug("traceback of scorer %s", name, exc_info=error)
        else:
            contestants.append(_Contestant(name, scorer, False, time.monotonic() - began))
    tell(Progress("fit", len(wanted), len(wanted)))
    return contestants


def _answers(
    stage: Stage, one: _Contestant, filler: Scorer, truth: Truth, *, without_bought: bool
) -> NDArray[np.int32]:
    """int32 [n_customers, 20]: what each would have been shown; places that the scorer leaves free are filled as in a
    request."""
    hidden = Hidden(stage.kinds, stage.kind_table)
    everywhere = np.zeros(len(stage.items), dtype=np.bool_)
    parts = []
    for begin in range(0, len(truth), _AT_ONCE):
        customers = stage.customers(truth.customers[begin : begin + _AT_ONCE])
        lists = Lists.empty(len(customers), max(PLACES), 2)
        exclude = hidden.exclusions(customers, everywhere, without_bought)
        rows = np.arange(len(customers))
        fill(lists, rows, 0, one.name, one.scorer, customers, stage.items, exclude, _NO_GROUPS)
        if one.scorer is not filler and len(lists.free()):
            fill(lists, rows, 1, "the fall-back", filler, customers, stage.items, exclude, _NO_GROUPS)
        parts.append(lists.items)
    return np.concatenate(parts)


def _comparisons(
    judged: Sequence[Judged], deciding: Mapping[str, Mapping[str, NDArray[np.float64]]], seed: int
) -> Iterator[Compared]:
    """Of each task: every scorer beside the best baseline, and the best scorer beside every other one."""
    for task, values in deciding.items():
        lines = {line.scorer: line.value(*DECIDING) for line in judged if line.task == task}
        baselines = {line.scorer for line in judged if line.baseline}
        ranked = sorted(lines, key=lambda name: (-lines[name], name))
        own = [name for name in ranked if name not in baselines]
        if not own:
            continue
        best_baseline = next(name for name in ranked if name in baselines)
        pairs = [(name, best_baseline) for name in own] + [(own[0], name) for name in own[1:]]
        for name, against in pairs:
            mean, low, high = paired_interval(values[name] - values[against], seed)
            yield Compared(task, name, against, *DECIDING, mean, low, high, verdict(low, high))


__all__ = ["Judgement", "evaluate"]
