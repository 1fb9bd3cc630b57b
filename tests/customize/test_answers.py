"""Answers in columns: the same to Python, to the wire and in the record; the strongest reasons and the rest."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import visavis
from visavis import Consent, Customer, Identifier, Interaction, Item
from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.customize.wording import OTHERS, Wording
from visavis.engine import Engine
from visavis.errors import InvalidInput
from visavis.rpc.convert_answers import recommendation_from_proto

NAMES = ["Tea", "Täss-chen ☕", "", "名前 " * 60, "{item}", "a\nb", *(f"Thing {n}" for n in range(14))]
PEOPLE = ["ann", "bob", "zoë 🙂", "new", "objector"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("answers")
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "lists.py").write_text(LISTS)
    with visavis.open(folder / "s.duckdb", linger_ms=0, plugins_dir=str(plugins)) as shop:
        shop.identify.upsert_items([Item(f"i{n}", name, group_id=f"g{n % 9}") for n, name in enumerate(NAMES)])
        shop.identify.record(
            [
                Interaction(kind, who, f"i{(7 * n + 3 * at) % 17}", interaction_id=f"{at}-{n}")
                for at, who in enumerate([*PEOPLE[:3], "objector", "d", "e", "f"])
                for n, kind in enumerate(["purchase", "view", "like", "purchase", "cart", "purchase", "purchase"])
            ]
        )
        shop.identify.upsert_customers([Customer("new")])
        shop.identify.set_consent("objector", Consent("personalization", False))
        shop.fit()
        yield shop


LISTS = '''
import numpy as np
import visavis
from visavis_plugins.scorers.item_similarity import ItemSimilarity

class Lists(visavis.Scorer):
    name = "lists"

    def score(self, customers, candidates):
        return np.tile(np.where(candidates.codes % 2 == 0, 6.0, np.nan), (len(customers), 1))

    def explain(self, customers, chosen, scores):
        parts = [
            visavis.Contribution("a", 3.0, "wegen {item} und {item} ☕", 1),
            visavis.Contribution("b", -1.0, "trotz {item}", 3),
            visavis.Contribution("c", 4.0, "weil"),
            visavis.Contribution("d", 0.0, "auch"),
        ]
        return [[parts if code >= 0 else [] for code in row] for row in chosen]

class Asked(ItemSimilarity):
    """The same, asked like any other scorer."""

    name = "asked"
    summed = False

@visavis.hookimpl
def visavis_scorers():
    return [Lists, Asked]
'''


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([*PEOPLE, "nobody", "", Identifier("email", "x@y")]).filter(bool), min_size=1, max_size=6),
    st.sampled_from(["item_similarity", "popularity", "repeat", "lists"]),
    st.sampled_from([1, 3, 12, 40]),
    st.sampled_from([0, 1, 2, 3, 100]),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from([f"i{n}" for n in range(20)])),
)
def test_the_wire_says_what_python_says(
    shop: Engine,
    people: list[Any],
    scorer: str,
    n: int,
    most: int,
    one_per_group: bool,
    bought: bool,
    exclude: set[str],
) -> None:
    answers = shop.customize.answer(
        people,
        n,
        scorer=scorer,
        exclude=sorted(exclude),
        exclude_bought=bought,
        one_per_group=one_per_group,
        most_reasons=most,
    )
    sent = pb.BatchRecommendResponse.FromString(answers.wire())
    assert tuple(recommendation_from_proto(one) for one in sent.recommendations) == answers.rows()
    assert sent.SerializeToString(deterministic=True) == answers.wire()
    for answer in answers.rows():
        for item in answer.items:
            assert len(item.reasons) <= most
            assert bool(item.reasons) == bool(most)
            if most:
                assert sum(reason.contribution for reason in item.reasons) == pytest.approx(item.score, abs=1e-9)


@settings(derandomize=True, max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([*PEOPLE, "d", "e", "nobody", Identifier("email", "x@y")]), min_size=1, max_size=8),
    st.sampled_from([1, 2, 5, 12, 40]),
    st.sampled_from([0, 1, 2, 3, 100]),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sets(st.sampled_from([f"i{n}" for n in range(20)])),
)
def test_sums_are_answered_as_any_scorer_is(
    shop: Engine, people: list[Any], n: int, most: int, one_per_group: bool, bought: bool | None, exclude: set[str]
) -> None:
    """Item by item, score by score, reason by reason: whether ranked in compiled code alone or asked step by step."""

    def answers(scorer: str) -> Any:
        return shop.customize.answer(
            people,
            n,
            scorer=scorer,
            exclude=sorted(exclude),
            exclude_bought=bought,
            one_per_group=one_per_group,
            most_reasons=most,
        )

    quick, plain = answers("item_similarity"), answers("asked")
    np.testing.assert_array_equal(quick.lists.items, plain.lists.items)
    np.testing.assert_array_equal(quick.lists.scores, plain.lists.scores)
    np.testing.assert_array_equal(quick.lists.by, plain.lists.by)
    np.testing.assert_array_equal(quick.lists.counts, plain.lists.counts)
    assert quick.fallback_reasons == plain.fallback_reasons
    for one, other in zip(quick.rows(), plain.rows(), strict=True):
        assert [item.reasons for item in one.items] == [item.reasons for item in other.items]
        assert one.customer_id == other.customer_id


def test_one_answer_is_a_response_of_its_own(shop: Engine) -> None:
    answers = shop.customize.answer(["ann"], 3)
    (row,) = answers.rows()
    assert recommendation_from_proto(pb.RecommendResponse.FromString(answers.wire()).recommendation) == row


def test_the_strongest_reasons_come_and_the_rest_in_one(shop: Engine) -> None:
    def reasons(most: int) -> list[tuple[str, str, float]]:
        item = shop.recommend("ann", 1, scorer="lists", most_reasons=most).items[0]
        return [(reason.kind, reason.text, reason.contribution) for reason in item.reasons]

    every = [
        ("a", "wegen Täss-chen ☕ und Täss-chen ☕ ☕", 3.0),
        ("b", f"trotz {NAMES[3]}", -1.0),
        ("c", "weil", 4.0),
        ("d", "auch", 0.0),
    ]
    assert reasons(4) == reasons(100) == every
    assert reasons(3) == [every[0], every[2], (OTHERS, "and 2 other reasons", -1.0)]
    assert reasons(2) == [every[2], (OTHERS, "and 3 other reasons", 2.0)]
    assert reasons(1) == [(OTHERS, "and 4 other reasons", 6.0)]
    assert reasons(0) == []
    assert reasons(3) == [
        (one.kind, one.text, one.contribution) for one in shop.recommend("ann", 1, scorer="lists").items[0].reasons
    ]


@pytest.mark.parametrize("most", [-1, 101, "3", None])
def test_a_wrong_number_of_reasons_is_named(shop: Engine, most: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        shop.recommend("ann", most_reasons=most)
    assert caught.value.violations[0].field == "most_reasons"


def test_every_answer_is_in_the_record_when_the_shop_is_closed(tmp_path: Any) -> None:
    """Whatever was gathered when it closed."""
    with visavis.open(tmp_path / "s.duckdb") as shop:
        shop.identify.record([Interaction("purchase", f"c{n}", f"i{n % 5}") for n in range(20)])
        shop.fit()
        asking = [f"c{n}" for n in range(20)]
        told: list[Any] = []

        def ask() -> None:
            for _ in range(10):
                told.extend(shop.customize.recommend_many(asking, 2))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with visavis.open(tmp_path / "s.duckdb") as shop, shop.store.cursor() as cursor:
        rows = cursor.execute("SELECT decision_id, rank, item_id, score FROM decision_log").fetchall()
    assert sorted(rows) == sorted(
        (answer.decision_id, item.rank, item.item_id, item.score) for answer in told for item in answer.items
    )
    assert len(told) == 600


def test_an_answer_after_closing_is_counted(tmp_path: Any) -> None:
    with visavis.open(tmp_path / "s.duckdb") as shop:
        shop.identify.record([Interaction("purchase", "ann", "tea")])
        shop.fit()
    assert shop.recommend("ann", 1, exclude_bought=False).items
    assert shop.customize.unrecorded == 1


def test_wordings_grow_for_others() -> None:
    wording = Wording((("kind", "text"),), "{count} more")
    assert wording.pairs() == [("kind", "text")]
    assert wording.pairs(5)[1 + 5] == (OTHERS, "5 more")
    assert wording.pairs(700)[1 + 700] == (OTHERS, "700 more")
    words, cuts, first = wording.utf8(700)
    start, stop = cuts[first[701] + 1], cuts[first[701] + 2]
    assert words[start:stop].tobytes() == b"700 more"
    for broken in ((None, "text"), ("kind", None), ("", "text")):
        with pytest.raises(ValueError, match="both must be texts"):
            Wording((broken,), "")  # type: ignore[arg-type]
