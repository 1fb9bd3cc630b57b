"""Labels against the texts that they are made of."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import visavis
from visavis import Interaction, Item
from visavis.live.labels import Labels

texts = st.text(st.characters(codec="utf-8"), max_size=9)


def read(labels: Labels, count: int) -> list[tuple[str, str]]:
    data, starts = labels.view
    found = []
    for at in starts[:count].tolist():
        first, second = data[at : at + 8].copy().view("<u4").tolist()
        told = data[at + 8 : at + 8 + first + second].tobytes()
        found.append((told[:first].decode(), told[first:].decode()))
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
