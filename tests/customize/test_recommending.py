"""Recommendations through the whole engine: true reasons, nothing that was ruled out, n when there are n."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import visavis
from visavis import AttributeFilter, Consent, Customer, Identifier, Interaction, Item, Money
from visavis.customize import exclusions
from visavis.engine import Engine
from visavis.errors import InvalidInput, NotFound, NotReady, PluginError
from visavis.model import Recommendation
from visavis.store import Operation
from visavis.testing import checkerboard

SIZE = 12
BROKEN = """
import numpy as np
import visavis

class Moody(visavis.Scorer):
    name = "moody"
    personal = False
    mood = "raise"

    def score(self, customers, candidates):
        if Moody.mood == "raise":
            raise RuntimeError("not today")
        return np.zeros((len(customers), len(candidates)))

    def top(self, customers, items, n, exclude):
        if Moody.mood == "raise":
            raise RuntimeError("not today")
        codes = np.full((len(customers), n), -1, dtype=np.int32)
        codes[:, 0] = 0
        scores = np.full((len(customers), n), np.nan if Moody.mood == "nan" else 1.0)
        if Moody.mood == "exit":
            raise SystemExit(1)
        if Moody.mood == "hole":
            codes[:, :3] = [1, -1, 0]
        if Moody.mood == "below":
            codes[:, :2] = [1, -2]
        if Moody.mood == "beyond":
            codes[:, 0] = 10_000
        if Moody.mood == "narrow":
            return codes[:, :1], scores[:, :1]
        if Moody.mood == "wide":
            return np.full((len(customers), n + 1), 1, dtype=np.int32), np.ones((len(customers), n + 1))
        if Moody.mood == "floats":
            return codes.astype(float), scores
        if Moody.mood == "vandal":
            items.price[:] = 0
        if Moody.mood == "vandal of customers":
            customers.item[:] = 0
        if Moody.mood in ("unknown cause", "no text", "liar", "nan reason"):
            codes[:, 0] = 1
        return codes, scores

    def explain(self, customers, chosen, scores):
        item = 99_999 if Moody.mood == "unknown cause" else 0
        text = None if Moody.mood == "no text" else "like {item}"
        amount = {"liar": 42.0, "nan reason": float("nan")}.get(Moody.mood, 1.0)
        return [[[visavis.Contribution("like", amount, text, item)] for _ in row] for row in chosen]

class Kin(visavis.NeighbourScorer):
    name = "kin"
    mood = "well"

    def score(self, customers, candidates):
        return np.zeros((len(customers), len(candidates)))

    def neighbours(self, item, n):
        codes, similarities = np.array([1, 2], dtype=np.int32), np.array([0.5, 0.25])
        if Kin.mood == "nan":
            similarities[1] = np.nan
        if Kin.mood == "inf":
            similarities[0] = np.inf
        if Kin.mood == "below":
            codes[1] = -1
        if Kin.mood == "beyond":
            codes[1] = 10_000
        if Kin.mood == "uneven":
            similarities = similarities[:1]
        if Kin.mood == "exit":
            raise SystemExit(1)
        return codes, similarities

@visavis.hookimpl
def visavis_scorers():
    return [Moody, Kin]
"""


def record_board(shop: Engine) -> None:
    shop.identify.record(
        [
            Interaction(
                "purchase", f"c{event.customer}", f"i{event.item}", interaction_id=f"{event.customer}-{event.item}"
            )
            for event in checkerboard(SIZE).events
        ]
    )


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The checkerboard, fitted. Tests that use it change nothing that another could see."""
    folder = tmp_path_factory.mktemp("board")
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "moody.py").write_text(BROKEN)
    with visavis.open(folder / "s.duckdb", linger_ms=0, plugins_dir=str(plugins)) as shop:
        shop.identify.upsert_items([Item(f"i{n}", f"Item {n}") for n in range(SIZE)])
        record_board(shop)
        shop.fit()
        yield shop


@pytest.fixture
def live_board(shop: Engine) -> Engine:
    """A checkerboard of this test's own."""
    record_board(shop)
    shop.fit()
    return shop


def ids(answer: Recommendation) -> list[str]:
    return [item.item_id for item in answer.items]


