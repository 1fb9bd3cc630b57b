"""The builders keep the contract of `visavis.history`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from visavis.history import DAY
from visavis.kinds import KIND_RULES
from visavis.testing import (
    Event,
    checkerboard,
    make_customers,
    make_exclusions,
    make_features,
    make_history,
    make_items,
)
from visavis.testing.builders import DAY_ZERO


def test_history_is_sorted_by_customer_then_time_with_nobody_first() -> None:
    history = make_history([(1, 0, "view", 3.0), (0, 1, "purchase", 2.0), (1, 2, "purchase", 1.0), (-1, 3)])
    assert history.customer.tolist() == [-1, 0, 1, 1]
    assert history.item.tolist() == [3, 1, 2, 0]
    assert (history.time - DAY_ZERO).tolist() == [0, 2 * DAY, DAY, 3 * DAY]
    assert (history.n_customers, len(history.items)) == (2, 4)
    assert history.now == DAY_ZERO + 3 * DAY


def test_kinds_have_weights() -> None:
    history = make_history([(0, 0, "view"), (0, -1, "view"), (0, 0, "hum")])
    assert history.weights().tolist() == [KIND_RULES["view"].weight, 0.0, 0.0]
    assert history.is_kind("hum").tolist() == [False, False, True]


def test_one_customers_rows_of_one_day_share_a_basket() -> None:
    days = [Event(0, 1, day=1.1), Event(0, 2, day=1.9), Event(0, 3, day=2.0), Event(1, 1, day=1.5)]
    history = make_history([*days, Event(1, 2, day=1.6, basket=0)])
    first, same, next_day, other, named = history.basket.tolist()
    assert first == same
    assert len({first, next_day, other, named}) == 4


def test_customers_have_their_own_rows_oldest_first() -> None:
    events = [(2, 5, "view", 4.0), (2, 6, "view", 1.0), (0, 7), (-1, 8)]
    customers = make_customers(events, [-1, 2, 1, 0])
    assert customers.indptr.tolist() == [0, 0, 2, 2, 3]
    assert customers.item.tolist() == [6, 5, 7]
    assert customers.ids == ["unknown-0", "customer-2", "customer-1", "customer-0"]


def test_items_have_columns() -> None:
    items = make_items(3, codes=[4, -1, 2], attributes={"brand": ["A", None, "B"]}, first_seen_day=[1, 0, 2])
    assert items.column("brand").tolist() == ["A", None, "B"]
    assert items.column("colour").tolist() == [None, None, None]
    assert items.first_seen.tolist() == [DAY_ZERO + DAY, DAY_ZERO, DAY_ZERO + 2 * DAY]


def test_exclusions_and_features() -> None:
    exclude = make_exclusions(4, [[3, 1], []], everywhere=[2])
    assert (exclude.everywhere.tolist(), exclude.indptr.tolist()) == ([False, False, True, False], [0, 2, 2])
    assert exclude.indices.tolist() == [1, 3]
    features = make_features([(1, 2, 3, 4)], city=["Ulm"])
    assert (features["frequency"].tolist(), features["city"].tolist()) == ([2.0], ["Ulm"])
    assert len(make_features([])) == 0


@pytest.mark.parametrize(
    "made", [make_history([(0, 1)]), make_customers([(0, 1)], [0]), make_items(2), make_exclusions(2, [[1]])]
)
def test_everything_is_read_only(made: object) -> None:
    arrays = [getattr(made, field.name) for field in dataclasses.fields(made)]  # type: ignore[arg-type]
    assert not any(array.flags.writeable for array in arrays if isinstance(array, np.ndarray))


def test_checkerboard_has_one_right_answer_each() -> None:
    board = checkerboard(6)
    for customer, answer in enumerate(board.answers.tolist()):
        bought = board.history.item[board.history.customer == customer].tolist()
        same_side = {item for item in range(6) if item % 2 == customer % 2}
        assert same_side - set(bought) == {answer}
        assert board.bought.indices[
            board.bought.indptr[customer] : board.bought.indptr[customer + 1]
        ].tolist() == sorted(bought)
