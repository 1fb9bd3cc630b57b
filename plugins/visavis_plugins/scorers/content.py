"""`content`: items that share their attributes with what this customer likes, new ones that nobody bought included."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from visavis import Contribution, Customers, Exclusions, History, Items, ReasonColumns, Scorer, hookimpl, kernels
from visavis_plugins.scorers._sparse import SparseScores, ragged
from visavis_plugins.scorers._tastes import LiveTastes, Tastes

_MOST_COLUMNS = 50
_MOST_NAMED = 3
"""Attributes that a reason names."""


class _Vectors(NamedTuple):
    """CSR: item r has the features `feature[indptr[r]:indptr[r+1]]` (ascending) with `weight`, of length 1 together."""

    indptr: NDArray[np.int64]
    feature: NDArray[np.int32]
    weight: NDArray[np.float64]


_Fresh = dict[int, tuple[NDArray[np.int32], NDArray[np.float64]]]


class Content(Scorer):
    """Items like those that the customer bought, looked at or liked, by their attributes.

    Each value of an attribute that at least two items have, and not all, is a feature; it weighs ln(items / items with
    it), and the features of an item make a vector of length 1. Score of item j = Σ over the customer's items i of
    weight_i · (vector_i · vector_j). What he has shown a liking for already gets no opinion, and neither does what
    shares no feature with it. An item that came after the fit is compared by the features known then.
    """

    name: ClassVar[str] = "content"
    mode: ClassVar[Literal["fitted", "live"]] = "fitted"
    others: ClassVar[str] = "and {count} other items of yours"

    @dataclass(frozen=True)
    class Options:
        """What is compared."""

        attributes: tuple[str, ...] = field(
            default=(),
            metadata={"doc": "attributes compared, 50 at most; none named: category, brand and all free ones"},
        )

        def __post_init__(self) -> None:
            if len(self.attributes) > _MOST_COLUMNS:
                raise ValueError(f"attributes names {len(self.attributes)}; name at most {_MOST_COLUMNS}")

    options: Options
    columns_: NDArray[np.str_]
    hashes_: NDArray[np.uint64]
    rarity_: NDArray[np.float64]
    column_of_: NDArray[np.int8]
    starts_: NDArray[np.int64]
    features_: NDArray[np.int32]
    weights_: NDArray[np.float64]

    _kept: tuple[Items, NDArray[np.float64], _Vectors] | None = None
    """A catalogue, the weights of the fit, and the items of each feature in place of the features of each item."""

    def __init__(self, options: object | None = None) -> None:
        super().__init__(options)
        self._live = LiveTastes()
        self._later: tuple[object, _Fresh] = (None, {})
        """What was learned, and vectors of items that came after it, as they were read last: reasons are asked for
        without the items."""

    def fit(self, history: History) -> Self:
        """Learn the features and the vector of each item of the catalogue; interactions are not looked at."""
        items = history.items
        names = list(dict.fromkeys(self.options.attributes or ("category", "brand", *items.names())))
        read = {name: _tokens(items, name, items.codes) for name in names}
        # The attributes that most items have, if there are too many.
        names = sorted(names, key=lambda name: -len(np.unique(read[name][0])))[:_MOST_COLUMNS]
        names = [name for name in read if name in names and len(read[name][0])]
        item = np.concatenate([np.empty(0, dtype=np.int32), *(read[name][0] for name in names)])
        hashes = np.concatenate([np.empty(0, dtype=np.uint64), *(read[name][1] for name in names)])
        column = np.repeat(np.arange(len(names)), [len(read[name][0]) for name in names])
        # An item counts once for each value, however often it says it.
        pairs = np.unique(np.stack([hashes, item.astype(np.uint64)], axis=1), axis=0)
        values, count = np.unique(pairs[:, 0], return_counts=True)
        says = (count > 1) & (count < len(items))
        self.columns_ = np.array(names, dtype=np.str_)
        self.hashes_ = values[says]
        self.rarity_ = np.log(len(items) / count[says])
        found, first = np.unique(hashes, return_index=True)
        self.column_of_ = column[first[np.searchsorted(found, self.hashes_)]].astype(np.int8)
        feature = np.searchsorted(self.hashes_, pairs[:, 0]).clip(max=max(len(self.hashes_) - 1, 0))
        known = says[np.searchsorted(values, pairs[:, 0])]
        self.starts_, self.features_, self.weights_ = _vectors(
            pairs[known, 1].astype(np.int32), feature[known].astype(np.int32), self.rarity_, len(items)
        )
        # read-only as after `restore`: many threads read it
        for array in (self.hashes_, self.rarity_, self.column_of_, self.starts_, self.features_, self.weights_):
            array.flags.writeable = False
        return self

    def score(self, customers: Customers, candidates: Items) -> NDArray[np.float64]:
        """NaN where nothing is shared."""
        tastes, profiles = self._profiles(customers)
        codes = candidates.codes
        by_feature = kernels.transpose(*self._vectors_of(candidates), len(self.rarity_))
        shared = SparseScores(*kernels.add_rows(*_parts(profiles), *by_feature, len(codes)))
        scores = shared.of(np.arange(len(codes), dtype=np.int32))
        for row in range(len(customers)):
            scores[row, np.isin(codes, tastes.item[tastes.indptr[row] : tastes.indptr[row + 1]])] = np.nan
        return scores

    def top(
        self, customers: Customers, items: Items, n: int, exclude: Exclusions
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Visits only items that share a feature with what the customer likes."""
        tastes, profiles = self._profiles(customers)
        kept = self._kept
        if kept is None or kept[0] is not items or kept[1] is not self.rarity_:
            by_feature = _Vectors(*kernels.transpose(*self._vectors_of(items), len(self.rarity_)))
            self._kept = kept = items, self.rarity_, by_feature
        # Nor what the customer likes already.
        hidden = np.concatenate([tastes.item, exclude.indices])
        owner = np.concatenate([tastes.owner, np.repeat(np.arange(len(customers)), np.diff(exclude.indptr))])
        order = np.argsort(owner, kind="stable")
        indptr = tastes.indptr + exclude.indptr
        codes, scores = kernels.top_of_rows(*_parts(profiles), *kept[2], exclude.everywhere, indptr, hidden[order], n)
        return codes, scores

    def explain(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[list[Sequence[Contribution]]]:
        """Which of the customer's items it is like, and in what."""
        return self.explain_columns(customers, chosen, scores).lists(len(customers))

    def explain_columns(
        self, customers: Customers, chosen: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> ReasonColumns:
        """The same in columns."""
        tastes, _ = self._profiles(customers)
        # The features of what the customer likes, in the order of customer and feature.
        liked, place = self._features_at(tastes.item)
        width = len(self.rarity_)
        keys = tastes.owner[liked].astype(np.int64) * width + self.features_[place]
        order = np.argsort(keys, kind="stable")
        keys, liked, place = keys[order], liked[order], place[order]
        # The features of what was chosen, each with all that share it.
        vectors = self._vectors_by_code(chosen.ravel())
        spot = np.repeat(np.arange(chosen.size), np.diff(vectors.indptr))
        wanted = spot // max(chosen.shape[1], 1) * width + vectors.feature
        first, last = np.searchsorted(keys, wanted, side="left"), np.searchsorted(keys, wanted, side="right")
        line, at = ragged(first, last - first)
        spot, entry = spot[line], liked[at]
        amount = tastes.value[entry] * self.weights_[place[at]] * vectors.weight[line]
        # What he likes himself gets no opinion.
        strange = np.isfinite(scores.ravel())[spot] & (tastes.item[entry] != chosen.ravel()[spot])
        spot, entry, amount, line = spot[strange], entry[strange], amount[strange], line[strange]
        summed = SparseScores.summed(spot, entry.astype(np.int32), amount, chosen.size)
        alike = np.zeros(len(summed.item), dtype=np.int64)
        bit = np.int64(1) << self.column_of_[vectors.feature[line]].astype(np.int64)
        np.bitwise_or.at(alike, summed.entries(spot, entry), bit)
        order = np.lexsort((-summed.value, summed.owner))
        kinds, template = np.unique(alike[order], return_inverse=True)
        return ReasonColumns(
            tuple(self._words(kind) for kind in kinds.tolist()),
            summed.indptr.astype(np.int64),
            template.astype(np.int32),
            tastes.item[summed.item[order]],
            summed.value[order],
        )

    def _profiles(self, customers: Customers) -> tuple[Tastes, SparseScores]:
        """What each customer likes, and how much of each feature is in it."""
        tastes = self._live.of(customers, "presence")
        return tastes, SparseScores(
            *kernels.add_rows(
                tastes.indptr, tastes.item, tastes.value, self.starts_, self.features_, self.weights_, len(self.rarity_)
            )
        )

    def _features_at(self, codes: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The features of items that the fit knew: the place in `codes` of each, and its place in `features_`."""
        known = (codes >= 0) & (codes < len(self.starts_) - 1)
        begins = np.where(known, self.starts_[np.where(known, codes, 0)], 0)
        ends = np.where(known, self.starts_[np.where(known, codes, -1) + 1], 0)
        return ragged(begins, ends - begins)

    def _vectors_of(self, items: Items) -> _Vectors:
        """The vectors of any items; those that came after the fit are read, and remembered."""
        fresh = np.flatnonzero(items.codes >= len(self.starts_) - 1)
        if len(fresh):
            codes = np.ascontiguousarray(items.codes[fresh])
            read = [_tokens(items, str(name), codes) for name in self.columns_]
            place = np.concatenate([np.empty(0, dtype=np.int32), *(item for item, _ in read)])
            hashes = np.concatenate([np.empty(0, dtype=np.uint64), *(tokens for _, tokens in read)])
            feature = np.searchsorted(self.hashes_, hashes).clip(max=max(len(self.hashes_) - 1, 0))
            known = self.hashes_[feature] == hashes if len(self.hashes_) else np.zeros(len(hashes), dtype=np.bool_)
            made = _vectors(place[known], feature[known].astype(np.int32), self.rarity_, len(codes))
            later = self._fresh()
            for row, code in enumerate(codes.tolist()):
                own = slice(int(made.indptr[row]), int(made.indptr[row + 1]))
                later[code] = made.feature[own], made.weight[own]
        return self._vectors_by_code(items.codes)

    def _vectors_by_code(self, codes: NDArray[np.int32]) -> _Vectors:
        """The vectors of items of the fit, and of later ones as they were read last."""
        place, at = self._features_at(codes)
        sizes = np.bincount(place, minlength=len(codes))
        feature, weight = self.features_[at], self.weights_[at]
        later, fresh = self._fresh(), np.flatnonzero(codes >= len(self.starts_) - 1)
        if known := [(spot, later[int(codes[spot])]) for spot in fresh.tolist() if int(codes[spot]) in later]:
            place = np.concatenate([place, *(np.full(len(vector[0]), spot) for spot, vector in known)])
            order = np.argsort(place, kind="stable")
            feature = np.concatenate([feature, *(vector[0] for _, vector in known)])[order]
            weight = np.concatenate([weight, *(vector[1] for _, vector in known)])[order]
            sizes = np.bincount(place, minlength=len(codes))
        return _Vectors(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), feature, weight)

    def _fresh(self) -> _Fresh:
        # What was read for another fit was told by other features.
        if self._later[0] is not self.hashes_:
            self._later = self.hashes_, {}
        return self._later[1]

    def _words(self, alike: int) -> tuple[str, str]:
        """Kind and text of a reason, by the bits of the attributes that are alike."""
        names = [str(name) for place, name in enumerate(self.columns_) if alike >> place & 1]
        more = len(names) - _MOST_NAMED
        said = ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return "alike", "like {item}: same " + said.replace("{", "(").replace("}", ")")


def _tokens(items: Items, name: str, codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """The values of one attribute: the place in `codes` of each, and a hash of name and value. Lists have several."""
    place: list[int] = []
    hashes: list[int] = []
    known: dict[object, int] = {}
    for row, value in enumerate(items.read_column(name, codes).tolist()):
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is None or one == "" or one != one:
                continue
            key = type(one), one
            if key not in known:
                text = f"{name}\x1f{type(one).__name__}\x1f{one}".encode("utf-8", "surrogatepass")
                known[key] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
            place.append(row)
            hashes.append(known[key])
    return np.array(place, dtype=np.int32), np.array(hashes, dtype=np.uint64)


def _vectors(
    item: NDArray[np.int32], feature: NDArray[np.int32], rarity: NDArray[np.float64], n_items: int
) -> _Vectors:
    """Vectors of length 1 of items 0 … n_items − 1, from entries in any order; one that stands twice counts once."""
    starts, features, _ = kernels.build_csr(item, feature, np.ones(len(item)), n_items, len(rarity))
    weight = rarity[features]
    owner = np.repeat(np.arange(n_items), np.diff(starts))
    length = np.sqrt(np.bincount(owner, weights=weight**2, minlength=n_items))
    return _Vectors(starts, features, weight / length[owner])


def _parts(rows: SparseScores) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    return rows.indptr, rows.item, rows.value


@hookimpl
def visavis_scorers() -> list[type[Scorer]]:
    """The scorer of this module."""
    return [Content]


__all__ = ["Content", "visavis_scorers"]
