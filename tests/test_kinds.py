"""The one table of kinds: what it says, what changes it, what it refuses, and that everything reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import visavis
from visavis import Interaction
from visavis.config import load_settings
from visavis.engine import Engine
from visavis.errors import InvalidInput
from visavis.history import KindTable
from visavis.kinds import FOREVER, KIND_RULES, KindRule, read_kind_rules
from visavis.live import state
from visavis.testing import Event, make_customers, make_history

DAY_US = 86_400_000_000


def test_the_table_as_it_comes() -> None:
    assert {kind: rule.weight for kind, rule in KIND_RULES.items() if rule.weight} == {
        "purchase": 1.0, "like": 1.0, "cart": 0.5, "view": 0.2, "click": 0.2,
    }  # fmt: skip
    assert {kind: rule.hides_days for kind, rule in KIND_RULES.items() if rule.hides_days} == {
        "purchase": FOREVER, "return": FOREVER, "skip": 90.0,
    }  # fmt: skip
    assert all(rule.trains and not rule.half_life_days for rule in KIND_RULES.values())
    assert KindRule() == KindRule(0.0, 0.0, 0.0, True)


def test_the_file_is_laid_over_it_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "visavis.toml"
    file.write_text(
        "[kinds.view]\nweight = 1\nhalf_life_days = 30\n[kinds.wish]\nweight = 0.7\n"
        '[kinds.skip]\nhides_days = "forever"\n[kinds.return]\nhides_days = inf\ntrains = false\n'
    )
    rules = load_settings(file=file, environ={}).kinds
    assert rules["view"] == KindRule(1.0, 30.0)
    assert rules["wish"] == KindRule(0.7)
    assert rules["skip"] == KindRule(hides_days=FOREVER)
    assert rules["return"] == KindRule(hides_days=FOREVER, trains=False)
    assert rules["purchase"] == KIND_RULES["purchase"]
    assert load_settings(environ={}, file=None).kinds == KIND_RULES


@pytest.mark.parametrize(
    ("keys", "field", "words"),
    [
        ({"view": {"wight": 1}}, "kinds.view.wight", "known are weight, half_life_days, hides_days, trains"),
        ({"view": {"weight": -1}}, "kinds.view.weight", "is -1 .*give a number from 0 to 1000"),
        ({"view": {"weight": True}}, "kinds.view.weight", "is True"),
        ({"view": {"weight": "much"}}, "kinds.view.weight", "is 'much'"),
        ({"view": {"weight": float("nan")}}, "kinds.view.weight", "is nan"),
        ({"view": {"half_life_days": float("inf")}}, "kinds.view.half_life_days", "give a number from 0 to 36500"),
        ({"view": {"hides_days": 1e6}}, "kinds.view.hides_days", 'or "forever"'),
        ({"view": {"trains": 1}}, "kinds.view.trains", "give true or false"),
        ({" ": {}}, "kinds", "names no kind"),
        ({"view": 1}, "kinds", "one table a kind"),
        (3, "kinds", "one table a kind"),
    ],
)
def test_what_is_wrong_is_refused_by_name(keys: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        read_kind_rules(keys, "visavis.toml")
    assert caught.value.violations[0].field == field
    assert "visavis.toml" in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_kind_rules({"view": {"wight": 1, "trains": 0}, "cart": {"weight": -2}}, "visavis.toml")
    assert len(caught.value.violations) == 3


def test_columns_follow_new_kinds_and_are_made_once() -> None:
    table, kinds = KindTable({"view": KindRule(0.3, 2.0, FOREVER, False)}), ["view"]
    columns = table.columns(kinds)
    assert table.columns(tuple(kinds)) is columns
    kinds.append("sneeze")
    more = table.columns(kinds)
    assert more.weight.tolist() == [0.3, 0.0]
    assert more.half_life.tolist() == [2.0 * DAY_US, 0.0]
    assert more.hides.tolist() == [FOREVER, 0.0]
    assert more.trains.tolist() == [False, True]
    assert not more.weight.flags.writeable


def test_weights_fade_by_their_half_life() -> None:
    table = KindTable({"view": KindRule(0.8, 2.0), "purchase": KindRule(1.0)})
    events = [Event(0, 1, "view", day=0), Event(0, 2, "view", day=4), Event(0, 3), Event(0, -1, "view", day=4)]
    for rows in (make_history(events, now_day=4), make_customers(events, [0], now_day=4)):
        told = replace(rows, kind_table=table)
        by_item = dict(zip(told.item.tolist(), told.weights().tolist(), strict=True))
        assert by_item == {1: 0.2, 2: 0.8, 3: 1.0, -1: 0.0}
        assert told.weights({"view": 3.0}).tolist() == [3.0 * (item in (1, 2)) for item in told.item.tolist()]


def test_what_does_not_train_is_left_out() -> None:
    events = [Event(0, 1, "view"), Event(0, 2), Event(1, 1, "view"), Event(1, 3, day=2), Event(1, 4, "view", day=2)]
    table = KindTable({"view": KindRule(0.2, trains=False), "purchase": KindRule(1.0)})
    history, customers = make_history(events), make_customers(events, [1, -1, 0])
    assert history.training() is history
    assert customers.training() is customers
    left = replace(history, kind_table=table).training()
    assert (left.customer.tolist(), left.item.tolist()) == ([0, 1], [2, 3])
    rows = replace(customers, kind_table=table).training()
    assert (rows.indptr.tolist(), rows.item.tolist()) == ([0, 1, 1, 2], [3, 2])
    np.testing.assert_array_equal(rows.time, customers.time[customers.is_kind("purchase")])


RULES = """
[kinds.skip]
hides_days = 2
[kinds.purchase]
hides_days = 10
[kinds.view]
trains = false
[kinds.wish]
weight = 0.5
hides_days = 1
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "visavis.toml").write_text(RULES)
    settings = load_settings({"linger_ms": 0}, environ={"VISAVIS_CONFIG": str(tmp_path / "visavis.toml")})
    with visavis.open(tmp_path / "shop.duckdb", settings=settings) as engine:
        board = [("purchase", f"c{c}", f"i{i}") for c in range(4) for i in range(3)]
        engine.identify.record([Interaction(*one) for one in board])
        engine.fit()
        yield engine