def shape(answer: Recommendation) -> tuple[object, ...]:
    """All of an answer but its id."""
    return (answer.customer_id, answer.scorer, answer.fallback, answer.fallback_reason, answer.items)


def test_the_checkerboard_has_its_one_right_answer(board: Engine) -> None:
    for customer, item in enumerate(checkerboard(SIZE).answers):
        answer = board.recommend(f"c{customer}", 1)
        assert ids(answer) == [f"i{item}"]
        assert (answer.scorer, answer.fallback, answer.fallback_reason) == ("item_similarity", False, "")


@pytest.mark.parametrize("scorer", ["item_similarity", "popularity", "repeat"])
@pytest.mark.parametrize("customer", ["c0", "c7", "nobody"])
def test_contributions_add_up_to_the_score(board: Engine, scorer: str, customer: str) -> None:
    answer = board.recommend(customer, SIZE, scorer=scorer, exclude_bought=False)
    assert len(answer.items) == SIZE
    assert [item.rank for item in answer.items] == list(range(1, SIZE + 1))
    for item in answer.items:
        assert sum(reason.contribution for reason in item.reasons) == pytest.approx(item.score, abs=1e-9)
        assert item.reasons


def test_a_reason_names_what_was_bought(board: Engine) -> None:
    reasons = board.recommend("c0", 1).items[0].reasons
    assert {reason.item_id for reason in reasons if reason.item_id} <= {f"i{n}" for n in range(2, SIZE, 2)}
    assert any(reason.item_name.startswith("Item ") and reason.item_name in reason.text for reason in reasons)


def test_many_at_once_get_what_each_alone_gets(board: Engine) -> None:
    asked = ["c0", "nobody", "c3", Identifier("device", "x"), "c0"]
    for scorer in ("item_similarity", "popularity", "repeat"):
        together = board.customize.recommend_many(asked, 5, scorer=scorer)
        assert [shape(one) for one in together] == [shape(board.recommend(ref, 5, scorer=scorer)) for ref in asked]
    assert len({one.decision_id for one in together}) == len(asked)


@pytest.mark.parametrize("n", [1, 5, SIZE])
def test_n_when_there_are_n(board: Engine, n: int) -> None:
    for scorer in ("item_similarity", "popularity", "repeat"):
        for customer in ("c1", "nobody"):
            answer = board.recommend(customer, n, scorer=scorer, exclude_bought=False)
            assert len(set(ids(answer))) == n
    assert len(board.recommend("c1", 1000, exclude_bought=False).items) == SIZE


def test_what_was_bought_is_left_out_as_asked(board: Engine) -> None:
    bought = {f"i{n}" for n in range(2, SIZE, 2)}
    assert not bought & set(ids(board.recommend("c0", SIZE)))
    assert not bought & set(ids(board.recommend("c0", SIZE, scorer="popularity", exclude_bought=True)))
    assert bought <= set(ids(board.recommend("c0", SIZE, exclude_bought=False)))
    assert set(ids(board.recommend("c0", len(bought), scorer="repeat"))) == bought


def test_excluded_items_are_left_out(board: Engine) -> None:
    answer = board.recommend("c0", SIZE, exclude=["i0", "i1", "no such item"])
    assert not {"i0", "i1"} & set(ids(answer))
    assert len(answer.items) == SIZE - 5 - 2


def test_unknown_and_new_customers_are_told_that_it_is_not_personal(live_board: Engine) -> None:
    live_board.identify.upsert_customers([Customer("new")])
    for ref, why in (
        ("nobody", "unknown_customer"),
        ("new", "no_history"),
        (Identifier("email", "x"), "unknown_customer"),
    ):
        answer = live_board.recommend(ref, 5)
        assert (answer.fallback, answer.fallback_reason, answer.scorer) == (True, why, "popularity")
        assert "fall-back, not personal" in str(answer)
        assert len(answer.items) == 5
    assert live_board.recommend(Identifier("email", "x"), 1).customer_id == ""
    # A scorer that is not personal falls back on nothing.
    assert not live_board.recommend("nobody", 5, scorer="popularity").fallback


