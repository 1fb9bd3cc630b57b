"""How well would each scorer have foretold what customers bought? Judged on the shop's own past, without a look ahead.

One moment divides all of it: scorers learn from what came before, whoever did it, and their lists are compared with
what was bought after. What sold before, and to whom, is all they know: items that nobody had bought by then are left
out, later returns are not taken off, and ties go to what had sold more. Of prices and attributes the store keeps no
past; they are today's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from visavis.customize.evaluation.asking import Asked, check, moment, period
from visavis.customize.evaluation.running import evaluate
from visavis.customize.evaluation.stage import Stage, stage_at, stage_of_split
from visavis.errors import NotReady
from visavis.evaluation import Evaluation
from visavis.live import Live
from visavis.model import Progress
from visavis.plugin import Registry

Tell = Callable[[Progress], None]


def evaluate_past(
    live: Live, registry: Registry, fallback: str, time_zone: str, asked: Asked, tell: Tell
) -> Evaluation:
    """See `Customize.evaluate`."""
    check(asked, registry)
    started = time.monotonic()
    tell(Progress("read", 0, 0))
    base = live.newest(lambda done, rows: tell(Progress("read", done, rows)))
    kinds = tuple(live.kinds.names)
    begin, end = period(base, kinds, asked, time_zone)
    live.histories.swap(base)  # requests may as well read what had to be built
    stage = stage_at(
        base,
        live.catalog.whole(),
        kinds,
        live.identities.customers.texts,
        begin,
        end,
        asked.min_buyers,
        live.consents.objectors(),
        live.kind_table,
    )
    return _judged(stage, registry, fallback, asked, tell, started, (moment(begin), moment(end)))


def evaluate_split(train: Live, test: Live, registry: Registry, fallback: str, asked: Asked, tell: Tell) -> Evaluation:
    """As `evaluate_past`, with all of one store as the past and the purchases of another as what came then."""
    check(asked, registry)
    started = time.monotonic()
    stage = stage_of_split(train, test, asked.min_buyers)
    return _judged(stage, registry, fallback, asked, tell, started, (None, None))


def _judged(
    stage: Stage,
    registry: Registry,
    fallback: str,
    asked: Asked,
    tell: Tell,
    started: float,
    between: tuple[datetime | None, datetime | None],
) -> Evaluation:
    if not len(stage.items):
        raise NotReady(f"no item had {asked.min_buyers} buyers by then; ask for fewer (min_buyers), or a later period")
    if not any(len(truth) for truth in stage.truths.values()):
        raise NotReady("nothing of what was known had buyers in the period to be foretold; choose another one")
    judgement = evaluate(stage, registry, fallback, asked, tell)
    return Evaluation(
        *between,
        len(stage.items),
        len(stage.history),
        judgement.truths,
        asked.seed,
        tuple(judgement.judged),
        tuple(judgement.compared),
        judgement.failed,
        time.monotonic() - started,
    )


__all__ = ["Asked", "evaluate_past", "evaluate_split"]
