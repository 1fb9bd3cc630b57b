"""What would suit this one customer: recommendations with reasons, similar items, fitting, evaluation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from visavis.config import Settings
from visavis.customize.answers import Answers
from visavis.customize.evaluation import Asked, evaluate_past
from visavis.customize.recommending import Recommending, Wanted
from visavis.errors import Conflict
from visavis.evaluation import Evaluation
from visavis.live import Live
from visavis.model import AttributeFilter, CustomerRef, Progress, Recommendation, SimilarItems
from visavis.plugin import Registry
from visavis.store import Store


class Customize:
    """The room of recommendations. Answers come from memory."""

    def __init__(self, store: Store, live: Live, settings: Settings, registry: Registry) -> None:
        self._live, self._settings, self._registry = live, settings, registry
        self._evaluating = threading.Lock()
        self._recommending = Recommending(store, live, settings)

    @property
    def unrecorded(self) -> int:
        """Answers whose record was dropped because the writer was behind or had stopped."""
        return self._recommending.recorder.unrecorded

    def flush(self) -> None:
        """Hand the record of all answers so far to the writer; it follows within a moment anyway."""
        self._recommending.recorder.flush()

    def close(self) -> None:
        """`flush`, and do so with every later answer at once. Idempotent."""
        self._recommending.recorder.close()

    def warm_up(self) -> None:
        """Let every scorer answer once, unrecorded, so that the first request need not wait for compilers."""
        self._recommending.warm_up()

    def recommend(
        self,
        customer: CustomerRef,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> Recommendation:
        """The `n` (1 to 1,000) items that suit a customer best, with reasons; n of them if n may be shown.

        `scorer` empty means the setting's; `exclude_bought` None means what fits the scorer. A customer who is
        unknown, has no history or objected to personalization gets the fall-back scorer's list, which says so. Of an
        item's reasons the strongest come, `most_reasons` (0 to 100) at most; the last of them sums up all weaker ones.
        Raises `NotReady` before the first fit, `NotFound` for an unknown scorer, `InvalidInput` for bad fields.
        """
        return self.recommend_many(
            [customer],
            n,
            scorer=scorer,
            filters=filters,
            exclude=exclude,
            exclude_bought=exclude_bought,
            available_only=available_only,
            one_per_group=one_per_group,
            most_reasons=most_reasons,
        )[0]

    def recommend_many(
        self,
        customers: Sequence[CustomerRef],
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> tuple[Recommendation, ...]:
        """As `recommend`, for 1 to 1,000 customers at once, answers in the order asked."""
        return self.answer(
            customers,
            n,
            scorer=scorer,
            filters=filters,
            exclude=exclude,
            exclude_bought=exclude_bought,
            available_only=available_only,
            one_per_group=one_per_group,
            most_reasons=most_reasons,
        ).rows()

    def answer(
        self,
        customers: Sequence[CustomerRef],
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        exclude_bought: bool | None = None,
        available_only: bool = True,
        one_per_group: bool = True,
        most_reasons: int = 3,
    ) -> Answers:
        """`recommend_many` in columns, for whoever writes the answers elsewhere."""
        wanted = Wanted(
            n,
            scorer,
            _tuple(filters),
            _tuple(exclude),
            exclude_bought,
            available_only,
            one_per_group,
            most_reasons,
        )
        return self._recommending.answer(customers, wanted)

    def similar(
        self,
        item_id: str,
        n: int = 10,
        *,
        scorer: str = "",
        filters: Sequence[AttributeFilter] = (),
        exclude: Sequence[str] = (),
        available_only: bool = True,
        one_per_group: bool = True,
    ) -> SimilarItems:
        """The `n` items most like one. Raises `NotFound` for an unknown item."""
        wanted = Wanted(n, scorer, _tuple(filters), _tuple(exclude), None, available_only, one_per_group)
        return self._recommending.similar(item_id, wanted)

    def evaluate(
        self,
        scorers: Sequence[str] = (),
        *,
        days: float = 28,
        end: datetime | None = None,
        min_buyers: int = 1,
        most_customers: int = 2_000,
        seed: int = 1,
        progress: Callable[[Progress], None] | None = None,
    ) -> Evaluation:
        """How well each scorer, fitted on all that came before, would have foretold the purchases of the last `days`.

        `scorers` empty means all there are; baselines come on top. The period ends before `end` (in the shop's time
        zone unless it says otherwise), by default with the day of the last purchase. Only items that `min_buyers`
        customers had bought by then are recommended and foretold. More customers than `most_customers` are a sample,
        drawn by `seed`. Nothing that is served changes. Raises `NotReady` where there is no past or nothing to
        foretell, `NotFound` for an unknown scorer, `InvalidInput` for bad fields, `Conflict` while another one runs.
        """
        asked = Asked(_tuple(scorers), days, end, min_buyers, most_customers, seed)
        fallback, zone = self._settings["fallback_scorer"], self._settings["time_zone"]
        if not self._evaluating.acquire(blocking=False):
            raise Conflict("an evaluation is running; wait for it, then evaluate again", reason="EVALUATION_RUNNING")
        try:
            return evaluate_past(self._live, self._registry, fallback, zone, asked, progress or (lambda _: None))
        finally:
            self._evaluating.release()


def _tuple(values: Any) -> Any:
    """A list as a tuple; anything else as it is, for the checks to name."""
    return tuple(values) if isinstance(values, list) else values


__all__ = ["Customize"]
