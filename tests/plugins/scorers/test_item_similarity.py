"""`item_similarity`: what the customer's interactions say, what is learned from them, and the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis import Changes, Customers
from visavis.errors import InvalidInput
from visavis.history import DAY, KindTable
from visavis.kinds import KindRule
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers._tastes import LiveTastes, centred, past_tastes
from visavis_plugins.scorers.item_similarity import ItemSimilarity

OTHERS = [Event(customer, item) for customer, item in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 2), (3, 3))]


def fitted(events: list[Event], n_items: int = 4, **options: object) -> ItemSimilarity:
    scorer = ItemSimilarity(build_options(ItemSimilarity, options))
    return scorer.fit(make_history(events, n_items=n_items))


def tastes(events: list[Event], signal: str = "presence") -> dict[int, float]:
    customers = make_customers(events, [0])
    read = LiveTastes().of(customers, signal)  # type: ignore[arg-type]
    return dict(zip(read.item.tolist(), read.value.tolist(), strict=True))


def causes(scorer: ItemSimilarity, events: list[Event], item: int) -> list[tuple[str, str, int]]:
    customers, chosen = make_customers(events, [0]), np.array([[item]], dtype=np.int32)
    ((parts,),) = scorer.explain(customers, chosen, np.zeros((1, 1)))
    return [(part.kind, part.text, part.item) for part in parts]


def test_presence_is_the_strongest_word() -> None:
    events = [
        Event(0, 1, "view"),
        Event(0, 1),
        Event(0, 1),
        Event(0, 2, "view"),
        Event(0, 3, "cart"),
        Event(0, 4, "hm"),
    ]
    assert tastes(events) == {1: 1.0, 2: 0.2, 3: 0.5}


def test_weight_sums_up_and_lines_of_a_basket_are_one_purchase() -> None:
    events = [Event(0, 1, basket=5), Event(0, 1, basket=5), Event(0, 1, basket=6), Event(0, 1, "view", basket=5)]
    assert tastes(events, "weight") == {1: pytest.approx(np.log1p(2.2), abs=1e-15)}


def test_what_was_returned_entirely_says_nothing() -> None:
    gone = [Event(0, 1, "view", day=0), Event(0, 1, day=1, quantity=0.0)]
    assert tastes(gone) == {}
    assert tastes([*gone, Event(0, 1, day=2)]) == {1: 1.0}
    assert tastes([*gone, Event(0, 1, "rating", day=2, rating=4)], "rating") == {1: 4.0}


def test_a_skip_silences_what_came_before_it() -> None:
    events = [Event(0, 1, day=1), Event(0, 1, "skip", day=2)]
    assert tastes(events) == {}
    assert tastes([*events, Event(0, 1, "like", day=3)]) == {1: 1.0}


def test_the_latest_rating_holds() -> None:
    events = [Event(0, 1, "rating", day=1, rating=5), Event(0, 1, "rating", day=2, rating=2), Event(0, 2)]
    assert tastes(events, "rating") == {1: 2.0}


def test_ratings_are_centred_and_equal_ones_say_nothing() -> None:
    events = [
        Event(c, i, "rating", rating=r) for c, i, r in ((0, 1, 5), (0, 2, 2), (1, 1, 4.1), (1, 2, 4.1), (1, 3, 4.1))
    ]
    customers = make_customers(events, [0, 1, -1])
    read = centred(LiveTastes().of(customers, "rating"))
    assert (read.indptr.tolist(), read.item.tolist(), read.value.tolist()) == ([0, 2, 2, 2], [1, 2], [1.5, -1.5])


def test_similarities_are_cosines() -> None:
    codes, similarities = fitted(OTHERS).neighbours(0, 10)
    assert codes.tolist() == [1, 2]
    assert similarities.tolist() == pytest.approx([1.0, 0.5], abs=1e-7)


def test_shrinkage_damps_what_few_support() -> None:
    assert fitted(OTHERS, shrinkage=2.0).neighbours(0, 1)[1].tolist() == pytest.approx([0.5], abs=1e-7)
    with pytest.raises(InvalidInput, match="shrinkage is for the method cosine"):
        fitted(OTHERS, shrinkage=2.0, method="adjusted_cosine")


def test_nobodys_baskets_teach_nothing() -> None:
    with_nobody = fitted([*OTHERS, Event(-1, 0, basket=90), Event(-1, 3, basket=90)])
    np.testing.assert_array_equal(with_nobody.similarities_, fitted(OTHERS).similarities_)


@pytest.mark.parametrize(("method", "expected"), [("adjusted_cosine", 0.5), ("adjusted_cosine_co_rated", 1.0)])
def test_adjusted_cosine_has_both_readings(method: str, expected: float) -> None:
    # centred rows: (1, 1, -2), (1, -1), (-1, 1) over items (0, 1, 2), (0, 3), (1, 3)
    rows = {0: {0: 4, 1: 4, 2: 1}, 1: {0: 5, 3: 3}, 2: {1: 1, 3: 3}}
    events = [Event(c, i, "rating", rating=r) for c, ratings in rows.items() for i, r in ratings.items()]
    scorer = fitted(events, method=method)
    assert scorer.signal_ == "rating"
    codes, similarities = scorer.neighbours(0, 4)
    assert dict(zip(codes.tolist(), similarities.tolist(), strict=True))[1] == pytest.approx(expected, abs=1e-7)


def test_adjusted_cosine_learns_from_purchases_where_nobody_rates() -> None:
    events = [Event(0, 0), Event(0, 0, day=1), Event(0, 1), Event(0, 1, day=1), Event(0, 2), Event(1, 3)]
    scorer = fitted(events, method="adjusted_cosine")
    assert scorer.signal_ == "weight"
    assert scorer.neighbours(0, 4)[0].tolist() == [1]


def test_what_the_customer_did_just_now_counts() -> None:
    scorer, catalogue, nothing = fitted(OTHERS), make_items(4), make_exclusions(4, [[0]])
    assert scorer.top(make_customers([], [0]), catalogue, 2, nothing)[0].tolist() == [[-1, -1]]
    assert scorer.top(make_customers([Event(0, 0, "view")], [0]), catalogue, 2, nothing)[0].tolist() == [[1, 2]]


def test_reasons_say_what_the_customer_did() -> None:
    scorer = fitted(OTHERS)
    for kind, word, text in (
        ("purchase", "because_you_bought", "because you bought {item}"),
        ("like", "because_you_liked", "because you liked {item}"),
        ("cart", "because_you_carted", "because you put {item} in your cart"),
        ("view", "because_you_viewed", "because you looked at {item}"),
        ("click", "because_you_viewed", "because you looked at {item}"),
    ):
        events = [Event(0, 0, "view"), Event(0, 0, kind)]
        assert causes(scorer, events, 1) == [(word, text, 0)]


def test_reasons_of_ratings_say_which_way_they_point() -> None:
    board = [Event(c, i, "rating", rating=r) for c in (1, 2) for i, r in ((0, 5), (1, 4), (2, 4), (3, 1))]
    scorer = fitted(board, signal="rating")
    mine = [Event(0, 0, "rating", rating=5), Event(0, 2, "rating", rating=1)]
    assert causes(scorer, mine, 1) == [
        ("because_you_rated", "because you rated {item} above your average", 0),
        ("because_you_rated", "because you rated {item} below your average", 2),
    ]


def test_removing_a_cause_lowers_the_score_by_its_amount(rng: np.random.Generator) -> None:
    events = [Event(int(c), int(i), day=float(d)) for d, (c, i) in enumerate(rng.integers(0, 12, (90, 2)))]
    scorer = fitted(events, n_items=12)
    mine = [Event(0, item) for item in (2, 5, 7, 9)]
    chosen = np.array([[3]], dtype=np.int32)
    score = scorer.score(make_customers(mine, [0]), make_items(12))[0, 3]
    ((parts,),) = scorer.explain(make_customers(mine, [0]), chosen, np.full((1, 1), score))
    assert len(parts) > 1
    for part in parts:
        rest = [event for event in mine if event.item != part.item]
        assert score - scorer.score(make_customers(rest, [0]), make_items(12))[0, 3] == pytest.approx(
            part.amount, abs=1e-9
        )


_ROWS = st.lists(
    st.tuples(
        st.integers(-1, 3),
        st.integers(-1, 4),
        st.sampled_from(["purchase", "view", "like", "skip", "other"]),
        st.integers(0, 5),
        st.sampled_from([0.0, 2.0]),
    ),
    max_size=30,
)


@given(_ROWS)
@settings(derandomize=True, max_examples=60)
def test_presence_equals_the_plain_definition(lines: list[tuple[int, int, str, int, float]]) -> None:
    weights = {"purchase": 1.0, "like": 1.0, "view": 0.2}
    history = make_history([Event(c, i, k, float(d), q) for c, i, k, d, q in lines], n_customers=4, n_items=5)
    read = past_tastes(history, "presence")
    got = {(int(o), int(i)): v for o, i, v in zip(read.owner, read.item, read.value.tolist(), strict=True)}
    wanted = {}
    for customer in range(4):
        for item in range(5):
            own = [line for line in sorted(lines, key=lambda line: line[3]) if line[:2] == (customer, item)]
            bought = [q for _, _, kind, _, q in own if kind == "purchase"]
            last_skip = max([place for place, line in enumerate(own) if line[2] == "skip"], default=-1)
            good = [
                (place, weights[kind])
                for place, (_, _, kind, _, q) in enumerate(own)
                if kind in weights and not (kind == "purchase" and not q)
            ]
            if good and good[-1][0] > last_skip and (not bought or any(bought)):
                wanted[customer, item] = max(weight for _, weight in good)
    assert got == wanted


def test_what_fades_is_learned_as_of_one_moment() -> None:
    """Rows that are refreshed later have faded as much as all others: the table is that of one fit."""
    table = KindTable({"view": KindRule(0.5, half_life_days=1.5), "purchase": KindRule(1.0, half_life_days=20)})
    before = [*OTHERS, Event(1, 3, "view", day=1), Event(2, 3, day=2), Event(4, 1, "view", day=0)]
    after = [*before, Event(3, 0, "view", day=5), Event(3, 1, day=6)]

    def customers(events: list[Event], codes: Sequence[int], day: float) -> Customers:
        return replace(make_customers(events, codes, now_day=day), kind_table=table)

    def learned(events: list[Event]) -> ItemSimilarity:
        history = make_history(events, n_customers=5, n_items=4, now_day=3)
        return ItemSimilarity().fit(replace(history, kind_table=table))

    everybody = range(5)
    once = learned(OTHERS).refreshed(Changes(None, lambda: customers(before, everybody, 3), 5, 4))
    np.testing.assert_array_equal(once.similarities_, learned(before).similarities_)
    some = customers(after, [3], 9)
    twice = once.refreshed(Changes(some, lambda: customers(after, everybody, 9), 5, 4))
    np.testing.assert_array_equal(twice.neighbours_, learned(after).neighbours_)
    np.testing.assert_array_equal(twice.similarities_, learned(after).similarities_)
    assert not np.array_equal(twice.similarities_, fitted(after).similarities_), "nothing faded: this tries nothing"


def test_what_fades_says_less_and_never_nothing() -> None:
    table = KindTable({"purchase": KindRule(1.0, half_life_days=2)})
    rows = replace(make_customers([Event(0, 0, day=0), Event(0, 1, day=2)], [0], now_day=4), kind_table=table)
    read = LiveTastes().of(rows, "presence")
    assert (read.item.tolist(), read.value.tolist()) == ([0, 1], [0.25, 0.5])
    old = replace(rows, now=rows.now + 10_000 * DAY)
    assert (LiveTastes().of(old, "presence").value > 0).all()