def test_an_objector_gets_what_a_stranger_gets(live_board: Engine) -> None:
    live_board.identify.set_consent("c0", Consent("personalization", False))
    for scorer in ("item_similarity", "popularity", "repeat"):
        answer, stranger = (
            live_board.recommend("c0", SIZE, scorer=scorer),
            live_board.recommend("nobody", SIZE, scorer=scorer),
        )
        assert answer.items == stranger.items
        assert all(not reason.item_id for item in answer.items for reason in item.reasons)
    assert live_board.recommend("c0").fallback_reason == "objected"
    live_board.customize.flush()
    live_board.identify.record([Interaction("view", "nobody")])
    with live_board.store.cursor() as cursor:
        live_board.store.writer.wait_for(live_board.store.mark.sequence)
        assert cursor.execute("SELECT count(*) FROM decision_log WHERE customer_id = 'c0'").fetchall() == [(0,)]
    live_board.identify.set_consent("c0", Consent("personalization", True))
    assert not live_board.recommend("c0").fallback


def test_a_personal_fallback_is_not_asked_for_an_objector(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(scorer="repeat", fallback_scorer="item_similarity")
    record_board(shop)
    shop.fit()
    shop.identify.set_consent("c0", Consent("personalization", False))
    assert {item.scorer for item in shop.recommend("c0", SIZE).items} == {"catalog"}
    assert {item.scorer for item in shop.recommend("c1", SIZE, exclude_bought=False).items} >= {
        "repeat",
        "item_similarity",
    }


def test_what_was_acknowledged_shows_in_the_next_answer(live_board: Engine) -> None:
    shop = live_board
    assert ids(shop.recommend("c0", 1)) == ["i0"]
    shop.identify.record([Interaction("skip", "c0", "i0")])
    assert "i0" not in ids(shop.recommend("c0", SIZE))
    assert "i0" not in ids(shop.recommend("c0", SIZE, exclude_bought=False))
    assert ids(shop.recommend("c2", 1)) == ["i2"]
    shop.identify.record([Interaction("purchase", "c2", "i2", interaction_id="p")])
    assert "i2" not in ids(shop.recommend("c2", SIZE))
    shop.identify.record([Interaction("purchase", "nobody", "i4")])
    answer = shop.recommend("nobody", 3)
    assert not answer.fallback
    assert {reason.item_id for reason in answer.items[0].reasons} == {"i4"}
    # Back it goes: it says nothing for the taste any more.
    before = shop.recommend("nobody", 3, exclude_bought=False).items
    shop.identify.record([Interaction("purchase", "nobody", "i5"), Interaction("return", "nobody", "i5")])
    assert shop.recommend("nobody", 3, exclude_bought=False).items == before


def test_an_item_that_came_after_the_fit_may_be_shown(live_board: Engine) -> None:
    live_board.identify.upsert_items([Item("fresh", "Fresh")])
    answer = live_board.recommend("c0", SIZE + 1, exclude_bought=False)
    assert ids(answer)[-1] == "fresh"
    last = answer.items[-1]
    assert (last.scorer, last.score) == ("popularity", 0.0)
    assert answer.fallback_reason == "too_few"
    assert not answer.fallback
    live_board.fit()
    live_board.identify.record([Interaction("view", "c0", "brand-new")])
    assert "brand-new" in ids(live_board.recommend("c0", SIZE + 2, exclude_bought=False))


def test_what_is_not_available_is_not_shown(live_board: Engine) -> None:
    live_board.identify.upsert_items([Item("i0", available=False)])
    assert "i0" not in ids(live_board.recommend("c0", SIZE))
    assert ids(live_board.recommend("c0", 1, available_only=False)) == ["i0"]
    live_board.identify.upsert_items([Item("i0", available=True)], update_mask=["available"])
    assert ids(live_board.recommend("c0", 1)) == ["i0"]


def test_one_variant_of_a_group(live_board: Engine) -> None:
    live_board.identify.upsert_items([Item(f"i{n}", group_id=f"g{n % 4}") for n in range(10)])
    answer = live_board.recommend("nobody", SIZE)
    assert len(answer.items) == 4 + 2
    assert len(live_board.recommend("nobody", SIZE, one_per_group=False).items) == SIZE
    similar = live_board.similar("i0", SIZE)
    assert not {"i0", "i4", "i8"} & {item.item_id for item in similar.items}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with visavis.open(tmp_path_factory.mktemp("described") / "s.duckdb", linger_ms=0) as shop:
        shop.identify.upsert_items(
            [
                Item("a", "A", category="tea", brand="x", price=Money(500, "EUR"),
                     attributes={"sizes": ("s", "m"), "weight": 2.0, "new": True, "code": 1234567.0}),
                Item("b", "B", category="tea", brand="y", price=Money(1500, "EUR"),
                     attributes={"sizes": ("l",), "weight": 5}),
                Item("c", "C", category="cup", attributes={"new": False, "weight": "heavy"}),
                Item("d"),
            ]
        )  # fmt: skip
        shop.identify.record([Interaction("purchase", "ann", item) for item in "abcd"])
        shop.fit()
        yield shop


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ([AttributeFilter("category", any_of=("tea",))], "ab"),
        ([AttributeFilter("category", any_of=("tea", "cup"))], "abc"),
        ([AttributeFilter("category", none_of=("tea",))], "cd"),
        ([AttributeFilter("brand", any_of=("z",))], ""),
        ([AttributeFilter("price", at_least=500)], "ab"),
        ([AttributeFilter("price", at_most=1499.5)], "a"),
        ([AttributeFilter("price", at_least=501, at_most=1500)], "b"),
        ([AttributeFilter("price", any_of=("1500",))], "b"),
        ([AttributeFilter("price", none_of=("1500",))], "acd"),
        ([AttributeFilter("sizes", any_of=("m", "l"))], "ab"),
        ([AttributeFilter("sizes", none_of=("m",))], "bcd"),
        ([AttributeFilter("new", any_of=("true",))], "a"),
        ([AttributeFilter("weight", at_least=3)], "b"),
        ([AttributeFilter("weight", any_of=("2", "heavy"))], "ac"),
        ([AttributeFilter("code", any_of=("1234567",))], "a"),
        ([AttributeFilter("nothing", at_least=0)], ""),
        ([AttributeFilter("nothing", none_of=("x",))], "abcd"),
        ([AttributeFilter("category", any_of=("tea",)), AttributeFilter("brand", none_of=("y",))], "a"),
        ([AttributeFilter("category", any_of=["tea"])], "ab"),  # type: ignore[arg-type]
    ],
)
def test_filters(described: Engine, filters: list[AttributeFilter], left: str) -> None:
    for customer in ("ann", "nobody"):
        answer = described.recommend(customer, 10, scorer="popularity", filters=filters, exclude_bought=False)
        assert "".join(sorted(ids(answer))) == left
    assert {item.item_id for item in described.similar("d", filters=filters).items} <= set(left)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("n", {"n": 0}),
        ("n", {"n": 1001}),
        ("n", {"n": 2.0}),
        ("n", {"n": True}),
        ("filters", {"filters": [AttributeFilter("x")]}),
        ("filters", {"filters": [AttributeFilter("x", any_of=("a",), none_of=("b",))]}),
        ("filters", {"filters": [AttributeFilter("x", any_of=("a",), at_least=1)]}),
        ("filters", {"filters": [AttributeFilter("", any_of=("a",))]}),
        ("filters", {"filters": [AttributeFilter("x", any_of="abc")]}),
        ("filters", {"filters": [AttributeFilter("x", any_of=(1,))]}),
        ("filters", {"filters": [AttributeFilter("x", at_least=math.nan)]}),
        ("filters", {"filters": [AttributeFilter("x", at_most="9")]}),
        ("filters", {"filters": [AttributeFilter("x", any_of=("a",))] * 21}),
        ("filters", {"filters": ["category=tea"]}),
        ("filters", {"filters": "category"}),
        ("exclude", {"exclude": "i0"}),
        ("exclude", {"exclude": [["i0"]]}),
        ("exclude", {"exclude": ["x"] * 10_001}),
        ("scorer", {"scorer": 5}),
        ("customer", {"customer": ""}),
        ("customer", {"customer": None}),
        ("customer", {"customer": "x" * 10_240}),
    ],
)
def test_bad_requests_name_the_field(board: Engine, field: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        board.recommend(**{"customer": "c0", **asked})
    assert caught.value.violations[0].field.startswith(field)
    if field not in ("customer", "scorer"):
        with pytest.raises(InvalidInput):
            board.similar("i0", **asked)


@pytest.mark.parametrize("customers", [[], "c0", ["c0"] * 1001, ["c0", ""], None])
def test_bad_lists_of_customers(board: Engine, customers: Any) -> None:
    with pytest.raises(InvalidInput, match="customers"):
        board.customize.recommend_many(customers)


def test_the_setting_says_who_tells_what_is_alike(open_shop: Callable[..., Engine]) -> None:
    shop = open_shop(scorer="repeat")
    record_board(shop)
    shop.fit()
    assert shop.similar("i0").scorer == "item_similarity", "the one that is about likeness, not the first by name"
    shop.close()
    assert open_shop(scorer="cross_sell").similar("i0").scorer == "cross_sell"


def test_unknown_scorers_and_items_are_named(board: Engine) -> None:
    with pytest.raises(NotFound, match=r"'nope' is not in generation 1; fitted are .*, item_similarity, kin, moody"):
        board.recommend("c0", scorer="nope")
    with pytest.raises(NotFound, match="popularity does not know which items are alike"):
        board.similar("i0", scorer="popularity")
    with pytest.raises(NotFound, match="item 'nope' is not known"):
        board.similar("nope")
    with pytest.raises(InvalidInput, match="item_id"):
        board.similar("")


def test_similar_items(board: Engine) -> None:
    answer = board.similar("i0", 20)
    assert {item.item_id for item in answer.items} <= {f"i{n}" for n in range(2, SIZE, 2)}
    assert [item.rank for item in answer.items] == list(range(1, len(answer.items) + 1))
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert "i2" not in {item.item_id for item in board.similar("i0", 20, exclude=["i2"]).items}
    assert "Item 0" in str(answer)


def test_nothing_fitted_and_nothing_there(shop: Engine) -> None:
    for call in (lambda: shop.recommend("c0"), lambda: shop.identify.upsert_items([Item("a")]) and shop.similar("a")):
        with pytest.raises(NotReady, match="nothing is fitted yet"):
            call()
    with pytest.raises(NotReady, match="nothing to fit on"):
        shop.fit()


def test_an_empty_list_where_nothing_may_be_shown(shop: Engine) -> None:
    shop.identify.record([Interaction("search", "ann")])
    shop.fit()
    answer = shop.recommend("ann")
    assert answer.items == ()
    shop.identify.record([Interaction("view", "ann", "tea")])
    assert ids(shop.recommend("ann")) == ["tea"]


def test_decisions_are_written_down(live_board: Engine) -> None:
    shop = live_board
    answers = [shop.recommend("c0", 3), shop.recommend("nobody", 2)]
    shop.warm_up()
    shop.customize.flush()
    shop.identify.record([Interaction("click", "c0", "i0", decision_id=answers[0].decision_id)])
    with shop.store.cursor() as cursor:
        found = cursor.execute(
            "SELECT decision_id, customer_id, rank, item_id, score, item_scorer, fallback_reason, generation "
            "FROM decision_log ORDER BY decided_at, rank"
        ).fetchall()
    assert found == [
        (answer.decision_id, customer, item.rank, item.item_id, item.score, item.scorer, reason, 1)
        for answer, customer, reason in zip(answers, ("c0", None), ("too_few", "unknown_customer"), strict=True)
        for item in answer.items
    ]


def test_answers_that_could_not_be_written_down_are_counted(
    live_board: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr("visavis.customize.recorder.insert_decisions", refuse)
    live_board.recommend("c0", 3)
    live_board.customize.recommend_many(["c0", "c1"])
    live_board.customize.flush()
    live_board.identify.record([Interaction("view", "c0")])
    assert "3 answers went unrecorded" in live_board.admin.status().warnings[-1]


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("raise", "RuntimeError: not today"),
        ("exit", "SystemExit: 1"),
        ("nan", "not a finite number"),
        ("rude", "was excluded"),
        ("hole", "an item behind a missing place"),
        ("below", "no code of an item"),
        ("beyond", "was excluded"),
        ("narrow", r"both must be \(1, 3\)"),
        ("wide", r"both must be \(1, 3\)"),
        ("floats", "no code of an item"),
        ("unknown cause", "explain gave item code 99999, and there are 12 items"),
        ("no text", "explain gave a reason of kind 'like' with the text None; both must be texts"),
        ("liar", "reasons that add up to 42.0, and the score is 1.0"),
        ("nan reason", "reasons that add up to nan"),
        ("vandal", "read-only"),
        ("vandal of customers", "read-only"),
    ],
)
def test_a_scorer_that_breaks_is_named(board: Engine, monkeypatch: pytest.MonkeyPatch, mood: str, told: str) -> None:
    moody = type(board.live.generation.scorers["moody"])
    monkeypatch.setattr(moody, "mood", mood)
    with pytest.raises(PluginError, match=f"scorer moody failed to answer: .*{told}"):
        board.recommend("c0", 3, scorer="moody", exclude=["i0"])
    board.warm_up()
    assert ids(board.recommend("c0", 1)) == ["i0"]


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("nan", "not a finite number"),
        ("inf", "not a finite number"),
        ("below", "no code of an item"),
        ("beyond", "no code of an item"),
        ("uneven", r"codes \(2,\) and similarities \(1,\)"),
        ("exit", "SystemExit: 1"),
    ],
)
def test_neighbours_that_are_none_are_named(
    board: Engine, monkeypatch: pytest.MonkeyPatch, mood: str, told: str
) -> None:
    assert [item.item_id for item in board.similar("i0", 3, scorer="kin").items] == ["i1", "i2"]
    monkeypatch.setattr(type(board.live.generation.scorers["kin"]), "mood", mood)
    with pytest.raises(PluginError, match=f"scorer kin failed to answer: .*{told}"):
        board.similar("i0", 3, scorer="kin")


