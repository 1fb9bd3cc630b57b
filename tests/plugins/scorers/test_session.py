"""`session`: what a session is, VS-kNN held to its plain definition, and reasons that add up."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis import History
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.session import Session, _sessions

MINUTE = 1 / 1440


def visits(lists: list[list[int]], first: int = 1, kind: str = "view") -> list[Event]:
    """One customer and one day for each, a minute between items."""
    return [
        Event(first + day, item, kind, day=day + place * MINUTE)
        for day, items in enumerate(lists)
        for place, item in enumerate(items)
    ]


def fitted(events: list[Event], n_items: int = 9, **options: object) -> Session:
    return Session(build_options(Session, options)).fit(make_history(events, n_items=n_items))


def plain(past: list[list[int]], now: list[int], n_items: int, k: int, recent: int, rarity: bool) -> list[float]:
    """VS-kNN as it is written down: past sessions oldest first."""
    known = [set(items) for items in past if len(set(items)) > 1]
    own = list(dict.fromkeys(reversed(now)))[::-1]
    weight = {item: (place + 1) / len(own) for place, item in enumerate(own)}
    near = [(place, items) for place, items in enumerate(known) if items & set(own)][::-1][:recent]
    near = sorted(near, key=lambda one: (-sum(weight[item] for item in one[1] & set(own)), -one[0]))[:k]
    scores = [math.nan] * n_items
    for _, items in near:
        alike = sum(weight[item] for item in items & set(own))
        back = next(step for step, item in enumerate(reversed(own)) if item in items)
        if back >= 10:
            continue
        for item in items - set(own):
            holding = sum(item in one for one in known)
            idf = math.log(1 + len(known) / holding) if rarity else 1.0
            part = alike * max(1 - 0.1 * back, 0) * idf
            scores[item] = part + (0.0 if math.isnan(scores[item]) else scores[item])
    return scores


_VISITS = st.lists(st.lists(st.integers(0, 8), max_size=6), max_size=12)


@given(_VISITS, st.lists(st.integers(0, 8), max_size=14), st.integers(1, 5), st.integers(1, 8), st.booleans())
@settings(derandomize=True, max_examples=150, deadline=None)
def test_equals_the_plain_definition(past: list[list[int]], now: list[int], k: int, recent: int, rarity: bool) -> None:
    scorer = fitted(visits(past), neighbours=k, recent=recent, rarity=rarity)
    customers = make_customers([Event(0, item, "view", day=50 + n * MINUTE) for n, item in enumerate(now)], [0])
    expected = plain(past, now, 9, k, recent, rarity)
    np.testing.assert_allclose(scorer.score(customers, make_items(9))[0], expected, rtol=1e-12)
    codes, scores = scorer.top(customers, make_items(9), 9, make_exclusions(9, [()]))
    ((*told,),) = scorer.explain(customers, codes, scores)
    for parts, code, score in zip(told, codes[0].tolist(), scores[0].tolist(), strict=True):
        if code >= 0:
            assert abs(sum(part.amount for part in parts) - score) <= 1e-9
            assert all(part.item in now and part.amount >= 0 for part in parts)


def sessions(history: History, gap_minutes: int = 30) -> list[list[int]]:
    starts, items = _sessions(history, gap_minutes * 60_000_000)
    return [items[a:b].tolist() for a, b in pairwise(starts.tolist())]


def test_a_pause_ends_a_session() -> None:
    minutes = [(0, 1), (10, 2), (40, 3), (71, 4), (72, 5), (72, 5)]
    history = make_history([Event(0, item, "view", day=minute * MINUTE) for minute, item in minutes])
    assert sessions(history) == [[1, 2, 3], [4, 5]]
    assert sessions(history, 9) == [[4, 5]]


def test_the_oldest_session_stands_first_and_nobodys_orders_are_sessions() -> None:
    events = [
        Event(5, 1, day=1), Event(5, 2, day=1), Event(2, 3, day=9), Event(2, 4, day=9),
        Event(-1, 6, day=4, basket=70), Event(-1, 7, day=4, basket=70), Event(-1, 6, day=4, basket=71),
        Event(-1, 8, day=5, basket=3), Event(-1, 7, day=0, basket=3),
    ]  # fmt: skip
    assert sessions(make_history(events)) == [[1, 2], [6, 7], [7, 8], [3, 4]]


def test_what_says_nothing_is_no_part_of_a_session() -> None:
    events = [
        Event(0, 1, "view"), Event(0, 2, "skip"), Event(0, 3, "hm"), Event(0, 4, quantity=0.0), Event(0, -1, "search"),
        Event(0, 5, "cart"),
    ]  # fmt: skip
    assert sessions(make_history(events)) == [[1, 5]]


def test_only_the_session_under_way_counts() -> None:
    scorer = fitted(visits([[1, 2], [3, 4]]))
    long_ago, now = Event(0, 1, "view", day=10), Event(0, 3, "view", day=11)
    scores = scorer.score(make_customers([long_ago, now], [0]), make_items(9))[0]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [4]
    assert np.flatnonzero(~np.isnan(scorer.score(make_customers([long_ago], [0]), make_items(9))[0])).tolist() == [2]


def test_what_the_session_holds_is_recommended_only_if_asked_for() -> None:
    customers = make_customers([Event(0, 1, "view"), Event(0, 2, "view")], [0])
    for remind, expected in ((False, [3]), (True, [1, 2, 3])):
        scores = fitted(visits([[1, 2, 3]]), remind=remind).score(customers, make_items(9))[0]
        assert np.flatnonzero(~np.isnan(scores)).tolist() == expected


def test_very_long_visits_keep_their_last_items() -> None:
    n = 200
    scorer = fitted(visits([[item, n] for item in range(n)]), n + 1)
    customers = make_customers([Event(0, item, "view", day=99 + item / 1e5) for item in range(n)], [0, -1])
    codes, scores = scorer.top(customers, make_items(n + 1), 2, make_exclusions(n + 1, [(), ()]))
    assert codes.tolist() == [[n, -1], [-1, -1]]
    ((parts, _), _) = scorer.explain(customers, codes, scores)
    # Ten steps back is too far.
    assert [part.item for part in parts] == [199, 198, 197, 196, 195, 194, 193, 192, 191, 190]
    assert sum(part.amount for part in parts) == pytest.approx(scores[0, 0], abs=1e-9)


def test_finds_the_checkerboard_in_visits() -> None:
    board = [[item for item in range(12) if item % 2 == n % 2 and item != n] for n in range(12)]
    events = visits(board, first=0)
    codes, _ = fitted(events, 12).top(make_customers(events, range(12)), make_items(12), 1, make_exclusions(12, board))
    np.testing.assert_array_equal(codes[:, 0], np.arange(12))


def test_a_cited_item_carried_its_part() -> None:
    """What a reason claims is what is missing from the same sessions when its item weighs nothing."""
    past = [[1, 2, 7], [1, 7], [2, 3, 7], [3, 8], [1, 2, 3, 8]]
    scorer = fitted(visits(past), rarity=False)
    customers = make_customers([Event(0, item, "view", day=60 + item * MINUTE) for item in (1, 2, 3)], [0])
    chosen = np.array([[7, 8]], dtype=np.int32)
    told = scorer.explain(customers, chosen, scorer.score(customers, make_items(9))[:, [7, 8]])[0]
    weight, back = {1: 1 / 3, 2: 2 / 3, 3: 1.0}, {1: 2, 2: 1, 3: 0}
    for parts, item in zip(told, (7, 8), strict=True):
        holding = [set(items) for items in past if item in items]
        expected = {
            cause: sum(
                weight[cause] * (1 - 0.1 * min(back[one] for one in items & set(weight)))
                for items in holding
                if cause in items
            )
            for cause in weight
        }
        assert {part.item: pytest.approx(part.amount, abs=1e-12) for part in parts} == {
            cause: amount for cause, amount in expected.items() if amount
        }
