"""What would suit this one customer: recommendations with reasons, and similar items."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.config import Settings
from visavis.customize.exclusions import Filters, check_excluded, check_filters, exclusions
from visavis.customize.ranking import (
    Picks,
    Placed,
    check_neighbours,
    explain,
    fill,
    reported,
    take_customers,
    take_exclusions,
)
from visavis.errors import NotFound, NotReady, Overloaded, StoreError, Unavailable, VisavisError
from visavis.history import Customers, Items
from visavis.identify.checks import Violations, check_count, check_customer, check_id, shorten
from visavis.live import Live
from visavis.live.identities import Found
from visavis.live.models import Generation
from visavis.live.state import now_us
from visavis.model import (
    AttributeFilter,
    CustomerRef,
    Identifier,
    Recommendation,
    RecommendedItem,
    SimilarItem,
    SimilarItems,
)
from visavis.plugin import NeighbourScorer, Scorer
from visavis.plugin.failures import type_and_place
from visavis.store import Operation, Store
from visavis.store.decisions import DecisionRow, insert_decisions

MOST_ITEMS = 1_000
MOST_CUSTOMERS = 1_000
UNRANKED = "catalog"
"""Stands as the scorer of items that no scorer has an opinion on."""

log = logging.getLogger("visavis.customize")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for, checked."""

    n: int
    scorer: str
    filters: tuple[AttributeFilter, ...]
    exclude: tuple[str, ...]
    exclude_bought: bool | None
    available_only: bool
    one_per_group: bool


