from __future__ import annotations

import numpy as np
import pytest

from visavis.store.texts import Texts

SOME = ["", "ann", "é🍵", "", "x" * 70]


def test_texts_are_what_they_were_made_of() -> None:
    texts = Texts.of(SOME)
    assert list(texts) == SOME == [texts[place] for place in range(5)] == texts[:]
    assert (texts[-1], texts[1:3], len(texts)) == (SOME[-1], SOME[1:3], 5)
    assert "ann" in texts
    assert "bob" not in texts
    assert texts == Texts.of(list(SOME))
    assert texts != Texts.of(SOME[1:])
    with pytest.raises(IndexError, match="there are 5 texts"):
        texts[5]
    with pytest.raises(UnicodeEncodeError):
        Texts.of(["\ud800"])


def test_some_are_taken_in_any_order() -> None:
    texts = Texts.of(SOME)
    assert list(texts.take(np.array([4, 0, 2, 2]))) == [SOME[4], "", SOME[2], SOME[2]]
    assert list(texts.take(np.zeros(3, dtype=np.int64))) == ["", "", ""]
    assert list(Texts.of(["a"]).take(np.zeros(2, dtype=np.int64))) == ["a", "a"]
    assert list(texts.take(np.empty(0, dtype=np.int64))) == []
    assert list(Texts.empty(2)) == ["", ""]


@pytest.mark.parametrize("long", [False, True])
def test_texts_fit_by_their_characters(long: bool) -> None:
    """Also where one has more bytes than characters are allowed, and all are counted."""
    more = ["é" * 40] if long else []
    for text, good in (
        ("a", True),
        ("x" * 40, True),
        ("x" * 41, False),
        ("", False),
        ("a\x1fb", False),
        ("\x7f", False),
    ):
        assert Texts.of([*more, "ann", text, "bob"]).fit(40) is good, text
    assert Texts.empty(0).fit(1)


def test_lists_and_texts_are_joined() -> None:
    assert list(Texts.joined([Texts.of(SOME), ["b", ""], Texts.empty(1), []])) == [*SOME, "b", "", ""]