def shown(engine: Engine, monkeypatch: pytest.MonkeyPatch, days_later: float, **wanted: Any) -> set[str]:
    now = state.now_us() + int(days_later * DAY_US)
    with monkeypatch.context() as context:
        context.setattr("visavis.customize.recommending.now_us", lambda: now)
        return {item.item_id for item in engine.recommend("me", 3, **wanted).items}


def test_what_hides_hides_for_as_long_as_the_table_says(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.identify.record(
        [Interaction("skip", "me", "i0"), Interaction("purchase", "me", "i1"), Interaction("wish", "me", "i2")]
    )
    assert shown(shop, monkeypatch, 0) == set()
    assert shown(shop, monkeypatch, 0, exclude_bought=False) == {"i1"}
    assert shown(shop, monkeypatch, 1.5) == {"i2"}
    assert shown(shop, monkeypatch, 2.5) == {"i0", "i2"}
    assert shown(shop, monkeypatch, 10.5) == {"i0", "i1", "i2"}


def test_what_does_not_train_teaches_nothing_and_still_counts(shop: Engine) -> None:
    shop.identify.record([Interaction("view", f"v{n}", item) for n in range(5) for item in ("i0", "seen")])
    shop.fit()
    assert "seen" not in {one.item_id for one in shop.similar("i0").items}
    shop.refreshing.refresh()
    shop.identify.record([Interaction("view", "w", "i0"), Interaction("view", "w", "seen")])
    shop.refreshing.refresh()
    assert "seen" not in {one.item_id for one in shop.similar("i0").items}
    best = shop.recommend("v0", 1, scorer="item_similarity").items[0]
    assert [reason.kind for reason in best.reasons] == ["because_you_viewed"]


def test_a_kind_of_the_users_own_says_what_the_table_says(shop: Engine) -> None:
    shop.identify.record([Interaction("wish", "me", "i0")])
    best = shop.recommend("me", 1, scorer="item_similarity").items[0]
    (reason,) = best.reasons
    assert (reason.kind, reason.item_id) == ("because_you_noticed", "i0")
    assert best.score == pytest.approx(0.5)
