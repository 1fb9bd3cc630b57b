"""Answers to one request, in columns: what the wire, Python and the record of decisions are made from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from visavis import kernels
from visavis.customize.lists import Lists
from visavis.customize.reasons import Reasons
from visavis.customize.wording import ITEM
from visavis.live.catalog import Catalog
from visavis.live.labels import tagged, varint
from visavis.model import Reason, Recommendation, RecommendedItem

ID_BYTES = 16
"""Random bytes of a decision id; written as `d-` and their hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One list a customer, in the order asked.

    `identities` int32 (−1: nobody, or nobody that may be named); `ids` are `ID_BYTES` random bytes for each customer;
    `scorers` are names by the numbers in `lists.by`, 0 the one asked for. `at`: microseconds since 1970.
    """

    at: int
    generation: int
    customer_ids: Sequence[str]
    identities: NDArray[np.int32]
    ids: bytes
    scorers: tuple[str, ...]
    fallback_reasons: Sequence[str]
    lists: Lists
    reasons: Reasons
    catalog: Catalog

    def __len__(self) -> int:
        return len(self.customer_ids)

    @property
    def decision_ids(self) -> list[str]:
        """Names of the answers."""
        digits = self.ids.hex()
        return [f"d-{digits[at : at + 2 * ID_BYTES]}" for at in range(0, len(digits), 2 * ID_BYTES)]

    @property
    def leading(self) -> list[int]:
        """By number, the scorer whose items lead each list; of an empty list the one asked for."""
        leading: list[int] = self.lists.by[:, 0].tolist()
        return leading

    def rows(self) -> tuple[Recommendation, ...]:
        """As values of the model."""
        items, answers, end = self._items(), [], 0
        for customer_id, decision_id, first, counts, why in zip(
            self.customer_ids, self.decision_ids, self.leading, self.lists.counts.tolist(), self.fallback_reasons,
            strict=True,
        ):  # fmt: skip
            begin, end = end, end + sum(counts)
            answers.append(
                Recommendation(
                    customer_id,
                    decision_id,
                    self.scorers[first],
                    bool(why) and not counts[0],
                    why,
                    self.generation,
                    tuple(items[begin:end]),
                )
            )
        return tuple(answers)

    def wire(self) -> bytes:
        """As the bytes of a `BatchRecommendResponse`; of one customer they are a `RecommendResponse` as well."""
        return self._encoded()[0].tobytes()

    def wires(self) -> list[bytes]:
        """The bytes of a `RecommendResponse` for each customer."""
        encoded, begins = self._encoded()
        together = encoded.tobytes()
        return [together[begin:end] for begin, end in pairwise(begins.tolist())]

    def _encoded(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        ids = [customer_id.encode() for customer_id in self.customer_ids]
        reasons = self.reasons
        words, cuts, first_cut = reasons.wording.utf8(reasons.others)
        tails, tail_starts, tail = self._tails()
        labels, label_starts = self.catalog.labels()
        return kernels.encode_lists(
            _bytes(b"".join(ids)),
            _starts(ids),
            _bytes(self.ids),
            tails,
            tail_starts,
            tail,
            self.lists.items,
            self.lists.scores,
            self.lists.by,
            *_names(self.scorers),
            reasons.starts,
            reasons.template,
            reasons.item,
            reasons.amount,
            words,
            cuts,
            first_cut,
            labels,
            label_starts,
        )

    def _tails(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Fields 3 to 6 of the answers: those that there are, and which each has."""
        numbers: dict[tuple[int, bool, str], int] = {}
        tail = [
            numbers.setdefault((first, bool(why) and not own, why), len(numbers))
            for first, own, why in zip(
                self.leading, self.lists.counts[:, 0].tolist(), self.fallback_reasons, strict=True
            )
        ]
        tails, starts = _tails_of(tuple((self.scorers[first], *rest) for first, *rest in numbers), self.generation)
        return tails, starts, np.array(tail, dtype=np.int64)

    def _items(self) -> list[RecommendedItem]:
        """What was placed, list after list."""
        ids, name, n = self.catalog.ids.texts, self.catalog.name, self.lists.items.shape[1]
        codes, scores, by = (column.ravel() for column in self.lists[:3])
        places = np.flatnonzero(codes >= 0)
        said, starts = self._reasons(), self.reasons.starts.tolist()
        return [
            RecommendedItem(
                ids[item], name(item), place % n + 1, score, self.scorers[who], said[starts[place] : starts[place + 1]]
            )
            for place, item, score, who in zip(
                places.tolist(), codes[places].tolist(), scores[places].tolist(), by[places].tolist(), strict=True
            )
        ]

    def _reasons(self) -> tuple[Reason, ...]:
        ids, name, reasons = self.catalog.ids.texts, self.catalog.name, self.reasons
        words = reasons.wording.pairs(reasons.others)
        made = []
        for template, item, amount in zip(
            reasons.template.tolist(), reasons.item.tolist(), reasons.amount.tolist(), strict=True
        ):
            kind, text = words[template]
            if item < 0:
                made.append(Reason(kind, text.replace(ITEM, ""), amount))
            else:
                made.append(Reason(kind, text.replace(ITEM, name(item)), amount, ids[item], name(item)))
        return tuple(made)


def new_ids(count: int) -> bytes:
    """The random bytes of so many decision ids."""
    return os.urandom(count * ID_BYTES)


@lru_cache(maxsize=1024)
def _tails_of(tails: tuple[tuple[str, bool, str], ...], generation: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return _joined([_tail(*one, generation) for one in tails])


def _tail(scorer: str, fallback: bool, fallback_reason: str, generation: int) -> bytes:
    """Fields 3 to 6 of a `Recommendation`; what has its default is not written."""
    tail = tagged(0x1A, scorer)
    if fallback:
        tail += b"\x20\x01"
    return tail + tagged(0x2A, fallback_reason) + (b"\x30" + varint(generation) if generation else b"")


@lru_cache(maxsize=64)
def _names(scorers: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return _joined([tagged(0x2A, scorer) for scorer in scorers])


def _joined(pieces: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return _bytes(b"".join(pieces)), _starts(pieces)


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8)


def _starts(pieces: Sequence[bytes]) -> NDArray[np.int64]:
    return np.array([0, *accumulate(map(len, pieces))], dtype=np.int64)


__all__ = ["ID_BYTES", "Answers", "new_ids"]
