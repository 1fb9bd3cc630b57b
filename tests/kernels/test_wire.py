from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels import reference

from visavis import kernels
from visavis.api.v1 import recommendation_service_pb2 as pb
from visavis.customize.wording import Wording
from visavis.errors import InvalidInput
from visavis.live.labels import Labels, tagged

names = st.text(st.characters(codec="utf-8"), max_size=5)
numbers = st.sampled_from([0.0, -0.0, 1.0, -2.5, float("nan"), float("inf"), 1e-300])


def pieces(texts: list[str]) -> tuple[Any, Any]:
    return joined([text.encode() for text in texts])


def joined(data: list[bytes]) -> tuple[Any, Any]:
    return np.frombuffer(b"".join(data), np.uint8), np.cumsum([0, *map(len, data)])


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    n_lists, n, n_items = draw(st.integers(0, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    words = draw(st.lists(st.tuples(names.filter(bool), st.text("ab{item}", min_size=1, max_size=9)), min_size=1))
    labels = [(draw(names), draw(names) * draw(st.sampled_from([1, 60]))) for _ in range(n_items)]
    items = np.full((n_lists, n), -1, np.int32)
    sizes = np.zeros((n_lists, n), np.int64)
    for row in range(n_lists):
        for place in range(draw(st.integers(0, n))):
            items[row, place] = draw(st.integers(0, n_items - 1))
            sizes[row, place] = draw(st.integers(0, 3))
    n_reasons = int(sizes.sum())
    filled = st.lists(st.integers(0, len(words) - 1), min_size=n_reasons, max_size=n_reasons)
    causes = st.lists(st.integers(-1, n_items - 1), min_size=n_reasons, max_size=n_reasons)
    ids, id_starts = pieces([draw(names) for _ in range(n_lists)])
    tails, tail_starts = joined(
        [
            pb.Recommendation(scorer=draw(names), fallback=draw(st.booleans())).SerializeToString()
            for _ in range(draw(st.integers(1, 3)))
        ]
    )
    utf8 = Wording(tuple(words), "").utf8()
    scorers, scorer_starts = joined([tagged(0x2A, name) for name in (draw(names), "popularity")])
    blob, label_starts = Labels(labels).view
    return {
        "ids": ids, "id_starts": id_starts,
        "decisions": np.frombuffer(draw(st.binary(min_size=16 * n_lists, max_size=16 * n_lists)), np.uint8),
        "tails": tails, "tail_starts": tail_starts,
        "tail": np.array([draw(st.integers(0, len(tail_starts) - 2)) for _ in range(n_lists)], np.int64),
        "items": items,
        "scores": np.array([draw(numbers) for _ in range(items.size)]).reshape(items.shape),
        "by": np.array([draw(st.integers(0, 1)) for _ in range(items.size)], np.int8).reshape(items.shape),
        "names": scorers, "name_starts": scorer_starts,
        "starts": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        "template": np.array(draw(filled), np.int32),
        "cause": np.array(draw(causes), np.int32),
        "amount": np.array([draw(numbers) for _ in range(n_reasons)], float),
        "words": utf8.words, "cuts": utf8.cuts, "first_cut": utf8.first_cut,
        "labels": blob, "label_starts": label_starts,
    }  # fmt: skip


@settings(derandomize=True, max_examples=60, deadline=None)
@given(columns())
def test_lists_are_written_like_their_twins(given_: dict[str, Any]) -> None:
    """Byte for byte what protobuf writes."""
    (found, begins), (expected, ends) = kernels.encode_lists(**given_), reference.encode_lists(**given_)
    assert found.tobytes() == expected.tobytes()
    assert begins.tolist() == ends.tolist()


def smallest() -> dict[str, Any]:
    utf8 = Wording((("kind", "text"),), "").utf8()
    blob, label_starts = Labels([("a", "A")]).view
    scorers, scorer_starts = joined([tagged(0x2A, "s")])
    tails, tail_starts = joined([b""])
    return {
        "ids": np.empty(0, np.uint8), "id_starts": np.zeros(2, np.int64), "decisions": np.zeros(16, np.uint8),
        "tails": tails, "tail_starts": tail_starts, "tail": np.zeros(1, np.int64), "items": np.zeros((1, 1), np.int32),
        "scores": np.ones((1, 1)), "by": np.zeros((1, 1), np.int8), "names": scorers, "name_starts": scorer_starts,
        "starts": np.array([0, 1]), "template": np.zeros(1, np.int32), "cause": np.zeros(1, np.int32),
        "amount": np.ones(1), "words": utf8.words, "cuts": utf8.cuts, "first_cut": utf8.first_cut,
        "labels": blob, "label_starts": label_starts[:1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"items": np.ones((1, 1), np.int32)}, "items"),
        ({"by": np.ones((1, 1), np.int8)}, "by"),
        ({"by": np.ones((1, 2), np.int8)}, "items"),
        ({"template": np.ones(1, np.int32)}, "by"),
        ({"cause": np.ones(1, np.int32)}, "items"),
        ({"label_starts": np.array([-1])}, "items"),
        ({"label_starts": np.array([3])}, "items"),
        ({"labels": np.array([3, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 10, 1, 65], np.uint8)}, "items"),
        ({"labels": np.array([0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 18, 1, 65], np.uint8)}, "items"),
        ({"label_starts": np.array([100])}, "items"),
        ({"ids": np.zeros(3, np.uint8), "id_starts": np.array([2, 1])}, "id_starts"),
        ({"id_starts": np.array([0, 1])}, "id_starts"),
        ({"decisions": np.zeros(15, np.uint8)}, "decisions"),
        ({"tail": np.ones(1, np.int64)}, "tail"),
        ({"tail_starts": np.array([0, 1])}, "tail"),
        ({"starts": np.array([0, 2])}, "starts"),
        ({"starts": np.array([1, 0])}, "starts"),
        ({"starts": np.zeros(3, np.int64)}, "starts"),
        ({"amount": np.ones(2)}, "amount"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], field: str) -> None:
    kernels.encode_lists(**smallest())
    with pytest.raises(InvalidInput) as caught:
        kernels.encode_lists(**(smallest() | options))
    assert caught.value.violations[0].field == field


def test_labels_may_be_replaced_while_lists_are_written() -> None:
    """Every item bears the old name or the new one, whole; what is measured is what is written."""
    n = 20_000
    labels = [("a", "A"), ("b", "B" * 300)]
    blob, places = Labels(labels).view
    starts, stop = places.copy(), threading.Event()
    columns = smallest() | {
        "items": np.zeros((1, n), np.int32), "scores": np.ones((1, n)), "by": np.zeros((1, n), np.int8),
        "starts": np.arange(n + 1), "template": np.zeros(n, np.int32), "cause": np.zeros(n, np.int32),
        "amount": np.ones(n), "labels": blob, "label_starts": starts,
    }  # fmt: skip
    kernels.encode_lists(**columns)

    def replace() -> None:
        while not stop.is_set():
            starts[0] = places[1]
            starts[0] = places[0]

    writer = threading.Thread(target=replace)
    writer.start()
    found = set()
    try:
        for _ in range(10):
            message = pb.BatchRecommendResponse.FromString(kernels.encode_lists(**columns)[0].tobytes())
            for item in message.recommendations[0].items:
                found.add((item.item_id, item.name))
                found.update((reason.item_id, reason.item_name) for reason in item.reasons)
    finally:
        stop.set()
        writer.join()
    assert found <= set(labels)
