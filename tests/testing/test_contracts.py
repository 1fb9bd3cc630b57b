"""The contract tests fail where they should: each of these plugins breaks one rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from visavis.model import Delivery
from visavis.plugin import Channel, Contribution, NeighbourScorer, Scorer, Segmenter
from visavis.testing import ChannelContract, NeighbourScorerContract, ScorerContract, SegmenterContract
from visavis_plugins.scorers.item_similarity import ItemSimilarity


class Good(Scorer):
    """Counts purchases, by the book."""

    name: ClassVar[str] = "good"
    mode = "fitted"

    def fit(self, history: Any) -> Any:
        self.count_ = np.bincount(history.item[history.item >= 0], minlength=len(history.items)).astype(float)
        return self

    def score(self, customers: Any, candidates: Any) -> Any:
        known = (candidates.codes >= 0) & (candidates.codes < len(self.count_))
        line = np.full(len(candidates), np.nan)
        line[known] = self.count_[candidates.codes[known]]
        return np.tile(line, (len(customers), 1))


class BadName(Good):
    name = "Bad name"


class BadMode(Good):
    mode = "live"


class Undocumented(Good):
    @dataclass(frozen=True)
    class Options:
        depth: int = 1


class LearnsInConstructor(Good):
    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self.count_ = np.zeros(3)


class ForgetsOptions(Good):
    def __init__(self, options: object | None = None) -> None:
        super().__init__(None)


class FitReturnsNone(Good):
    def fit(self, history: Any) -> Any:
        super().fit(history)


class AddsUp(Good):
    def fit(self, history: Any) -> Any:
        before = getattr(self, "count_", 0)
        super().fit(history)
        self.count_ = self.count_ + before
        return self


class Random(Good):
    def fit(self, history: Any) -> Any:
        super().fit(history)
        self.count_ = np.random.default_rng().random(len(self.count_))
        return self


class KeepsObjects(Good):
    def fit(self, history: Any) -> Any:
        super().fit(history)
        self.names_ = np.array([object()], dtype=object)
        return self


class KeepsADict(Good):
    def fit(self, history: Any) -> Any:
        super().fit(history)
        self.names_ = {"a": 1}
        return self


class HidesState(Good):
    def fit(self, history: Any) -> Any:
        super().fit(history)
        self._secret = float(history.item.max(initial=0))
        return self

    def score(self, customers: Any, candidates: Any) -> Any:
        return super().score(customers, candidates) + getattr(self, "_secret", 0.0)


class CachesTooLong(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        self._first = getattr(self, "_first", self.count_)
        self.count_ = self._first
        return super().score(customers, candidates)


class WrongDtype(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        return super().score(customers, candidates).astype(np.float32)


class Infinite(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        return np.nan_to_num(super().score(customers, candidates), nan=-np.inf)


class OpinionOnUnknown(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        return np.nan_to_num(super().score(customers, candidates))


class DependsOnCompany(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        return super().score(customers, candidates) / max(len(customers), 1)


class DependsOnCandidates(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        return super().score(customers, candidates) / max(len(candidates), 1)


class WritesToInput(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        candidates.price[:] = 0
        return super().score(customers, candidates)


class TopIgnoresExclusions(Good):
    def top(self, customers: Any, items: Any, n: int, exclude: Any) -> Any:
        return super().top(customers, items, n, type(exclude)(exclude.everywhere, exclude.indptr * 0, exclude.indices))


class TopIsReversed(Good):
    def top(self, customers: Any, items: Any, n: int, exclude: Any) -> Any:
        codes, values = super().top(customers, items, n, exclude)
        return codes[:, ::-1].copy(), values[:, ::-1].copy()


class ReasonsLie(Good):
    def explain(self, customers: Any, chosen: Any, scores: Any) -> Any:
        told = super().explain(customers, chosen, scores)
        return [[[*parts, Contribution("x", 1e-6, "y")] if parts else parts for parts in row] for row in told]


class NamesNoItem(Good):
    def explain(self, customers: Any, chosen: Any, scores: Any) -> Any:
        told = super().explain(customers, chosen, scores)
        return [[[Contribution("x", part.amount, "{item}") for part in parts] for parts in row] for row in told]


class ColumnsSaySomethingElse(Good):
    def explain_columns(self, customers: Any, chosen: Any, scores: Any) -> Any:
        told = super().explain_columns(customers, chosen, scores)
        return replace(told, templates=[("x", "y") for _ in told.templates])


class BreaksOnNewItems(Good):
    def score(self, customers: Any, candidates: Any) -> Any:
        line = np.where(candidates.codes >= 0, self.count_[candidates.codes], np.nan)
        return np.tile(line, (len(customers), 1))


class BreaksOnEmptyHistory(Good):
    def fit(self, history: Any) -> Any:
        history.time.max()
        return super().fit(history)


class NotFinished(Good):
    def explain(self, customers: Any, chosen: Any, scores: Any) -> Any:
        raise NotImplementedError


class SaysMoreThanItsSums(ItemSimilarity):
    summed: ClassVar[bool] = True

    def top(self, customers: Any, items: Any, n: int, exclude: Any) -> Any:
        codes, scores = super().top(customers, items, n, exclude)
        return codes, scores * 2


BROKEN_SCORERS: list[tuple[type[Scorer], str]] = [
    (BadName, "test_has_a_name"),
    (BadMode, "test_declares_its_mode"),
    (BadMode, "test_live_scorers_keep_no_state"),
    (Undocumented, "test_options_have_defaults_and_docs"),
    (LearnsInConstructor, "test_constructor_only_stores"),
    (ForgetsOptions, "test_constructor_only_stores"),
    (FitReturnsNone, "test_fit_returns_self"),
    (AddsUp, "test_fit_twice_replaces"),
    (Random, "test_fit_repeats_itself"),
    (KeepsObjects, "test_state_survives_the_store"),
    (KeepsADict, "test_state_survives_the_store"),
    (HidesState, "test_state_survives_the_store"),
    (CachesTooLong, "test_restore_replaces_what_was_fitted"),
    (WrongDtype, "test_score_has_the_right_shape"),
    (Infinite, "test_unknown_items_get_no_opinion"),
    (OpinionOnUnknown, "test_unknown_items_get_no_opinion"),
    (DependsOnCompany, "test_batch_equals_single"),
    (DependsOnCandidates, "test_a_candidate_scores_the_same_in_any_company"),
    (WritesToInput, "test_score_has_the_right_shape"),
    (TopIgnoresExclusions, "test_top_agrees_with_score"),
    (TopIsReversed, "test_top_agrees_with_score"),
    (ReasonsLie, "test_explanations_add_up"),
    (ColumnsSaySomethingElse, "test_explanations_add_up"),
    (NamesNoItem, "test_explanations_add_up"),
    (BreaksOnNewItems, "test_items_newer_than_the_fit"),
    (BreaksOnEmptyHistory, "test_empty_history"),
    (NotFinished, "test_explanations_add_up"),
    (SaysMoreThanItsSums, "test_sums_say_what_the_scorer_says"),
    (Good, "test_finds_the_checkerboard"),
]


def _tests_of(contract: type) -> list[str]:
    return [name for name in dir(contract) if name.startswith("test_")]


def scorer_contract(scorer: type[Scorer]) -> ScorerContract:
    made = type("Contract", (ScorerContract,), {"plugin": scorer, "collaborative": True})
    return made()  # type: ignore[no-any-return]


def test_a_good_scorer_passes() -> None:
    contract = scorer_contract(Good)
    for name in _tests_of(ScorerContract):
        if name != "test_finds_the_checkerboard":
            getattr(contract, name)()


@pytest.mark.parametrize(("scorer", "test"), BROKEN_SCORERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_scorer_fails(scorer: type[Scorer], test: str) -> None:
    with pytest.raises((AssertionError, ValueError, IndexError, NotImplementedError)):
        getattr(scorer_contract(scorer), test)()


def test_every_rule_for_scorers_can_be_broken() -> None:
    # those that only run into exceptions of the plugin's own
    without = {
        "test_unknown_customers_have_no_history_to_go_by",
        "test_customers_newer_than_the_fit",
        "test_nobody_asked",
    }
    assert {test for _, test in BROKEN_SCORERS} == set(_tests_of(ScorerContract)) - without


class SelfNeighbour(ItemSimilarity):
    def neighbours(self, item: int, n: int) -> Any:
        return np.array([item], dtype=np.int32), np.ones(1)


class WorstFirst(ItemSimilarity):
    def neighbours(self, item: int, n: int) -> Any:
        codes, similarities = super().neighbours(item, n)
        return codes[::-1], similarities[::-1]


class NoNeighbours(ItemSimilarity):
    def neighbours(self, item: int, n: int) -> Any:
        return np.empty(0, dtype=np.int32), np.empty(0)


@pytest.mark.parametrize("scorer", [SelfNeighbour, WorstFirst, NoNeighbours])
def test_broken_neighbours_fail(scorer: type[NeighbourScorer]) -> None:
    contract: Any = type("Contract", (NeighbourScorerContract,), {"plugin": scorer})()
    with pytest.raises(AssertionError):
        contract.test_neighbours_come_best_first()


def test_neighbours_of_unseen_items_fail() -> None:
    contract: Any = type("Contract", (NeighbourScorerContract,), {"plugin": SelfNeighbour})()
    with pytest.raises(AssertionError):
        contract.test_unseen_items_have_no_neighbours()


class Fifty(Segmenter):
    """Above or below the learned middle, by the book."""

    name: ClassVar[str] = "fifty"

    def fit(self, features: Any) -> Any:
        known = features["monetary"][~np.isnan(features["monetary"])]
        self.middle_ = float(np.median(known)) if len(known) else 0.0
        return self

    def label(self, features: Any) -> Any:
        return ["above" if value > self.middle_ else "below" for value in features["monetary"]]


def _relabelled(label: Callable[[Any, Any], Any]) -> type[Segmenter]:
    return type("Broken", (Fifty,), {"label": label})


def _refitted(fit: Callable[[Any, Any], Any]) -> type[Segmenter]:
    return type("Broken", (Fifty,), {"fit": fit})


def _first_wins(self: Any, features: Any) -> Any:
    self.middle_ = float(np.nan_to_num(features["monetary"][1:2]).sum())
    return self


def _adds_up(self: Any, features: Any) -> Any:
    before = getattr(self, "middle_", 0.0)
    Fifty.fit(self, features)
    self.middle_ += before
    return self


BROKEN_SEGMENTERS: list[tuple[type[Segmenter], str]] = [
    (_refitted(lambda self, features: None), "test_fit_returns_self"),
    (_refitted(_adds_up), "test_fit_twice_replaces"),
    (_refitted(lambda self, f: [setattr(self, "middle_", {}), self][1]), "test_state_survives_the_store"),
    (_relabelled(lambda self, features: ["a"]), "test_one_label_a_row"),
    (_relabelled(lambda self, features: [None] * len(features)), "test_one_label_a_row"),
    (_relabelled(lambda self, features: [""] * len(features)), "test_one_label_a_row"),
    (_relabelled(lambda self, f: [str(np.random.default_rng().random())] * len(f)), "test_labels_repeat_themselves"),
    (_relabelled(lambda self, f: [str(row) for row in range(len(f))]), "test_labels_follow_their_rows"),
    (_refitted(_first_wins), "test_labels_follow_their_rows"),
    (_relabelled(lambda self, f: [str(len(f))] * len(f)), "test_batch_equals_single"),
    (_refitted(lambda self, f: [f["monetary"].max(), self][1]), "test_empty_table"),
]


@pytest.mark.parametrize(("segmenter", "test"), BROKEN_SEGMENTERS)
def test_a_broken_segmenter_fails(segmenter: type[Segmenter], test: str) -> None:
    contract: Any = type("Contract", (SegmenterContract,), {"plugin": segmenter})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(contract, test)()


def test_a_good_segmenter_passes() -> None:
    contract: Any = type("Contract", (SegmenterContract,), {"plugin": Fifty})()
    for name in _tests_of(SegmenterContract):
        getattr(contract, name)()


ARRIVED: list[str] = []


class Repeats(Channel):
    """Sends a repeat again."""

    name: ClassVar[str] = "repeats"

    def send(self, message: Any) -> Delivery:
        ARRIVED.append(message.message_id)
        return Delivery(message.message_id, True)


class Forgets(Repeats):
    """Remembers until it is made anew."""

    def send(self, message: Any) -> Delivery:
        self._sent: list[str] = getattr(self, "_sent", [])
        if message.message_id not in self._sent:
            self._sent.append(message.message_id)
            super().send(message)
        return Delivery(message.message_id, True)


class Lowers(Repeats):
    """Takes `M-1` for `m-1`."""

    def send(self, message: Any) -> Delivery:
        if message.message_id.lower() not in ARRIVED:
            ARRIVED.append(message.message_id.lower())
        return Delivery(message.message_id, True)


class Refuses(Repeats):
    def send(self, message: Any) -> Delivery:
        return Delivery(message.message_id, False, "no")


class Purposeless(Repeats):
    purpose = "fun"


@pytest.mark.parametrize(
    ("channel", "test"),
    [
        (Repeats, "test_the_same_message_twice_has_one_effect"),
        (Repeats, "test_a_repeat_after_a_restart_has_one_effect"),
        (Forgets, "test_a_repeat_after_a_restart_has_one_effect"),
        (Lowers, "test_different_messages_are_all_sent"),
        (Refuses, "test_sends"),
        (Purposeless, "test_declares_what_it_needs"),
    ],
)
def test_a_broken_channel_fails(channel: type[Channel], test: str) -> None:
    ARRIVED.clear()
    contract: Any = type("Contract", (ChannelContract,), {"plugin": channel, "effects": lambda self: len(ARRIVED)})()
    with pytest.raises(AssertionError):
        getattr(contract, test)()


def test_a_channel_test_without_effects_says_what_is_missing() -> None:
    contract: Any = type("Contract", (ChannelContract,), {"plugin": Forgets})()
    with pytest.raises(NotImplementedError, match="define effects"):
        contract.test_sends()
