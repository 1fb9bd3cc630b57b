"""Items as columns, read while they are written."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from visavis import Interaction, Item, Money
from visavis.engine import Engine
from visavis.live.vocabulary import GrowingArray, Vocabulary


def test_columns_are_aligned_with_codes(shop: Engine) -> None:
    shop.identify.upsert_items(
        [
            Item("a", "A", "g1", "tea", "x", Money(100, "EUR"), attributes={"k": "v"}),
            Item("b", group_id="g2", available=False),
            Item("c", group_id="g1", price=Money(0, "EUR")),
        ]
    )
    items = shop.live.catalog.items(np.array([2, -1, 0, 1], dtype=np.int32))
    assert items.ids == ["c", "", "a", "b"]
    np.testing.assert_array_equal(items.price, [0.0, np.nan, 100.0, np.nan])
    assert items.available.tolist() == [True, False, True, False]
    assert items.group.tolist() == [0, -1, 0, 1]
    assert (items.first_seen > 0).tolist() == [True, False, True, True]
    assert items.column("k").tolist() == [None, None, "v", None]
    assert items.column("category").tolist() == [None, None, "tea", None]
    assert len(shop.live.catalog.items(np.empty(0, np.int32))) == 0


def test_the_whole_catalogue_is_never_stale(shop: Engine) -> None:
    """After each acknowledged change the whole shows it, however many readers were at it meanwhile."""
    shop.identify.upsert_items([Item("a"), Item("b")])
    stop = threading.Event()
    broken: list[object] = []

    def read() -> None:
        while not stop.wait(0.0005):
            whole = shop.live.catalog.whole()
            if not len(whole) == len(whole.ids) == len(whole.price) == len(whole.column("name")):
                broken.append(whole)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    stale = 0
    for number in range(40):
        available = bool(number % 2)
        shop.identify.upsert_items([Item("a", available=available), Item(f"n{number}")])
        stale += shop.live.catalog.whole().available[0] != available
    stop.set()
    for reader in readers:
        reader.join()
    assert not broken
    assert stale == 0


def test_whoever_finds_a_code_finds_the_item(shop: Engine) -> None:
    shop.identify.upsert_items([Item("seed")])
    stop = threading.Event()
    broken: list[object] = []
    newest = ["seed"]

    def read() -> None:
        while not stop.wait(0.0005):
            code = shop.live.catalog.ids.find(newest[0])
            try:
                if code >= 0 and shop.live.catalog.row(code).item_id not in shop.live.catalog.ids.texts:
                    broken.append(code)
            except IndexError as error:
                broken.append(error)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(20):
        newest[0] = f"n{number}"
        shop.identify.upsert_items([Item(f"n{number}"), *(Item(f"m{number}-{n}") for n in range(20))])
    stop.set()
    for reader in readers:
        reader.join()
    assert not broken


def test_what_was_made_of_the_catalogue_outlives_a_record(shop: Engine) -> None:
    """Most interactions are with known items; the masks of filters hang on the whole catalogue."""
    shop.identify.upsert_items([Item("a"), Item("b")])
    whole = shop.live.catalog.whole()
    shop.identify.record([Interaction("view", "ann", "a"), Interaction("search", "ann")])
    assert shop.live.catalog.whole() is whole
    shop.identify.record([Interaction("view", "ann", "c")])
    assert shop.live.catalog.whole().ids == ["a", "b", "c"]
    shop.identify.upsert_items([Item("a", available=False)])
    assert shop.live.catalog.whole().available.tolist() == [False, True, True]


def test_attributes_are_read_once(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.identify.upsert_items([Item(name, attributes={"k": name, "sizes": ("s", "m")}) for name in "abc"])
    real, read = json.loads, []

    def loads(text: str) -> object:
        read.append(text)
        return real(text)

    monkeypatch.setattr("visavis.live.catalog.json.loads", loads)
    for _ in range(3):
        assert shop.live.catalog.whole().column("k").tolist() == ["a", "b", "c"]
        assert shop.live.catalog.whole().column("sizes").tolist() == [("s", "m")] * 3
    assert len(read) == 3
    shop.identify.upsert_items([Item("b", attributes={"k": "new"})])
    read.clear()
    assert shop.live.catalog.whole().column("k").tolist() == ["a", "new", "c"]
    assert len(read) == 1


def test_a_found_code_is_in_the_whole_catalogue(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.identify.upsert_items([Item("a")])
    catalog = shop.live.catalog
    assert len(catalog.whole()) == 1
    seen: list[tuple[int, int]] = []
    real = catalog.ids.commit_codes

    def commit_codes() -> None:
        real()
        # Another thread may ask at this very moment.
        seen.append((catalog.ids.find("b"), len(catalog.whole())))

    monkeypatch.setattr(catalog.ids, "commit_codes", commit_codes)
    shop.identify.upsert_items([Item("b")])
    assert seen == [(1, 2)]


def test_a_vocabulary_shows_only_what_was_committed() -> None:
    words = Vocabulary(["a"])
    assert words.encode("a") == (0, False)
    assert words.encode("b") == (1, True)
    assert words.encode("b") == (1, False)
    assert (words.find("b"), words.holds("b"), len(words)) == (-1, True, 1)
    words.rollback()
    assert (words.encode("c"), words.holds("b")) == ((1, True), False)
    words.commit()
    assert (words.find("c"), words.texts) == (1, ["a", "c"])


def test_an_array_grows_without_losing_anything() -> None:
    array = GrowingArray(np.array([1, 2], dtype=np.int32))
    early = array.view
    array.set(5, 9)
    array.extend([7] * 100)
    array.extend([])
    array.set(0, 4)
    assert array.view[:7].tolist() == [4, 2, 9, 9, 9, 9, 7]
    assert len(array) == 106
    assert early.tolist() == [1, 2]
    assert array[1] == 2
