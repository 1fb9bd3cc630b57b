"""Labels against the texts that they are made of."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import visavis
from visavis import Interaction, Item
from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.live.labels import Bytes, Labels

texts = st.text(st.characters(codec="utf-8"), max_size=9)


def read(labels: Labels, count: int) -> list[tuple[str, str]]:
    data, starts = labels.view
    found = []
    for at in starts[:count].tolist():
        first, second, name = data[at : at + 12].copy().view("<u4").tolist()
        told = data[at + 12 : at + 12 + first + second].tobytes()
        item = pb.RecommendedItem.FromString(told)
        assert item.SerializeToString() == told
        assert (len(item.name.encode()), len(pb.RecommendedItem(name=item.name).SerializeToString())) == (name, second)
        found.append((item.item_id, item.name))
    return found


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, texts), max_size=5), st.lists(st.tuples(st.integers(0, 30), texts, texts)))
def test_labels_are_what_was_put_last(first: list[tuple[str, str]], changes: list[tuple[int, str, str]]) -> None:
    labels, expected = Labels(first), list(first)
    for code, item_id, name in changes:
        code = min(code, len(expected))
        labels.put(code, item_id, name)
        expected[code : code + 1] = [(item_id, name)]
        assert read(labels, len(expected)) == expected
        assert len(labels.view[1]) == len(expected)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, texts), max_size=5), st.lists(st.tuples(st.integers(0, 30), texts, texts)))
def test_what_a_reader_holds_is_never_overwritten(
    first: list[tuple[str, str]], changes: list[tuple[int, str, str]]
) -> None:
    labels, count = Labels(first), len(first)
    held: list[tuple[Bytes, int, bytes]] = []
    for code, item_id, name in changes:
        data, starts = labels.view
        for at in starts.tolist():
            size = 12 + int(data[at : at + 8].copy().view("<u4").sum())
            held.append((data, at, data[at : at + size].tobytes()))
        code = min(code, count)
        labels.put(code, item_id, name)
        count = max(count, code + 1)
    assert all(data[at : at + len(label)].tobytes() == label for data, at, label in held)


def test_what_is_renamed_over_and_over_takes_no_more_memory() -> None:
    labels = Labels([("a", "A"), ("b", "B")])
    for number in range(10_000):
        labels.put(0, "a", str(number))
    assert len(labels.view[0]) < 1_000
    assert read(labels, 2) == [("a", "9999"), ("b", "B")]


def test_a_reader_meets_whole_labels() -> None:
    labels, broken, done = Labels([("id", "x")]), [], threading.Event()

    def look() -> None:
        while not done.is_set():
            ((item_id, name),) = read(labels, 1)
            if item_id != "id" or len(set(name)) != 1:
                broken.append(name)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(3_000):
        labels.put(0, "id", "xyz"[number % 3] * (1 + number % 40))
        labels.put(number + 1, "other", "o")
    done.set()
    reader.join()
    assert not broken


def test_the_catalogue_keeps_them(tmp_path: object) -> None:
    with visavis.open(f"{tmp_path}/s.duckdb", linger_ms=0) as shop:
        shop.identify.upsert_items([Item("a", "Apfel"), Item("b")])
        _, starts = shop.live.catalog.labels()
        assert starts.dtype == np.int64
        shop.identify.upsert_items([Item("b", "Birne 🍐")])
        shop.identify.record([Interaction("view", "ann", "new")])
        labels = shop.live.catalog._labels
        assert labels is not None
        assert read(labels, 3) == [("a", "Apfel"), ("b", "Birne 🍐"), ("new", "new")]


def test_an_item_that_is_found_has_its_label(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a commit puts the label of a new item, no row leads to the item yet."""
    with visavis.open(f"{tmp_path}/s.duckdb", linger_ms=0) as shop:
        shop.identify.upsert_items([Item("a")])
        catalog = shop.live.catalog
        catalog.labels()
        put, seen = Labels.put, []

        def looked_at(self: Labels, code: int, item_id: str, name: str) -> None:
            seen.append((len(catalog), len(self.view[1])))  # as another thread may at this very moment
            put(self, code, item_id, name)
            seen.append((len(catalog), len(self.view[1])))

        monkeypatch.setattr(Labels, "put", looked_at)
        shop.identify.upsert_items([Item("b"), Item("c")])
        assert seen == [(1, 1), (1, 2), (2, 2), (2, 3)]


def test_labels_made_during_a_commit_lack_nothing(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with visavis.open(f"{tmp_path}/s.duckdb", linger_ms=0) as shop:
        shop.identify.upsert_items([Item("a")])
        catalog, askers = shop.live.catalog, []
        group_code = catalog._group_code

        def ask(group_id: str) -> int:
            askers.append(threading.Thread(target=catalog.labels))
            askers[-1].start()
            askers[-1].join(0.05)
            return group_code(group_id)

        monkeypatch.setattr(catalog, "_group_code", ask)
        shop.identify.upsert_items([Item("a", "Apfel"), Item("b"), Item("c")])
        for asker in askers:
            asker.join()
        assert catalog._labels is not None
        assert read(catalog._labels, 3) == [("a", "Apfel"), ("b", "b"), ("c", "c")]
