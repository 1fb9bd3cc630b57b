"""`cross_sell`: published values, which rows make a basket, whose items call for others, and true reasons."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.plugins.scorers.truth import check_reasons_by_removal

from visavis import kernels
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.cross_sell import CrossSell

RETAIL = (
    Path(os.environ.get("VISAVIS_TEST_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
    / "online_retail_ii/transactions_2009_2010.parquet"
)


def fitted(baskets: list[tuple[int, ...]], n_items: int = 6, **options: object) -> CrossSell:
    events = [Event(place % 7, item, basket=place, day=place) for place, items in enumerate(baskets) for item in items]
    scorer = CrossSell(build_options(CrossSell, {"least_ratio": 0, **options}))
    return scorer.fit(make_history(events, n_items=n_items))


def table_of(both: int, first: int, second: int, neither: int) -> list[tuple[int, ...]]:
    return [(0, 1)] * both + [(0,)] * first + [(1,)] * second + [(2,)] * neither


@pytest.mark.parametrize(("counts", "ratio"), [((1, 0, 0, 1), 2.772589), ((10, 0, 0, 10), 27.725887)])
def test_ratio_is_that_of_scipy(counts: tuple[int, int, int, int], ratio: float) -> None:
    codes, ratios = fitted(table_of(*counts)).neighbours(0, 3)
    assert codes.tolist() == [1]
    assert ratios[0] == pytest.approx(ratio, rel=3e-7)


@pytest.mark.parametrize(
    ("counts", "ratio"),
    [
        ((5, 1995, 0, 100000), 39.330522),
        ((1000, 1995, 1000, 100000), 4730.736813),
        ((1000, 1000, 1000, 100000), 5734.342525),
        ((1000, 1000, 1000, 99000), 5714.932397),
    ],
)
def test_large_counts_too(counts: tuple[int, int, int, int], ratio: float) -> None:
    """Values of SciPy's log-likelihood G; the table itself is kept in float32, seven digits."""
    both, first, second, neither = counts
    sizes = np.array([2] * both + [1] * (first + second + neither))
    items = np.array([0, 1] * both + [0] * first + [1] * second + [2] * neither, dtype=np.int32)
    owner = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    baskets = kernels.basket_items(owner, owner.astype(np.int64), items, np.ones(len(items), bool))
    assert kernels.log_likelihood_top_k(*baskets, 3, 2)[1][0, 0] == pytest.approx(ratio, abs=5e-7)


def test_pairs_that_chance_explains_are_left_out() -> None:
    apart = fitted([(0,), (1,), (0, 1), (0,), (1,)])  # they meet less often than by chance
    assert len(apart.neighbours(0, 5)[0]) == 0
    once = [(0, 1), *[(2,)] * 4]
    assert len(fitted(once).neighbours(0, 5)[0]) == 1
    assert len(fitted(once, least_ratio=10.83).neighbours(0, 5)[0]) == 0


def test_baskets_of_nobody_teach_and_returns_do_not() -> None:
    events = [Event(-1, item, basket=9) for item in (0, 1)] + [Event(-1, 2, basket=8), Event(1, 3, basket=7)]
    kept = CrossSell(CrossSell.Options(least_ratio=0)).fit(make_history(events, n_items=4))
    assert kept.neighbours(0, 4)[0].tolist() == [1]
    events += [Event(2, 2, basket=6, quantity=0.0), Event(2, 3, basket=6), Event(3, 2, "view", basket=5)]
    again = CrossSell(CrossSell.Options(least_ratio=0)).fit(make_history(events, n_items=4))
    assert len(again.neighbours(3, 4)[0]) == 0


BOARD = [tuple(item for item in range(12) if item % 2 == n % 2 and item != n) for n in range(12)]