class Recommending:
    """Answers from memory; the record of each answer is queued, and a crash may lose the last second of those."""

    def __init__(self, store: Store, live: Live, settings: Settings) -> None:
        self._store = store
        self._live = live
        self._settings = settings
        self._filters = Filters(live)
        self._count_lock = threading.Lock()
        self.unrecorded = 0
        """Answers whose record was dropped: too much was waiting to be written, or the writer has stopped."""

    def recommend(self, customers: Sequence[CustomerRef], wanted: Wanted) -> tuple[Recommendation, ...]:
        """One list a customer, in the order asked."""
        _check(wanted)
        _check_customers(customers)
        answers, decisions = self._answer(customers, wanted)
        self._record(decisions)
        return answers

    def warm_up(self) -> None:
        """Let every scorer answer once, for nobody to see, so that what is compiled or cached is ready."""
        texts = self._live.identities.customers.texts
        anybody: CustomerRef = texts[0] if texts else Identifier("device", "warm-up")
        for name in sorted(self._live.generation.scorers):
            try:
                self._answer([anybody], Wanted(10, name, (), (), None, True, True))
            except VisavisError as error:
                # It says so to whoever asks for it, too; it must not stop the start.
                failed, cause = error.metadata.get("plugin", name), error.__cause__ or error
                log.warning("scorer %s failed to warm up: %s", failed, type_and_place(cause))
                log.debug("traceback of scorer %s", failed, exc_info=cause)

    def _answer(
        self, customers: Sequence[CustomerRef], wanted: Wanted
    ) -> tuple[tuple[Recommendation, ...], list[DecisionRow]]:
        generation = self._generation()
        name = wanted.scorer or self._settings["scorer"]
        scorer = self._scorer(generation, name, "scorer")
        items = self._live.catalog.whole()
        everywhere = self._filters.excluded(items, wanted.filters, wanted.exclude, wanted.available_only)
        found = [self._live.identities.find(ref) for ref in customers]
        past = self._histories(customers, found)
        why_not = [self._why_not_personal(scorer, one, place, past) for place, one in enumerate(found)]
        picks = [Picks(wanted.n, items.group if wanted.one_per_group else None) for _ in customers]
        self._fill(picks, generation, name, scorer, past, why_not, items, everywhere, wanted)
        return self._answers(customers, found, past, generation, name, why_not, picks)

    def similar(self, item_id: str, wanted: Wanted) -> SimilarItems:
        """The items most like one."""
        _check(wanted)
        bad = Violations()
        check_id(bad, "item_id", item_id)
        bad.check()
        catalog = self._live.catalog
        code = catalog.ids.find(item_id)
        if code < 0:
            raise NotFound(
                f"item {shorten(item_id)} is not known; upsert it, or record an interaction with it",
                reason="UNKNOWN_ITEM",
                metadata={"item_id": item_id[:100]},
            )
        generation = self._generation()
        name, scorer = self._neighbour_scorer(generation, wanted.scorer)
        items = catalog.whole()
        everywhere = self._filters.excluded(items, wanted.filters, wanted.exclude, wanted.available_only)
        picks = Picks(wanted.n, items.group if wanted.one_per_group else None)
        picks.block_group(code)
        with reported(name):
            codes, scores = check_neighbours(*scorer.neighbours(code, len(items)), len(items), len(items))
        for other, score in zip(codes.tolist(), scores.tolist(), strict=True):
            if other < len(everywhere) and not everywhere[other]:
                picks.offer(other, score, name)
        return SimilarItems(
            item_id,
            catalog.name(code),
            name,
            tuple(
                SimilarItem(catalog.ids.texts[one.item], catalog.name(one.item), rank, one.score)
                for rank, one in enumerate(picks.placed, 1)
            ),
        )

    def _generation(self) -> Generation:
        generation = self._live.generation
        if not generation.number:
            raise NotReady(
                "nothing is fitted yet; run `visavis fit` (or call Fit) after importing or recording interactions"
            )
        return generation

    def _scorer(self, generation: Generation, name: str, field: str) -> Scorer:
        scorer = generation.scorers.get(name)
        if scorer is None:
            what = f"{field} {shorten(name)} is not in generation {generation.number}"
            if name in generation.unloaded:
                what = f"{field} {shorten(name)} was fitted, but is not loaded: {generation.failed[name]}"
            elif why := generation.failed.get(name):
                what += f" because it failed: {why}; mend it and run `visavis fit`"
            else:
                what += f"; fitted are {', '.join(sorted(generation.scorers))} (`visavis fit` adds new ones)"
            raise NotFound(
                what,
                reason="UNKNOWN_PLUGIN",
                metadata={"plugin": name[:100]},
            )
        return scorer

    def _neighbour_scorer(self, generation: Generation, name: str) -> tuple[str, NeighbourScorer]:
        knowing = {key: one for key, one in generation.scorers.items() if isinstance(one, NeighbourScorer)}
        if name:
            scorer = self._scorer(generation, name, "scorer")
            if not isinstance(scorer, NeighbourScorer):
                raise NotFound(
                    f"scorer {name} does not know which items are alike; these do: "
                    f"{', '.join(sorted(knowing)) or 'none'}",
                    reason="UNKNOWN_PLUGIN",
                    metadata={"plugin": name},
                )
            return name, scorer
        if not knowing:
            raise NotFound(
                "no fitted scorer knows which items are alike; enable item_similarity and run `visavis fit`",
                reason="UNKNOWN_PLUGIN",
                metadata={"plugin": ""},
            )
        first = self._settings["scorer"] if self._settings["scorer"] in knowing else sorted(knowing)[0]
        return first, knowing[first]

    def _histories(self, customers: Sequence[CustomerRef], found: Sequence[Found]) -> Customers:
        """The histories of those who may be personalized; an objector's is not even read."""
        live = self._live
        codes = np.array(
            [
                one.customer if one.customer >= 0 and live.consents.may_personalize(one.customer) else -1
                for one in found
            ],
            dtype=np.int32,
        )
        ids = [self._shown_id(ref, one) for ref, one in zip(customers, found, strict=True)]
        return live.histories.of(codes, ids, live.kinds.names, now_us())

    def _why_not_personal(self, scorer: Scorer, found: Found, place: int, past: Customers) -> str:
        if not scorer.personal:
            return ""
        if found.customer < 0:
            return "unknown_customer"
        if past.codes[place] < 0:
            return "objected"
        return "" if past.indptr[place + 1] > past.indptr[place] else "no_history"

    def _fill(
        self,
        picks: Sequence[Picks],
        generation: Generation,
        name: str,
        scorer: Scorer,
        past: Customers,
        why_not: Sequence[str],
        items: Items,
        everywhere: NDArray[np.bool_],
        wanted: Wanted,
    ) -> None:
        personal = [row for row, why in enumerate(why_not) if not why]
        if personal:
            chosen = take_customers(past, personal)
            bought = wanted.exclude_bought if wanted.exclude_bought is not None else not scorer.recommends_bought
            fill([picks[row] for row in personal], name, scorer, chosen, items, exclusions(chosen, everywhere, bought))
        lacking = [row for row, one in enumerate(picks) if not one.full]
        fallback = generation.scorers.get(self._settings["fallback_scorer"])
        if not lacking:
            return
        personal_fallback = fallback is not None and fallback.personal
        rest = take_customers(past, lacking)
        bought = wanted.exclude_bought is not False
        exclude = exclusions(rest, everywhere, bought)
        # Who gets nothing personal gets none, whatever scorer was named to fall back on.
        asking = [place for place, row in enumerate(lacking) if not (personal_fallback and why_not[row])]
        if fallback is not None and fallback is not scorer and asking:
            fill(
                [picks[lacking[place]] for place in asking],
                self._settings["fallback_scorer"],
                fallback,
                take_customers(rest, asking),
                items,
                take_exclusions(exclude, asking),
            )
        for place, row in enumerate(lacking):
            if not picks[row].full:
                hidden = everywhere.copy()
                hidden[exclude.indices[exclude.indptr[place] : exclude.indptr[place + 1]]] = True
                for code in np.flatnonzero(~hidden).tolist():
                    picks[row].offer(code, 0.0, UNRANKED)

    def _answers(
        self,
        customers: Sequence[CustomerRef],
        found: Sequence[Found],
        past: Customers,
        generation: Generation,
        name: str,
        why_not: Sequence[str],
        picks: Sequence[Picks],
    ) -> tuple[tuple[Recommendation, ...], list[DecisionRow]]:
        answers, decisions = [], []
        for row, one in enumerate(picks):
            placed = one.placed
            reason = why_not[row]
            if not reason and any(entry.scorer != name for entry in placed):
                reason = "too_few"
            answer = Recommendation(
                customer_id=past.ids[row],
                decision_id=f"d-{uuid.uuid4().hex}",
                scorer=placed[0].scorer if placed else name,
                fallback=bool(reason) and not any(entry.scorer == name for entry in placed),
                fallback_reason=reason,
                generation=generation.number,
                items=self._items(placed, generation, take_customers(past, [row])),
            )
            answers.append(answer)
            decisions.append(
                DecisionRow(
                    answer.decision_id,
                    past.now,
                    # An objector's answers are kept, for no person.
                    found[row].identity if past.codes[row] >= 0 else -1,
                    answer.scorer,
                    reason,
                    generation.number,
                    [entry.item for entry in placed],
                    [entry.score for entry in placed],
                    [entry.scorer for entry in placed],
                )
            )
        return tuple(answers), decisions

    def _items(
        self, placed: Sequence[Placed], generation: Generation, customer: Customers
    ) -> tuple[RecommendedItem, ...]:
        catalog = self._live.catalog
        reasons = explain(placed, generation.scorers.get, customer, catalog)
        return tuple(
            RecommendedItem(
                item_id=catalog.ids.texts[one.item],
                name=catalog.name(one.item),
                rank=rank,
                score=one.score,
                scorer=one.scorer,
                reasons=why,
            )
            for rank, (one, why) in enumerate(zip(placed, reasons, strict=True), 1)
        )

    def _shown_id(self, ref: CustomerRef, found: Found) -> str:
        if found.customer >= 0:
            return self._live.identities.customers.texts[found.customer]
        return ref if isinstance(ref, str) else ""

    def _record(self, decisions: Sequence[DecisionRow]) -> None:
        try:
            future = self._store.writer.submit(
                Operation(lambda tx: insert_decisions(tx, decisions), rows=len(decisions))
            )
        except (Overloaded, StoreError, Unavailable) as error:
            # The answer is made from memory, and stands without its record.
            self._count_unrecorded(len(decisions), error)
        else:
            future.add_done_callback(lambda done: self._count_unrecorded(len(decisions), done.exception()))

    def _count_unrecorded(self, answers: int, error: BaseException | None) -> None:
        if error is None:
            return
        with self._count_lock:
            first = not self.unrecorded
            self.unrecorded += answers
        if first:
            log.warning("answers go unrecorded, the status counts them: %s", type(error).__name__)


def _check(wanted: Wanted) -> None:
    bad = Violations()
    check_count(bad, "n", wanted.n, most=MOST_ITEMS)
    check_id(bad, "scorer", wanted.scorer, required=False)
    bad.check()
    check_filters(wanted.filters)
    check_excluded(wanted.exclude)


def _check_customers(customers: object) -> None:
    bad = Violations()
    if not isinstance(customers, list | tuple):
        bad.add("customers", f"is {shorten(customers)}; give a list of customers")
    elif not 1 <= len(customers) <= MOST_CUSTOMERS:
        bad.add("customers", f"holds {len(customers):,}; give 1 to {MOST_CUSTOMERS:,}")
    else:
        for place, ref in enumerate(customers):
            check_customer(bad, f"customers[{place}]" if len(customers) > 1 else "customer", ref)
    bad.check()


__all__ = ["MOST_CUSTOMERS", "MOST_ITEMS", "UNRANKED", "Recommending", "Wanted"]
