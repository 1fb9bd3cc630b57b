"""`tifu_knn`: own frequencies and neighbours', against the plain definition, and what it says of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.tifu_knn import TifuKnn

SHOP = [
    *(Event(0, item, day=day) for day, item in ((1, 0), (1, 1), (2, 0), (5, 2))),
    *(Event(1, item, day=day) for day, item in ((1, 0), (3, 1), (3, 3))),
    *(Event(2, item, day=2) for item in (4, 5)),
]


def fitted(events: list[Event], n_items: int = 6, **options: object) -> TifuKnn:
    return TifuKnn(build_options(TifuKnn, options)).fit(make_history(events, n_items=n_items))


def vector(baskets: list[set[int]], n_items: int, within: float, between: float, groups: int) -> list[float]:
    """The vector of one customer, baskets oldest first, by the definition of Hu et al."""
    runs = min(groups, len(baskets))
    sizes = [len(baskets) // runs + (run >= runs - len(baskets) % runs) for run in range(runs)] if runs else []
    total, number = [0.0] * n_items, 0
    for run, size in enumerate(sizes):
        for basket in baskets[number : number + size]:
            for item in basket:
                fade = within ** (len(baskets) - 1 - number) * between ** (groups - 1 - run)
                total[item] += fade / size / runs
            number += 1
    return total


def test_scores_are_the_customers_own_frequencies_and_the_neighbours_mean() -> None:
    scorer = fitted(SHOP, own_share=0.25, neighbours=1, basket_decay=0.5, group_decay=0.5, groups=2)
    mine = np.array(vector([{0, 1}, {0}, {2}], 6, 0.5, 0.5, 2))
    near = np.array(vector([{0}, {1, 3}], 6, 0.5, 0.5, 2))
    scores = scorer.score(make_customers(SHOP, [0]), make_items(6))[0]
    np.testing.assert_allclose(scores[:4], (0.25 * mine + 0.75 * near)[:4], atol=1e-7)
    assert np.isnan(scores[4:]).all(), "neither the customer nor his neighbour bought them"


def test_nobody_is_a_neighbour_of_himself() -> None:
    alone = [Event(0, 0), Event(0, 1)]
    scorer = fitted(alone, own_share=0.0)
    assert scorer.score(make_customers(alone, [0]), make_items(3))[0, :2].tolist() == [0.0, 0.0]
    other = scorer.score(make_customers([Event(7, 0)], [7]), make_items(3))
    assert other[0, :2].tolist() == pytest.approx([0.36, 0.36], abs=1e-7)


def test_a_new_purchase_counts_at_once_and_a_return_makes_no_basket() -> None:
    scorer, catalogue = fitted(SHOP), make_items(6)
    before = scorer.score(make_customers(SHOP, [2]), catalogue)[0]
    bought = scorer.score(make_customers([*SHOP, Event(2, 3, day=9)], [2]), catalogue)[0]
    returned = scorer.score(make_customers([*SHOP, Event(2, 3, day=9, quantity=0.0)], [2]), catalogue)[0]
    looked = scorer.score(make_customers([*SHOP, Event(2, 3, "view", day=9)], [2]), catalogue)[0]
    assert bought[3] > before[3]
    np.testing.assert_array_equal(returned, before)
    np.testing.assert_array_equal(looked, before)


def test_who_bought_nothing_gets_no_answer() -> None:
    customers = make_customers([Event(5, 1, "view")], [5, -1])
    codes, _ = fitted(SHOP).top(customers, make_items(6), 3, make_exclusions(6, [(), ()]))
    assert (codes == -1).all()


def test_neighbours_are_looked_for_among_those_who_bought_last() -> None:
    scorer = fitted(SHOP, max_customers=2)
    assert scorer.customers_.tolist() == [0, 1]
    np.testing.assert_array_equal(np.diff(scorer.starts_), [3, 3])


def test_reasons_say_how_often_and_that_others_buy_it() -> None:
    scorer, customers = fitted(SHOP), make_customers(SHOP, [0])
    chosen = np.array([[0, 2, 3, -1]], dtype=np.int32)
    scores = np.append(scorer.score(customers, make_items(6))[:, [0, 2, 3]], [[np.nan]], axis=1)
    told = scorer.explain(customers, chosen, scores)[0]
    others = ("people_like_you_buy", "customers with baskets like yours buy it")
    assert [[(part.kind, part.text) for part in parts] for parts in told] == [
        [("you_buy_this", "you bought it 2 times"), others],
        [("you_buy_this", "you bought it once")],
        [others],
        [],
    ]
    for parts, score in zip(told, scores[0, :3], strict=False):
        assert sum(part.amount for part in parts) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_score_of_nothing_has_a_reason_too(share: float) -> None:
    scorer, customers = fitted(SHOP, own_share=share), make_customers(SHOP, [0])
    codes, scores = scorer.top(customers, make_items(6), 6, make_exclusions(6, [()]))
    for parts, code in zip(scorer.explain(customers, codes, scores)[0], codes[0], strict=True):
        assert len(parts) == (code >= 0)


_LINES = st.lists(
    st.tuples(st.integers(-1, 4), st.integers(0, 5), st.integers(0, 6), st.sampled_from([0.0, 1.0, 3.0])), max_size=30
)


@given(_LINES, st.integers(1, 6), st.sampled_from([(0.9, 0.7, 3), (1.0, 0.5, 1), (0.5, 1.0, 2)]))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_equals_the_plain_definition(
    lines: list[tuple[int, int, int, float]], k: int, fades: tuple[float, float, int]
) -> None:
    within, between, groups = fades
    events = [Event(c, i, day=float(day), quantity=q) for c, i, day, q in lines]
    options: dict[str, Any] = {
        "neighbours": k, "own_share": 0.3, "basket_decay": within, "group_decay": between, "groups": groups
    }  # fmt: skip
    history = make_history(events, n_items=6, n_customers=5)
    scorer = TifuKnn(build_options(TifuKnn, options)).fit(history)
    result = scorer.score(make_customers(events, range(5)), make_items(6))
    vectors = {}
    for customer in range(5):
        baskets: dict[int, set[int]] = {}
        for c, item, day, quantity in lines:
            if c == customer and quantity:
                baskets.setdefault(day, set()).add(item)
        if baskets:
            vectors[customer] = np.array(vector([baskets[day] for day in sorted(baskets)], 6, within, between, groups))
    for customer in range(5):
        if customer not in vectors:
            assert np.isnan(result[customer]).all()
            continue
        mine = vectors[customer]
        # Distances are rounded to what is stored, so that neither here nor there a hair decides who is nearer.
        distance = {c: round(float(((mine - v) ** 2).sum()), 6) for c, v in vectors.items() if c != customer}
        order = sorted(distance, key=lambda c: (distance[c], c))
        if k < len(order) and distance[order[k - 1]] == distance[order[k]]:
            continue
        near = [vectors[c] for c in order[:k]]
        mean = np.mean(near, axis=0) if near else np.zeros(6)
        for item in range(6):
            known = mine[item] > 0 or mean[item] > 0
            wanted = 0.3 * mine[item] + 0.7 * mean[item] if known else math.nan
            assert result[customer, item] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