def test_what_a_stranger_says_stays_out_of_the_log(
    board: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold what a customer did."""
    monkeypatch.setattr(type(board.live.generation.scorers["moody"]), "mood", "raise")
    with caplog.at_level("INFO"):
        board.warm_up()
    assert "scorer moody failed to warm up: RuntimeError at moody.py:" in caplog.text
    assert "not today" not in caplog.text


def test_answers_go_on_when_nothing_can_be_written(live_board: Engine) -> None:
    """They come from memory; only their record is missing, and counted."""
    shop = live_board

    def fall(_: None) -> None:
        raise ZeroDivisionError("memory")

    before = shop.recommend("c0", 3)
    with pytest.raises(ZeroDivisionError):
        shop.store.writer.run(Operation(lambda _: None, committed=fall, exclusive=True))
    assert shape(shop.recommend("c0", 3)) == shape(before)
    assert shop.similar("i0").items
    warnings = shop.admin.status().warnings
    assert any("nothing is written any more: memory no longer agrees" in warning for warning in warnings)
    assert any(warning.startswith("1 answers went unrecorded") for warning in warnings)


def test_masks_of_filters_are_kept_while_the_catalogue_stays(
    live_board: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, made = live_board, []
    shop.identify.upsert_items([Item(f"i{n}", attributes={"size": str(n % 3)}) for n in range(SIZE)])
    real = exclusions._passes

    def passes(*given: Any) -> Any:
        made.append(given)
        return real(*given)

    monkeypatch.setattr(exclusions, "_passes", passes)
    filters = [AttributeFilter("size", any_of=("1",))]
    for number in range(3):
        assert len(shop.recommend("nobody", SIZE, filters=filters).items) == 4
        shop.identify.record([Interaction("view", f"c{number}", f"i{number}")])
    assert len(made) == 1
    shop.identify.upsert_items([Item("i1", attributes={"size": "9"})])
    assert len(shop.recommend("nobody", SIZE, filters=filters).items) == 3


def test_scores_are_plain_numbers(board: Engine) -> None:
    item = board.recommend("c0", 1).items[0]
    assert type(item.score) is float
    assert not isinstance(item.reasons[0].contribution, np.generic)


def test_plugins_dir_is_a_path_too(board: Engine) -> None:
    assert Path(board.settings["plugins_dir"]).is_dir()
    assert {info.name for info in board.admin.plugins()} >= {"moody", "popularity", "rfm", "console"}
