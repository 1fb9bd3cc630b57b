"""`rating`: the founding formula on a table small enough to check by hand, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visavis import kernels
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.rating import Rating

TABLE = [[5, 3, 4, 4, None], [3, 1, 2, 3, 3], [4, 3, 4, 3, 5], [3, 3, 1, 5, 4], [1, 5, 5, 2, 1]]
"""The example of `adjusted_cosine` that is checked against scikit-learn's cosine of the centred matrix."""
POSITIVE = {(0, 3): 0.267841, (0, 4): 0.713758, (1, 2): 0.620543, (3, 4): 0.433063}
NEGATIVE = {
    (0, 1): -0.939725, (0, 2): -0.547068, (1, 3): -0.360645, (1, 4): -0.853001, (2, 3): -0.881380, (2, 4): -0.763560,
}  # fmt: skip


def rated(table: list[list[int | None]]) -> list[Event]:
    return [
        Event(customer, item, "rating", rating=float(value))
        for customer, row in enumerate(table)
        for item, value in enumerate(row)
        if value is not None
    ]


def fitted(events: list[Event], n_items: int = 5, **options: object) -> Rating:
    return Rating(build_options(Rating, options)).fit(make_history(events, n_items=n_items))


def similarities(scorer: Rating, n_items: int = 5) -> dict[tuple[int, int], float]:
    return {
        (item, int(other)): float(value)
        for item in range(n_items)
        for other, value in zip(*scorer.neighbours(item, 9), strict=True)
    }


def test_similarities_are_those_of_scikit_learn() -> None:
    found = similarities(fitted(rated(TABLE)))
    expected = POSITIVE | {(b, a): value for (a, b), value in POSITIVE.items()}
    assert found.keys() == expected.keys()
    for pair, value in expected.items():
        assert found[pair] == pytest.approx(value, abs=6e-7)
    indptr, item = np.array([0, 4, 9, 14, 19, 24]), [i for row in TABLE for i, value in enumerate(row) if value]
    data = np.array([value for row in TABLE for value in row if value], dtype=float)
    codes, values = kernels.adjusted_cosine_top_k(indptr, np.array(item, np.int32), data, 5, 4, positive_only=False)
    for (first, second), value in (POSITIVE | NEGATIVE).items():
        assert values[first][codes[first].tolist().index(second)] == pytest.approx(value, abs=6e-7)


def test_the_other_reading_is_over_those_who_rated_both() -> None:
    assert similarities(fitted(rated(TABLE), reading="co_rated"))[0, 4] == pytest.approx(0.804914, abs=6e-7)


def test_the_weighted_sum_is_the_founding_formula() -> None:
    customers = make_customers(rated(TABLE), [0])
    expected = (0.713758 * 5 + 0.433063 * 4) / (0.713758 + 0.433063)
    scores = fitted(rated(TABLE)).score(customers, make_items(5))[0]
    assert np.isnan(scores[:4]).all(), "what was rated already"
    assert scores[4] == pytest.approx(expected, abs=2e-6)
    centred = fitted(rated(TABLE), form="centred").score(customers, make_items(5))[0]
    assert centred[4] == pytest.approx(4 + (0.713758 * 1 + 0.433063 * 0) / (0.713758 + 0.433063), abs=2e-6)


def test_reasons_are_the_shares_of_ratings() -> None:
    customers, chosen = make_customers(rated(TABLE), [0]), np.array([[4]], dtype=np.int32)
    for form, expected in (
        ("weighted_sum", [("because you rated {item} 5", 0), ("because you rated {item} 4", 3)]),
        (
            "centred",
            [("your average rating", -1), ("because you rated {item} 5", 0), ("because you rated {item} 4", 3)],
        ),
    ):
        scorer = fitted(rated(TABLE), form=form)
        scores = scorer.score(customers, make_items(5))[:, [4]]
        ((parts,),) = scorer.explain(customers, chosen, scores)
        assert [(part.text, part.item) for part in parts] == expected
        assert sum(part.amount for part in parts) == pytest.approx(scores[0, 0], abs=1e-12)


def test_an_opinion_needs_support() -> None:
    customers = make_customers(rated(TABLE), [0])
    assert not np.isnan(fitted(rated(TABLE), support=2).score(customers, make_items(5))[0, 4])
    assert np.isnan(fitted(rated(TABLE), support=3).score(customers, make_items(5))[0, 4])


def test_a_rating_of_now_counts_and_the_latest_holds() -> None:
    scorer = fitted(rated(TABLE))
    once = [Event(9, 0, "rating", day=1, rating=2.0)]
    assert scorer.score(make_customers(once, [9]), make_items(5))[0, 4] == pytest.approx(2.0)
    again = [*once, Event(9, 0, "rating", day=2, rating=4.0)]
    assert scorer.score(make_customers(again, [9]), make_items(5))[0, 4] == pytest.approx(4.0)


def test_where_nobody_rates_there_is_no_opinion() -> None:
    events = [Event(0, 0), Event(0, 1), Event(1, 0), Event(1, 1)]
    scorer = fitted(events)
    assert scorer.neighbours_.shape == (5, 1)
    assert np.isnan(scorer.score(make_customers(events, [0]), make_items(5))).all()


_RATINGS = st.lists(st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=6, max_size=6), min_size=1, max_size=6)


@given(_RATINGS, st.sampled_from(["weighted_sum", "centred"]), st.integers(1, 6))
@settings(derandomize=True, max_examples=80, deadline=None)
def test_equals_the_plain_definition(table: list[list[int | None]], form: str, k: int) -> None:
    scorer = fitted(rated(table), 6, form=form, neighbours=k)
    customers, catalogue = make_customers(rated(table), range(len(table))), make_items(6)
    scores = scorer.score(customers, catalogue)
    for customer, row in enumerate(table):
        own = {item: float(value) for item, value in enumerate(row) if value is not None}
        mean = sum(own.values()) / len(own) if own else 0.0
        for item in range(6):
            near = {int(one): s for one, s in zip(*scorer.neighbours(item, 6), strict=True) if int(one) in own}
            if not near or item in own:
                assert math.isnan(scores[customer, item])
                continue
            weight = sum(near.values())
            if form == "centred":
                expected = mean + sum(s * (own[one] - mean) for one, s in near.items()) / weight
            else:
                expected = sum(s * own[one] for one, s in near.items()) / weight
            assert scores[customer, item] == pytest.approx(expected, abs=1e-9)
    codes, best = scorer.top(customers, catalogue, 6, make_exclusions(6, [()] * len(table)))
    for told, values in zip(scorer.explain(customers, codes, best), best.tolist(), strict=True):
        for parts, value in zip(told, values, strict=True):
            assert math.isnan(value) or abs(sum(part.amount for part in parts) - value) <= 1e-9
