"""What would suit this one customer: recommendations with reasons, and similar items."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from visavis.config import Settings
from visavis.customize.answers import Answers, new_ids
from visavis.customize.exclusions import Filters, Hidden, check_excluded, check_filters, nobodys
from visavis.customize.lists import Lists
from visavis.customize.ranking import check_neighbours, fill, place, reported, take_customers, take_exclusions
from visavis.customize.reasons import Reasons, explain, spread
from visavis.customize.recorder import Recorder
from visavis.customize.summing import best_of_sums, reasons_of_sums
from visavis.errors import NotFound, NotReady, VisavisError
from visavis.history import Customers, Items
from visavis.identify.checks import Violations, check_count, check_customer, check_id, shorten
from visavis.live import Live
from visavis.live.models import Generation
from visavis.live.state import now_us
from visavis.model import AttributeFilter, CustomerRef, Identifier, SimilarItem, SimilarItems
from visavis.plugin import NeighbourScorer, Scorer, SumScorer
from visavis.plugin.failures import type_and_place
from visavis.store import Store
from visavis.store.decisions import Decisions

MOST_ITEMS = 1_000
MOST_CUSTOMERS = 1_000
MOST_REASONS = 100
UNRANKED = "catalog"
"""Stands as the scorer of items that no scorer has an opinion on."""
ALIKE = "item_similarity"
"""Asked which items are alike, if it is there and the setting's scorer does not know."""

_NO_GROUPS = np.empty(0, dtype=np.int32)

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
    most_reasons: int = 0


