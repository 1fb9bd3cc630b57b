"""The front door: every name that `visavis` promises is there, and is what its home calls so."""

from __future__ import annotations

import importlib

import pytest

import visavis
from visavis import model


@pytest.mark.parametrize("name", visavis.__all__)
def test_every_promised_name_is_there(name: str) -> None:
    value = getattr(visavis, name)
    home = visavis._HOMES.get(name)
    if home is not None:
        assert value is getattr(importlib.import_module(f"visavis.{home}"), "open_engine" if name == "open" else name)


def test_lists_agree() -> None:
    assert {*visavis._HOMES, "__version__"} == set(visavis.__all__)
    assert visavis.__all__ == sorted(visavis.__all__)
    assert set(visavis.__all__) <= set(dir(visavis))


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'visavis' has no attribute 'nothing'"):
        _ = visavis.nothing


def test_values_read_well() -> None:
    items = tuple(model.RecommendedItem(f"i{n}", f"Item {n}", n, 1 / n, "popularity") for n in (1, 2))
    text = str(model.Recommendation("ann", "d-1", "popularity", True, "unknown_customer", 1, items))
    assert text.splitlines() == [
        "for ann by popularity (fall-back, not personal: unknown customer)",
        "  1  i1              1.0000  Item 1",
        "  2  i2              0.5000  Item 2",
    ]
    similar = model.SimilarItems("i0", "Item 0", "item_similarity", (model.SimilarItem("i1", "Item 1", 1, 0.5),))
    assert str(similar).splitlines() == ["like i0 Item 0 by item_similarity", "  1  i1              0.5000  Item 1"]
