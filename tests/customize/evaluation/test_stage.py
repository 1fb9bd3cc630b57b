"""What scorers see on the stage, and what they must not: anything that came later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from visavis import Interaction
from visavis.customize.evaluation.stage import COLD, NEW, REPEAT, Stage, stage_at, stage_of_split
from visavis.engine import Engine
from visavis.history import DAY

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY_0 = int(START.timestamp()) * 1_000_000


def said(day: float, kind: str, customer: str, item: str, **more: object) -> Interaction:
    name = more.pop("name", f"{kind}-{customer}-{item}-{day}")
    return Interaction(kind, customer, item, str(name), START + timedelta(days=day), **more)  # type: ignore[arg-type]


def staged(shop: Engine, begin: float, end: float, min_buyers: int = 1) -> Stage:
    live = shop.live
    ids = live.identities.customers.texts
    return stage_at(
        live.build(), live.catalog.whole(), tuple(live.kinds.names), ids, DAY_0 + round(begin * DAY),
        DAY_0 + round(end * DAY), min_buyers, live.consents.objectors(), live.kind_table,
    )  # fmt: skip


def bought(stage: Stage, task: str) -> dict[str, set[str]]:
    """Who bought what, by their ids."""
    truth = stage.truths[task]
    return {
        stage.ids[customer]: {stage.items.ids[item] for item in truth.items[truth.indptr[row] : truth.indptr[row + 1]]}
        for row, customer in enumerate(truth.customers.tolist())
    }


@pytest.fixture
def filled(shop: Engine) -> Engine:
    shop.identify.record(
        [
            said(0, "purchase", "ann", "tea"),
            said(0, "purchase", "bob", "tea"),
            said(0, "purchase", "bob", "cup"),
            said(1, "purchase", "ann", "jam", name="jam"),
            said(2, "view", "cid", "tea"),
            said(10, "purchase", "ann", "tea"),
            said(10, "purchase", "ann", "cup"),
            said(11, "return", "ann", "jam", reverses_id="jam"),
            said(11, "purchase", "cid", "cup"),
            said(12, "purchase", "dee", "tea"),
            said(12, "purchase", "dee", "hat"),
            said(20, "purchase", "ann", "jam"),
        ]
    )
    return shop


def test_each_task_has_its_truth(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    assert bought(stage, REPEAT) == {"ann": {"tea", "cup"}, "cid": {"cup"}}
    assert bought(stage, NEW) == {"ann": {"cup"}, "cid": {"cup"}}
    # Nobody had bought a hat, so nobody could have recommended it.
    assert bought(stage, COLD) == {"dee": {"tea"}}


def test_items_stand_by_buyers_then_by_id(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    assert stage.items.ids == ["tea", "cup", "jam"]
    assert stage.buyers.tolist() == [2, 1, 1]
    assert stage.items.codes.tolist() == [0, 1, 2]
    assert staged(filled, 10, 20, min_buyers=2).items.ids == ["tea"]
    assert stage.items.available.all()


def test_the_past_is_the_past(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    history = stage.history
    assert history.now == DAY_0 + 10 * DAY
    assert history.time.max() < history.now
    # The return came later: by then, what was bought was bought.
    assert sorted(stage.items.ids[item] for item in history.item[history.customer == 0]) == ["jam", "tea"]
    ann = stage.customers(np.array([0], np.int32))
    assert ann.now == history.now
    assert [stage.items.ids[item] for item in ann.item] == ["tea", "jam"]
    later = staged(filled, 20, 21).history
    own = later.item[(later.customer == 0) & later.is_kind("purchase")]
    assert sorted(later.items.ids[item] for item in own) == ["cup", "tea", "tea"]


def test_a_past_is_that_of_a_store_that_ended_then(filled: Engine, open_shop: Callable[..., Engine]) -> None:
    stage = staged(filled, 12, 30)
    history = filled.live.history(filled.live.build())
    earlier = history.time < DAY_0 + 12 * DAY
    # All returns were made by then, so netting all that was recorded leaves the same.
    np.testing.assert_array_equal(stage.history.quantity, history.quantity[earlier])
    np.testing.assert_array_equal(stage.history.customer, history.customer[earlier])


def test_attributes_go_with_the_item(filled: Engine) -> None:
    from visavis import Item

    filled.identify.upsert_items([Item("cup", name="A cup", category="china"), Item("tea", category="food")])
    items = staged(filled, 10, 20).items
    assert items.column("category").tolist() == ["food", "china", None]
    assert items.read_column("category", np.array([1, -1], np.int32)).tolist() == ["china", None]


def test_nothing_is_foretold_of_who_objected(filled: Engine) -> None:
    from visavis import Consent

    filled.identify.set_consent("ann", Consent("personalization", granted=False))
    stage = staged(filled, 10, 20)
    assert bought(stage, REPEAT) == bought(stage, NEW) == {"cid": {"cup"}}


def test_means_and_buyers(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    indptr, customers = stage.buyers_by_item()
    assert indptr.tolist() == [0, 2, 3, 4]
    assert [stage.ids[code] for code in customers] == ["ann", "bob", "bob", "ann"]
    means = dict(zip(stage.ids, stage.mean_buyers().tolist(), strict=True))
    assert (means["ann"], means["bob"]) == (1.5, 1.5)
    assert np.isnan(means["cid"])


def test_what_was_brought_back_was_bought(filled: Engine) -> None:
    stage = staged(filled, 20, 21)
    indptr, items = stage.bought_by(np.array([0, 4, 1], np.int32))
    assert {stage.items.ids[item] for item in items[: indptr[1]]} == {"tea", "cup", "jam"}
    assert len(indptr) == 4
    assert stage.n_buyers == 4


def test_items_came_into_being_when_somebody_did_something(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    first = dict(zip(stage.items.ids, stage.items.first_seen.tolist(), strict=True))
    assert first == {"tea": DAY_0, "cup": DAY_0, "jam": DAY_0 + DAY}


def test_who_came_later_is_not_counted(filled: Engine) -> None:
    stage = staged(filled, 10, 20)
    assert stage.history.n_customers == 3
    assert len(stage.ids) == 4


def test_scorers_cannot_write_into_the_past(filled: Engine) -> None:
    history = staged(filled, 20, 21).history
    for name in ("customer", "item", "kind", "time", "quantity", "amount", "rating", "basket"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(history, name)[:] = 0


def test_a_split_is_tied_by_ids(open_shop: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> None:
    import visavis

    train = open_shop()
    train.identify.record(
        [said(0, "purchase", "ann", "tea"), said(1, "purchase", "bob", "cup"), said(1, "purchase", "bob", "tea")]
    )
    with visavis.open(tmp_path_factory.mktemp("test") / "test.duckdb", linger_ms=0) as test:
        test.identify.record(
            [
                said(5, "purchase", "new", "cup"),
                said(0, "purchase", "bob", "cup"),
                said(5, "purchase", "ann", "cup"),
                said(5, "purchase", "ann", "hat"),
                said(5, "view", "bob", "tea"),
            ]
        )
        stage = stage_of_split(train.live, test.live)
    assert bought(stage, REPEAT) == {"ann": {"cup"}, "bob": {"cup"}}
    assert bought(stage, NEW) == {"ann": {"cup"}}
    assert bought(stage, COLD) == {"new": {"cup"}}
    assert len(stage.history) == 3
    assert not len(stage.customers(np.array([2], np.int32)).item)