class Recommending:
    """Answers from memory; the record of each answer is queued, and a crash may lose the last second of those."""

    def __init__(self, store: Store, live: Live, settings: Settings) -> None:
        self._store = store
        self._live = live
        self._settings = settings
        self._filters = Filters(live)
        self._hidden = Hidden(live.kinds.names, live.kind_table)
        self.recorder = Recorder(store)

    def answer(self, customers: Sequence[CustomerRef], wanted: Wanted) -> Answers:
        """One list a customer, in the order asked."""
        if not _is_plain(wanted):
            _check(wanted)
        if self._live.identities.find_ids(customers) is None or not 1 <= len(customers) <= MOST_CUSTOMERS:
            self._check_customers(customers)
        answers = self._answer(customers, wanted)
        self._record(answers)
        return answers

    def warm_up(self) -> None:
        """Let every scorer answer once, for nobody to see, so that what is compiled or cached is ready."""
        texts = self._live.identities.customers.texts
        anybody: CustomerRef = texts[0] if texts else Identifier("device", "warm-up")
        for name in sorted(self._live.generation.scorers):
            try:
                answers = self._answer([anybody], Wanted(10, name, (), (), None, True, True, 3))
                answers.wire()
            except VisavisError as error:
                # It says so to whoever asks for it, too; it must not stop the start.
                failed, cause = error.metadata.get("plugin", name), error.__cause__ or error
                log.warning("scorer %s failed to warm up: %s", failed, type_and_place(cause))
                log.debug("traceback of scorer %s", failed, exc_info=cause)

    def _answer(self, customers: Sequence[CustomerRef], wanted: Wanted) -> Answers:
        generation = self._generation()
        name = wanted.scorer or self._settings["scorer"]
        scorer = self._scorer(generation, name, "scorer")
        items = self._live.catalog.whole()
        everywhere = self._filters.excluded(items, wanted.filters, wanted.exclude, wanted.available_only)
        past, identities, known = self._histories(customers)
        why_not = _why_not_personal(scorer, past, known)
        fallback = generation.scorers.get(self._settings["fallback_scorer"])
        scorers = ((name, scorer), (self._settings["fallback_scorer"], fallback), (UNRANKED, None))
        lists, summed = self._ranked(scorers, past, why_not, items, everywhere, wanted)
        self._fill_up(lists, scorers, past, why_not, items, everywhere, wanted)
        reasons = explain(lists, scorers, past, len(items), wanted.most_reasons, summed)
        return Answers(
            past.now,
            generation.number,
            past.ids,
            identities,
            new_ids(len(customers)),
            tuple(name for name, _ in scorers),
            _fallback_reasons(lists, why_not),
            lists,
            reasons,
            self._live.catalog,
        )

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
        hidden = everywhere.copy()
        hidden[code : code + 1] = True
        group = self._filters.groups(items) if wanted.one_per_group else _NO_GROUPS
        if len(group) > code and group[code] >= 0:
            hidden |= group == group[code]
        with reported(name):
            codes, scores = check_neighbours(*scorer.neighbours(code, len(items)), len(items), len(items))
        shown = ~hidden[codes]
        lists = Lists.empty(1, wanted.n, 1)
        best, values = codes[shown][np.newaxis], scores[shown][np.newaxis]
        with reported(name):
            place(lists, np.zeros(1, dtype=np.int64), best, values, nobodys(hidden), group, 0, best.shape[1])
        return SimilarItems(
            item_id,
            catalog.name(code),
            name,
            tuple(
                SimilarItem(catalog.ids.texts[other], catalog.name(other), rank, score)
                for rank, (other, score) in enumerate(
                    zip(lists.items[0].tolist(), lists.scores[0].tolist(), strict=True), 1
                )
                if other >= 0
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
        first = next((key for key in (self._settings["scorer"], ALIKE) if key in knowing), sorted(knowing)[0])
        return first, knowing[first]

    def _histories(self, customers: Sequence[CustomerRef]) -> tuple[Customers, NDArray[np.int32], NDArray[np.int32]]:
        """The histories of those who may be personalized, an objector's is not even read; identities that an answer
        may be recorded for, −1 for an objector's; and who was found at all."""
        live = self._live
        found = live.identities.find_ids(customers)
        if found is not None:
            (identities, known), ids = found, cast(Sequence[str], customers)
        else:
            identities, known = live.identities.find_many(customers)
            texts = live.identities.customers.texts
            ids = [
                texts[code] if code >= 0 else ref if isinstance(ref, str) else ""
                for ref, code in zip(customers, known.tolist(), strict=True)
            ]
        codes = known
        if objected := live.consents.objecting(known):
            codes = known.copy()
            codes[objected] = identities[objected] = -1
        return live.histories.of(codes, ids, live.kinds.names, now_us()), identities, known

    def _ranked(
        self,
        scorers: Sequence[tuple[str, Scorer | None]],
        past: Customers,
        why_not: Sequence[str],
        items: Items,
        everywhere: NDArray[np.bool_],
        wanted: Wanted,
    ) -> tuple[Lists, Reasons | None]:
        """What the scorer asked for answers to those who may be personalized; and why, if it says so at once."""
        name, scorer = scorers[0]
        group = self._filters.groups(items) if wanted.one_per_group else _NO_GROUPS
        if any(why_not):
            personal = np.array([row for row, why in enumerate(why_not) if not why], dtype=np.int64)
        else:
            personal = np.arange(len(past))
        if not len(personal) or scorer is None:
            return Lists.empty(len(past), wanted.n, len(scorers)), None
        chosen = take_customers(past, personal)
        bought = wanted.exclude_bought if wanted.exclude_bought is not None else not scorer.recommends_bought
        exclude = self._hidden.exclusions(chosen, everywhere, bought)
        if isinstance(scorer, SumScorer) and scorer.summed:
            with reported(name):
                sums = scorer.sums(chosen)
                codes, scores = best_of_sums(sums, exclude, group, wanted.n)
                reasons = reasons_of_sums(sums, scorer.others, codes, wanted.most_reasons)
            lists = Lists.begun(len(past), len(scorers), personal, codes, scores)
            return lists, reasons if len(personal) == len(past) else spread(reasons, personal, lists.items.shape)
        lists = Lists.empty(len(past), wanted.n, len(scorers))
        fill(lists, personal, 0, name, scorer, chosen, items, exclude, group)
        return lists, None

    def _fill_up(
        self,
        lists: Lists,
        scorers: Sequence[tuple[str, Scorer | None]],
        past: Customers,
        why_not: Sequence[str],
        items: Items,
        everywhere: NDArray[np.bool_],
        wanted: Wanted,
    ) -> None:
        """Let the fall-back scorer, then the rest of the catalogue, take the places that are free."""
        (_, scorer), (fallback_name, fallback), _ = scorers
        lacking = lists.free()
        if not len(lacking):
            return
        group = self._filters.groups(items) if wanted.one_per_group else _NO_GROUPS
        rest = take_customers(past, lacking)
        exclude = self._hidden.exclusions(rest, everywhere, wanted.exclude_bought is not False)
        if fallback is not None and fallback is not scorer:
            # Who gets nothing personal gets none, whatever scorer was named to fall back on.
            asking = np.array(
                [at for at, row in enumerate(lacking.tolist()) if not (fallback.personal and why_not[row])],
                dtype=np.int64,
            )
            if len(asking):
                own, hidden = take_customers(rest, asking), take_exclusions(exclude, asking)
                fill(lists, lacking[asking], 1, fallback_name, fallback, own, items, hidden, group)
        for at, row in enumerate(lacking.tolist()):
            if lists.items[row, -1] < 0:
                hidden = take_exclusions(exclude, np.array([at]))
                left = everywhere.copy()
                left[hidden.indices] = True
                codes = np.flatnonzero(~left).astype(np.int32)[np.newaxis]
                place(lists, lacking[[at]], codes, np.zeros(codes.shape), hidden, group, 2, codes.shape[1])

    def _record(self, answers: Answers) -> None:
        items, scores, by, _ = answers.lists
        self.recorder.add(
            Decisions(
                answers.at,
                answers.generation,
                answers.ids,
                answers.identities,
                answers.scorers,
                answers.fallback_reasons,
                items,
                scores,
                by,
            )
        )

    def _check_customers(self, customers: object) -> None:
        bad = Violations()
        if not isinstance(customers, list | tuple):
            bad.add("customers", f"is {shorten(customers)}; give a list of customers")
        elif not 1 <= len(customers) <= MOST_CUSTOMERS:
            bad.add("customers", f"holds {len(customers):,}; give 1 to {MOST_CUSTOMERS:,}")
        else:
            known = self._live.identities.customers
            for number, ref in enumerate(customers):
                # An id that is known was checked when it came.
                if not isinstance(ref, str) or known.find(ref) < 0:
                    check_customer(bad, f"customers[{number}]" if len(customers) > 1 else "customer", ref)
        bad.check()


def _is_plain(wanted: Wanted) -> bool:
    """Whether there is nothing to check, as in nearly every request."""
    return (
        type(wanted.n) is int
        and 1 <= wanted.n <= MOST_ITEMS
        and type(wanted.most_reasons) is int
        and 0 <= wanted.most_reasons <= MOST_REASONS
        and wanted.scorer == ""
        and wanted.filters == ()
        and wanted.exclude == ()
    )


def _check(wanted: Wanted) -> None:
    bad = Violations()
    check_count(bad, "n", wanted.n, most=MOST_ITEMS)
    check_count(bad, "most_reasons", wanted.most_reasons, least=0, most=MOST_REASONS)
    check_id(bad, "scorer", wanted.scorer, required=False)
    bad.check()
    check_filters(wanted.filters)
    check_excluded(wanted.exclude)


def _why_not_personal(scorer: Scorer, past: Customers, known: NDArray[np.int32]) -> list[str]:
    """Of each customer, why a personal scorer is not asked; empty if it is."""
    sizes = np.diff(past.indptr)
    if not scorer.personal or sizes.all():
        return [""] * len(past)
    return [
        "" if rows else "unknown_customer" if found < 0 else "objected" if read < 0 else "no_history"
        for rows, found, read in zip(sizes.tolist(), known.tolist(), past.codes.tolist(), strict=True)
    ]


def _fallback_reasons(lists: Lists, why_not: Sequence[str]) -> Sequence[str]:
    """Of each list, why not all is from the scorer asked for."""
    others = np.count_nonzero(lists.counts[:, 1:], axis=1)
    if not others.any():
        return why_not
    return [why or ("too_few" if other else "") for why, other in zip(why_not, others.tolist(), strict=True)]


__all__ = ["ALIKE", "MOST_CUSTOMERS", "MOST_ITEMS", "MOST_REASONS", "UNRANKED", "Recommending", "Wanted"]
