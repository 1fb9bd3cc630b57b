"""The contract of scorers as tests: subclass, set `plugin`, run under pytest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.history import Customers, Exclusions, History, Items
from visavis.plugin.scorer import NeighbourScorer, ReasonColumns, Scorer
from visavis.plugin.sums import SumScorer
from visavis.testing.builders import Event, make_customers, make_exclusions, make_history, make_items
from visavis.testing.known_answers import checkerboard
from visavis.testing.plugins import PluginContract, assert_same_state, through_the_store

_N_CUSTOMERS = 9
_N_ITEMS = 14


def _shop(seed: int) -> list[Event]:
    """A small shop: purchases (some returned entirely), views, skips, ratings, nobody's baskets."""
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(160):
        kind = str(rng.choice(["purchase", "purchase", "rating", "rating", "view", "like", "skip"]))
        events.append(
            Event(
                customer=int(rng.integers(-1, _N_CUSTOMERS - 1)),
                item=int(rng.integers(-1, _N_ITEMS - 2)),
                kind=kind,
                day=float(rng.integers(0, 90)),
                quantity=float(rng.integers(0, 4)) if kind == "purchase" else 1.0,
                rating=float(rng.integers(1, 6)) if kind == "rating" else np.nan,
            )
        )
    return events


class ScorerContract(PluginContract):
    """Subclass and set `plugin`; `options` is optional.

    `collaborative = True` says that the scorer learns from what customers have in common: it then has to find the
    held-out item of each customer of the checkerboard.
    """

    plugin: ClassVar[type[Scorer]]
    collaborative: ClassVar[bool] = False

    def history(self, seed: int = 1) -> History:
        """What the scorer under test learns from: 9 customers, 14 items, two of which nobody touched."""
        return make_history(_shop(seed), n_customers=_N_CUSTOMERS, items=self.items(_N_ITEMS), now_day=91)

    def customers(self, codes: Sequence[int] = (0, 3, -1, 8, 5), seed: int = 1) -> Customers:
        """Customers of the request; −1 is unknown and 8 has no history."""
        return make_customers(_shop(seed), codes, now_day=91)

    def items(self, n: int, codes: Sequence[int] | None = None) -> Items:
        """Items of the catalogue; override to give them attributes that the scorer needs."""
        return make_items(n, codes=codes, first_seen_day=[float(place) for place in range(n)])

    def fitted(self, seed: int = 1) -> Scorer:
        """The scorer under test after `fit`."""
        scorer: Scorer = self.make()
        return scorer.fit(self.history(seed))

    def test_declares_its_mode(self) -> None:
        assert self.plugin.mode in ("live", "fitted"), f"mode is {self.plugin.mode!r}"
        assert self.plugin.mode == "fitted" or self.plugin.fit is Scorer.fit, "a live scorer's fit is never called"

    def test_fit_returns_self(self) -> None:
        scorer: Scorer = self.make()
        assert scorer.fit(self.history()) is scorer

    def test_fit_twice_replaces(self) -> None:
        once, twice = self.fitted(seed=1), self.fitted(seed=2).fit(self.history(seed=1))
        assert_same_state(once.state(), twice.state())

    def test_fit_repeats_itself(self) -> None:
        assert_same_state(self.fitted().state(), self.fitted().state())

    def test_live_scorers_keep_no_state(self) -> None:
        assert self.plugin.mode == "fitted" or self.fitted().state() == {}, "a live scorer has no learned state"

    def test_state_survives_the_store(self) -> None:
        scorer = self.fitted()
        again: Scorer = self.make()
        again.restore(through_the_store(scorer.state()))
        assert_same_state(scorer.state(), again.state())
        catalogue = self.items(_N_ITEMS)
        np.testing.assert_array_equal(self._score(scorer), self._score(again))
        nothing = make_exclusions(_N_ITEMS, [()] * 5)
        before, after = (each.top(self.customers(), catalogue, 5, nothing) for each in (scorer, again))
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])

    def test_restore_replaces_what_was_fitted(self) -> None:
        scorer, other = self.fitted(seed=1), self.fitted(seed=2)
        self._score(other)
        other.restore(through_the_store(scorer.state()))
        np.testing.assert_array_equal(self._score(scorer), self._score(other))

    def test_score_has_the_right_shape(self) -> None:
        scores = self._score(self.fitted())
        assert scores.dtype == np.float64
        assert scores.shape == (5, _N_ITEMS)
        assert not np.isinf(scores).any(), "no opinion is NaN, never an infinity"

    def test_unknown_items_get_no_opinion(self) -> None:
        candidates = self.items(3, codes=(2, -1, 4))
        scores = self.fitted().score(self.customers(), candidates)
        assert np.isnan(scores[:, 1]).all(), "an item of code -1 must score NaN"

    def test_batch_equals_single(self) -> None:
        scorer, codes = self.fitted(), (0, 3, -1, 8, 5)
        singles = [scorer.score(self.customers((code,)), self.items(_N_ITEMS)) for code in codes]
        np.testing.assert_array_equal(self._score(scorer), np.vstack(singles))

    def test_a_candidate_scores_the_same_in_any_company(self) -> None:
        scorer, whole = self.fitted(), self.items(_N_ITEMS)
        subset = (11, 2, 7)
        part = Items(
            codes=whole.codes[list(subset)],
            ids=[whole.ids[code] for code in subset],
            price=whole.price[list(subset)],
            available=whole.available[list(subset)],
            group=whole.group[list(subset)],
            first_seen=whole.first_seen[list(subset)],
            read_column=whole.read_column,
            read_names=whole.read_names,
        )
        np.testing.assert_array_equal(self._score(scorer)[:, subset], scorer.score(self.customers(), part))

    def test_top_agrees_with_score(self) -> None:
        scorer, catalogue = self.fitted(), self.items(_N_ITEMS)
        exclusions = (
            make_exclusions(_N_ITEMS, [()] * 5),
            make_exclusions(_N_ITEMS, [(0, 1, 2), (5,), (7, 8), (), (3, 13)], everywhere=(4, 9)),
            make_exclusions(_N_ITEMS, [()] * 5, everywhere=range(_N_ITEMS)),
        )
        for exclude in exclusions:
            for n in (1, 4, _N_ITEMS, _N_ITEMS + 6):
                self._check_top(scorer, self.customers(), catalogue, n, exclude)

    def test_explanations_add_up(self) -> None:
        scorer = self.fitted()
        codes, scores = scorer.top(self.customers(), self.items(_N_ITEMS), 6, make_exclusions(_N_ITEMS, [()] * 5))
        self._check_explained(scorer, self.customers(), codes, scores)

    def test_sums_say_what_the_scorer_says(self) -> None:
        """Of a `SumScorer` the framework asks for `sums` alone."""
        scorer, n = self.fitted(), _N_ITEMS
        if not isinstance(scorer, SumScorer) or not scorer.summed:
            return
        customers, exclude = (
            self.customers(),
            make_exclusions(n, [(0, 1, 2), (5,), (7, 8), (), (3, 13)], everywhere=(4,)),
        )
        told = scorer.sums(customers)
        assert [one.dtype for one in (told.indptr, told.item, told.value, told.template)] == [
            np.int64, np.int32, np.float64, np.int32,
        ]  # fmt: skip
        entries = told.indptr, told.item, told.value
        codes, scores = kernels.top_n(*entries, told.rows, exclude.everywhere, exclude.indptr, exclude.indices, n)
        expected_codes, expected_scores = scorer.top(customers, self.items(n), n, exclude)
        np.testing.assert_array_equal(codes, expected_codes, "top ranks otherwise than sums")
        np.testing.assert_array_equal(scores, expected_scores, "top scores otherwise than sums")
        starts, template, item, amount = kernels.strongest_parts(
            *entries, told.template, told.rows, codes, len(told.templates), len(told.item) + 1
        )
        columns = ReasonColumns(told.templates, starts, template, item, amount)
        assert columns.lists(len(customers)) == scorer.explain(customers, codes, scores), "explain has other reasons"

    def test_unknown_customers_have_no_history_to_go_by(self) -> None:
        scorer, catalogue = self.fitted(), self.items(_N_ITEMS)
        scores = scorer.score(make_customers([], (-1, -1)), catalogue)
        assert scores.shape == (2, _N_ITEMS)
        np.testing.assert_array_equal(scores[0], scores[1])
        self._check_top(scorer, make_customers([], (-1, -1)), catalogue, 3, make_exclusions(_N_ITEMS, [()] * 2))

    def test_items_newer_than_the_fit(self) -> None:
        scorer, n_items = self.fitted(), _N_ITEMS + 5
        news = [*_shop(1), Event(0, n_items - 1, day=90.0), Event(8, n_items - 2, day=90.0)]
        customers, catalogue = make_customers(news, (0, 8)), self.items(n_items)
        assert scorer.score(customers, catalogue).shape == (2, n_items)
        nothing = make_exclusions(n_items, [()] * 2)
        self._check_top(scorer, customers, catalogue, n_items, nothing)
        codes, scores = scorer.top(customers, catalogue, n_items, nothing)
        self._check_explained(scorer, customers, codes, scores)

    def test_customers_newer_than_the_fit(self) -> None:
        code = _N_CUSTOMERS + 3
        customers = make_customers([Event(code, 2, day=90.0), Event(code, 5, day=90.0)], (code,))
        assert self.fitted().score(customers, self.items(_N_ITEMS)).shape == (1, _N_ITEMS)

    def test_empty_history(self) -> None:
        scorer: Scorer = self.make()
        scorer.fit(make_history([]))
        through_the_store(scorer.state())
        nobody = make_customers([], (-1,))
        assert scorer.score(nobody, self.items(0)).shape == (1, 0)
        catalogue, nothing = self.items(3), make_exclusions(3, [()])
        self._check_top(scorer, nobody, catalogue, 2, nothing)
        codes, scores = scorer.top(nobody, catalogue, 2, nothing)
        self._check_explained(scorer, nobody, codes, scores)

    def test_nobody_asked(self) -> None:
        scorer, nobody = self.fitted(), make_customers([], ())
        assert scorer.score(nobody, self.items(_N_ITEMS)).shape == (0, _N_ITEMS)
        codes, scores = scorer.top(nobody, self.items(_N_ITEMS), 3, make_exclusions(_N_ITEMS, []))
        assert codes.shape == scores.shape == (0, 3)
        assert len(scorer.explain(nobody, codes, scores)) == 0

    def test_finds_the_checkerboard(self) -> None:
        if not self.collaborative:
            import pytest  # the kit works without pytest until a test runs

            pytest.skip("the scorer does not declare `collaborative = True`")
        board = checkerboard()
        scorer: Scorer = self.make()
        scorer.fit(board.history)
        codes, _ = scorer.top(board.customers, board.items, 1, board.bought)
        np.testing.assert_array_equal(codes[:, 0], board.answers)

    def _score(self, scorer: Scorer) -> NDArray[np.float64]:
        return scorer.score(self.customers(), self.items(_N_ITEMS))

    def _check_top(self, scorer: Scorer, customers: Customers, catalogue: Items, n: int, exclude: Exclusions) -> None:
        """`top` has the values of the plain way, each code has its own score, ties stand by code."""
        codes, values = scorer.top(customers, catalogue, n, exclude)
        _, wanted = Scorer.top(scorer, customers, catalogue, n, exclude)
        assert codes.dtype == np.int32, f"codes are {codes.dtype}"
        assert values.dtype == np.float64, f"scores are {values.dtype}"
        assert codes.shape == values.shape == (len(customers), n)
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9)
        scores = scorer.score(customers, catalogue)
        for row in range(len(customers)):
            best = codes[row][codes[row] >= 0]
            assert (codes[row][len(best) :] == -1).all(), "places that are not taken stand last"
            assert np.isnan(values[row][len(best) :]).all(), "a missing place has the score NaN"
            assert len(set(best.tolist())) == len(best), "an item stands twice in one answer"
            np.testing.assert_allclose(values[row][: len(best)], scores[row][best], rtol=0, atol=1e-9)
            hidden = exclude.indices[exclude.indptr[row] : exclude.indptr[row + 1]]
            assert not exclude.everywhere[best].any(), "an item that nobody may get"
            assert not np.isin(best, hidden).any(), "an item that this customer may not get"
            ties = np.diff(values[row][: len(best)]) == 0
            assert (np.diff(best)[ties] > 0).all(), "equal scores stand in the order of their codes"

    def _check_explained(
        self, scorer: Scorer, customers: Customers, codes: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> None:
        told: Any = scorer.explain(customers, codes, scores)
        assert len(told) == len(customers)
        for row in range(len(customers)):
            assert len(told[row]) == codes.shape[1], "one list of contributions for each place, taken or not"
            for place, contributions in enumerate(told[row]):
                if codes[row, place] < 0:
                    assert not contributions, "a place without an item has no reason"
                    continue
                total = sum(part.amount for part in contributions)
                assert abs(total - scores[row, place]) <= 1e-9, f"reasons add up to {total}, not {scores[row, place]}"
                assert all(part.kind and part.text for part in contributions), "a reason has a kind and a text"
                unnamed = [part.text for part in contributions if "{item}" in part.text and part.item < 0]
                assert not unnamed, f"texts that name an item without one: {unnamed}"
        columns = scorer.explain_columns(customers, codes, scores)
        assert columns.indptr.dtype == np.int64
        assert columns.template.dtype == columns.item.dtype == np.int32
        assert columns.amount.dtype == np.float64
        # The framework asks for columns, and people read `explain`.
        assert columns.lists(len(customers)) == [[list(parts) for parts in row] for row in told], (
            "explain and explain_columns say different things"
        )


class NeighbourScorerContract(ScorerContract):
    """The contract of scorers that also know which items are alike."""

    plugin: ClassVar[type[NeighbourScorer]]

    def test_neighbours_come_best_first(self) -> None:
        scorer: Any = self.fitted()
        found = 0
        for item in range(_N_ITEMS):
            codes, similarities = scorer.neighbours(item, 4)
            assert codes.dtype == np.int32
            assert similarities.dtype == np.float64
            assert len(codes) == len(similarities) <= 4
            assert item not in codes, "an item is no neighbour of itself"
            assert (codes >= 0).all()
            assert (np.diff(similarities) <= 0).all()
            found += len(codes)
        assert found, "no item of the shop has a neighbour"

    def test_the_table_of_neighbours_agrees(self) -> None:
        scorer: Any = self.fitted()
        for n in (1, 4, _N_ITEMS + 3):
            table = scorer.neighbour_table(n)
            if table is None:
                return
            assert table[0].shape == table[1].shape == (_N_ITEMS, n)
            for item, (codes, similarities) in enumerate(zip(*table, strict=True)):
                known = codes >= 0
                assert known[: known.sum()].all(), "a missing place stands before a neighbour"
                wanted = scorer.neighbours(item, n)
                assert codes[known].tolist() == wanted[0].tolist(), f"neighbours of item {item} differ"
                assert similarities[known].tolist() == wanted[1].tolist(), f"similarities of item {item} differ"

    def test_unseen_items_have_no_neighbours(self) -> None:
        scorer: Any = self.fitted()
        for item in (-1, _N_ITEMS, _N_ITEMS + 100):
            codes, similarities = scorer.neighbours(item, 4)
            assert len(codes) == len(similarities) == 0


__all__ = ["NeighbourScorerContract", "ScorerContract"]
