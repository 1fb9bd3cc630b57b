"""`content`: which attributes count, how much, for whom, and what is said of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.plugins.scorers.truth import check_reasons_by_removal

from visavis import Item, Items
from visavis.engine import Engine
from visavis.model import Interaction
from visavis.plugin.options import build_options
from visavis.testing import Event, make_customers, make_exclusions, make_history, make_items
from visavis_plugins.scorers.content import Content

ATTRIBUTES: dict[str, list[object]] = {
    "category": ["tea", "tea", "tea", "cup", "cup", None],
    "brand": ["Ito", "Lin", "Ito", "Ito", "", "Lin"],
    "colour": [("red", "green"), None, ("green", "green"), "green", "blue", float("nan")],
    "sku": ["a", "b", "c", "d", "e", "f"],
}


def catalogue(n: int = 6) -> Items:
    return make_items(n, attributes={name: values[:n] for name, values in ATTRIBUTES.items()})


def fitted(items: Items, **options: object) -> Content:
    return Content(build_options(Content, options)).fit(make_history([], items=items))


def plain(liked: dict[int, float], attributes: list[str], n: int = 6, counted: int = 6) -> list[float]:
    """The definition, with sets; rarities by the first `counted` items."""
    tokens: list[set[tuple[str, object]]] = []
    for item in range(n):
        own = set()
        for name in attributes:
            value = ATTRIBUTES[name][item]
            for one in value if isinstance(value, tuple) else (value,):
                if one and one == one:
                    own.add((name, one))
        tokens.append(own)
    having = {token: sum(token in own for own in tokens[:counted]) for own in tokens for token in own}
    rare = {token: math.log(counted / count) for token, count in having.items() if 1 < count < counted}
    vectors = []
    for own in tokens:
        length = math.sqrt(sum(rare[token] ** 2 for token in own if token in rare))
        vectors.append({token: rare[token] / length for token in own if token in rare})
    scores = []
    for item in range(n):
        shares = [
            weight * sum(vectors[one][token] * vectors[item].get(token, 0.0) for token in vectors[one])
            for one, weight in liked.items()
            if vectors[one].keys() & vectors[item].keys()
        ]
        scores.append(sum(shares) if shares and item not in liked else math.nan)
    return scores


@pytest.mark.parametrize("attributes", [["category"], ["brand", "colour"], ["category", "brand", "colour", "sku"]])
def test_equals_the_plain_definition(attributes: list[str]) -> None:
    scorer = fitted(catalogue(), attributes=tuple(attributes))
    customers = make_customers([Event(0, 0), Event(0, 3, "view"), Event(1, 5)], [0, 1, -1])
    scores = scorer.score(customers, catalogue())
    np.testing.assert_allclose(scores[0], plain({0: 1.0, 3: 0.2}, attributes), rtol=1e-12)
    np.testing.assert_allclose(scores[1], plain({5: 1.0}, attributes), rtol=1e-12)
    assert np.isnan(scores[2]).all()


def test_all_attributes_count_unless_some_are_named() -> None:
    assert fitted(catalogue()).columns_.tolist() == ["category", "brand", "colour", "sku"]
    assert fitted(catalogue(), attributes=("colour", "none")).columns_.tolist() == ["colour"]
    many = make_items(3, attributes={f"a{n:02d}": ["x", None, "y" if n else None] for n in range(60)})
    names = fitted(many).columns_.tolist()
    assert len(names) == 50
    assert "a00" not in names
    with pytest.raises(ValueError, match="name at most 50"):
        Content.Options(attributes=("x",) * 51)


def test_values_of_different_attributes_and_types_are_different() -> None:
    items = make_items(4, attributes={"a": ["x", "x", None, None], "b": [None, None, "x", "x"]})
    scores = fitted(items).score(make_customers([Event(0, 0)], [0]), items)[0]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [1]
    items = make_items(5, attributes={"a": [True, 1, "1", True, 1]})
    scores = fitted(items).score(make_customers([Event(0, 0)], [0]), items)[0]
    assert np.flatnonzero(~np.isnan(scores)).tolist() == [3]


def test_an_item_newer_than_the_fit_is_compared_too() -> None:
    scorer, now = fitted(catalogue(5), attributes=("category", "brand", "colour")), catalogue()
    # Brand Lin was one item's only: no feature, so that item 5 has none; item 4 is known.
    customers = make_customers([Event(0, 1)], [0])
    assert np.isnan(scorer.score(customers, now)[0, 5])
    ATTRIBUTES["category"][5] = "tea"
    try:
        codes, scores = scorer.top(customers, catalogue(), 6, make_exclusions(6, [()]))
        expected = plain({1: 1.0}, ["category", "brand", "colour"], counted=5)
        assert 5 in codes[0].tolist()
        np.testing.assert_allclose(scorer.score(customers, catalogue())[0], expected, rtol=1e-12)
        told = scorer.explain(customers, codes, scores)[0]
        for parts, score in zip(told, scores[0].tolist(), strict=True):
            assert math.isnan(score) or sum(part.amount for part in parts) == pytest.approx(score, abs=1e-12)
    finally:
        ATTRIBUTES["category"][5] = None


def test_reasons_say_what_is_alike() -> None:
    scorer, customers = fitted(catalogue()), make_customers([Event(0, 0), Event(0, 4, "view")], [0])
    chosen = np.array([[2, 3]], dtype=np.int32)
    told = scorer.explain(customers, chosen, scorer.score(customers, catalogue())[:, [2, 3]])[0]
    assert [[(part.kind, part.text, part.item) for part in parts] for parts in told] == [
        [("alike", "like {item}: same category, brand, colour", 0)],
        [("alike", "like {item}: same brand, colour", 0), ("alike", "like {item}: same category", 4)],
    ]


def test_removing_a_cause_lowers_the_score_by_its_amount() -> None:
    events = [Event(0, 0), Event(0, 3, "cart"), Event(0, 5, "view")]
    check_reasons_by_removal(fitted(catalogue()), events, catalogue())


def test_attributes_of_a_store_are_found(shop: Engine) -> None:
    shop.identify.upsert_items(
        [
            Item(f"i{n}", attributes={"line": "north" if n % 2 else "south", "weight {g}": 2.5 * (n // 3)})
            for n in range(6)
        ]
    )
    shop.identify.record([Interaction("purchase", "c", "i1"), Interaction("purchase", "d", "i0")])
    shop.fit()
    assert shop.live.catalog.whole().names() == ["line", "weight {g}"]
    shop.identify.upsert_items([Item("new", attributes={"line": "north"})])
    answer = shop.recommend("c", 6, scorer="content", most_reasons=5)
    assert [item.item_id for item in answer.items if item.scorer == "content"] == ["new", "i0", "i2", "i3", "i5"]
    new = next(item for item in answer.items if item.item_id == "new")
    assert [(reason.text, reason.item_id) for reason in new.reasons] == [("like i1: same line", "i1")]