def test_finds_the_checkerboard_in_baskets() -> None:
    scorer = fitted(BOARD, 12)
    events = [Event(n, item) for n, items in enumerate(BOARD) for item in items]
    codes, _ = scorer.top(make_customers(events, range(12)), make_items(12), 1, make_exclusions(12, BOARD))
    np.testing.assert_array_equal(codes[:, 0], np.arange(12))


def test_what_was_bought_long_ago_calls_for_nothing() -> None:
    scorer, items = fitted(BOARD, 12, days=30), make_items(12)
    events = [Event(0, 1, day=0), Event(0, 2, day=100), Event(0, 4, "cart", day=120), Event(3, 1, day=0)]
    scores = scorer.score(make_customers(events, [0, 3, -1], now_day=5000), items)
    assert np.isnan(scores[0, [1, 3, 5]]).all()
    assert not np.isnan(scores[0, [0, 6, 8]]).any()
    assert not np.isnan(scores[1, 3])  # his own last purchase, however long ago
    assert np.isnan(scores[2]).all()
    everything = fitted(BOARD, 12, days=0).score(make_customers(events, [0]), items)
    assert not np.isnan(everything[0, [3, 5, 7]]).any()


def test_reasons_name_what_it_goes_with() -> None:
    scorer = fitted(BOARD, 12)
    customers = make_customers([Event(0, 2), Event(0, 4, "cart"), Event(0, 6, "view")], [0])
    codes, scores = scorer.top(customers, make_items(12), 1, make_exclusions(12, [(2, 4, 6)]))
    ((parts,),) = scorer.explain(customers, codes, scores)
    assert [(part.kind, part.text, part.item) for part in parts] == [
        ("bought_together", "often bought together with {item}", 2),
        ("bought_together", "often bought together with {item}, which is in your cart", 4),
        ("bought_together", "often bought together with {item}, which you looked at", 6),
    ]


def test_removing_a_cause_lowers_the_score_by_its_amount() -> None:
    events = [Event(0, item, kind) for item, kind in ((2, "purchase"), (4, "cart"), (6, "view"), (1, "like"))]
    check_reasons_by_removal(fitted(BOARD, 12), events, make_items(12))


def test_the_published_pairs_of_online_retail() -> None:
    """mlxtend's FP-growth counts of Online Retail II, 2009-12 to 2010-12 (Chen, UCI 502, CC BY 4.0), 18,966 baskets of
    known customers; the ratios equal SciPy's."""
    if not RETAIL.is_file():
        pytest.skip("no public data: set VISAVIS_TEST_DATA to its folder")
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT invoice, upper(item_id) AS code FROM read_parquet(?) WHERE customer_id IS NOT NULL "
            "AND quantity > 0 AND unit_price > 0 AND regexp_matches(item_id, '^[0-9]{5}')",
            [str(RETAIL)],
        ).fetchnumpy()
    assert len(rows["code"]) == 406_295
    invoices, basket = np.unique(rows["invoice"].astype(str), return_inverse=True)
    codes, item = np.unique(rows["code"].astype(str), return_inverse=True)
    assert (len(invoices), len(codes)) == (18_966, 4_006)
    order = np.argsort(basket, kind="stable")
    zeros = np.zeros(len(order))
    history = replace(
        make_history([Event(0, 0)], n_items=len(codes), n_customers=len(invoices)),
        customer=basket[order].astype(np.int32),
        item=item[order].astype(np.int32),
        kind=zeros.astype(np.uint16),
        time=zeros.astype(np.int64),
        quantity=zeros + 1,
        amount=zeros,
        rating=zeros + np.nan,
        basket=basket[order].astype(np.int64),
    )
    found = CrossSell().fit(history)
    place = {code: number for number, code in enumerate(codes.tolist())}
    for first, second, ratio in (
        ("21122", "21124", 2172.888),
        ("82581", "82580", 2166.828),
        ("84997D", "84997C", 2410.851),
    ):
        neighbours, ratios = found.neighbours(place[first], 50)
        assert ratios[neighbours.tolist().index(place[second])] == pytest.approx(ratio, abs=1e-3)
