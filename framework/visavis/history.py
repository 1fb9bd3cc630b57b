"""What plugins see of the past: vocabularies and flat arrays, read-only.

Codes are small integers that stand for ids inside one process: a row of a vocabulary. They only ever grow, so
an array learned at fit time may be shorter than the vocabulary at request time; a scorer answers NaN for codes
that it has never seen. Times are int64 microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.kinds import KIND_RULES, KindRule

Array = NDArray[Any]

DAY = 86_400_000_000
"""Microseconds in a day."""

OLDEST = 900.0
"""Half-lives after which nothing fades any further."""


@dataclass(frozen=True, slots=True)
class KindColumns:
    """What each kind means, by its code: arrays [n_kinds], read-only.

    `weight` float64: how much one interaction says for its item. `half_life` float64, microseconds after which that is
    half as much (0: it does not fade). `hides` float64, microseconds for which its item stays hidden (0: not at all,
    infinite: for ever). `trains` bool: whether it is learned from.
    """

    weight: NDArray[np.float64]
    half_life: NDArray[np.float64]
    hides: NDArray[np.float64]
    trains: NDArray[np.bool_]


class KindTable:
    """The rules of kinds by name, as columns by code. Safe in several threads."""

    def __init__(self, rules: Mapping[str, KindRule] = KIND_RULES) -> None:
        self.rules = rules
        self._last: tuple[list[str], KindColumns] | None = None

    def columns(self, kinds: Sequence[str]) -> KindColumns:
        """The rule of each kind; made once, and again when there are more kinds."""
        names = kinds if isinstance(kinds, list) else list(kinds)
        last = self._last
        if last is None or last[0] != names:
            names = list(names)
            rules = [self.rules.get(name, KindRule()) for name in names]
            self._last = last = names, _columns_of(rules)
        return last[1]


KIND_TABLE = KindTable()
"""The table as it comes, without settings."""


@dataclass(frozen=True, slots=True)
class Csr:
    """A sparse matrix by rows: row r holds `indices[indptr[r]:indptr[r+1]]` with values `data` alongside.

    `indptr` int64 [n_rows + 1], `indices` int32 ascending within a row, `data` float64.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float64]
    n_columns: int

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1


def _no_names() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Items:
    """Items as columns. `codes` int32 [n] (−1 where an id is unknown), `ids` aligned with them.

    `price` float64 in minor units (NaN unknown), `available` bool, `group` int32 (items of one group share a
    number, −1 alone), `first_seen` int64 (0 unknown). `column(name)` gives a free attribute (or `category`,
    `brand`, `name`) as an object array with None where it is missing; `names()` says which free ones there are.
    """

    codes: NDArray[np.int32]
    ids: Sequence[str]
    price: NDArray[np.float64]
    available: NDArray[np.bool_]
    group: NDArray[np.int32]
    first_seen: NDArray[np.int64]
    read_column: Callable[[str, NDArray[np.int32]], Array]
    read_names: Callable[[], Sequence[str]] = _no_names

    def __len__(self) -> int:
        return len(self.codes)

    def names(self) -> Sequence[str]:
        """The free attributes that any item of the catalogue has, sorted. Reads them all: for fitting."""
        return self.read_names()

    def column(self, name: str) -> Array:
        """A free attribute of each item: object array [n], None where missing."""
        return self.read_column(name, self.codes)


@dataclass(frozen=True, slots=True)
class History:
    """All that was recorded, net of what was returned or erased; rows sorted by customer, then time.

    `customer` int32 (−1: nobody's, kept for baskets and popularity, sorted first), `item` int32 (−1: none),
    `kind` uint16 into `kinds`, `time` int64, `rating` float64 (NaN: none). `quantity` float64: of a purchase what was
    not returned (wholly returned ones are not there), of a return what found no purchase. `amount` float64 in minor
    units of `currency` (NaN: unknown), in proportion to that quantity. `basket` int64: rows of one order share a number
    (without an order id: one customer's rows of one day; a row of nobody's has its own).
    `n_customers` is the length of the customer vocabulary; `kind_table` says what kinds mean.
    """

    n_customers: int
    items: Items
    kinds: Sequence[str]
    now: int
    currency: str
    customer: NDArray[np.int32]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    amount: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]
    kind_table: KindTable = KIND_TABLE

    def __len__(self) -> int:
        return len(self.customer)

    def is_kind(self, *names: str) -> NDArray[np.bool_]:
        """bool [n_rows]: which rows are of one of these kinds."""
        return kind_among(self.kinds, self.kind, names)

    @property
    def meaning(self) -> KindColumns:
        """What each kind means, by code."""
        return self.kind_table.columns(self.kinds)

    def weights(self, by_kind: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """float64 [n_rows]: how much each row says for its item as of now, 0 where it has none. `by_kind`: by these
        weights instead of the table's; they do not fade."""
        return row_weights(self, by_kind)

    def training(self) -> History:
        """Without the rows of kinds that are not learned from; itself if there are none."""
        trains = self.meaning.trains
        if trains.all():
            return self
        keep = trains[self.kind]
        own: dict[str, Any] = {
            name: _read_only(getattr(self, name)[keep])
            for name in ("customer", "item", "kind", "time", "quantity", "amount", "rating", "basket")
        }
        return replace(self, **own)


@dataclass(frozen=True, slots=True)
class Customers:
    """The customers of one request with what each did up to this moment, oldest first.

    `codes` int32 [n] (−1: unknown). Customer r's rows are `indptr[r]:indptr[r+1]` (int64 [n + 1]) of `item`,
    `kind`, `time`, `quantity`, `rating`, `basket`, which mean what they mean in `History`, as does `kind_table`.
    """

    codes: NDArray[np.int32]
    ids: Sequence[str]
    kinds: Sequence[str]
    now: int
    indptr: NDArray[np.int64]
    item: NDArray[np.int32]
    kind: NDArray[np.uint16]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    rating: NDArray[np.float64]
    basket: NDArray[np.int64]
    kind_table: KindTable = KIND_TABLE

    def __len__(self) -> int:
        return len(self.codes)

    def is_kind(self, *names: str) -> NDArray[np.bool_]:
        """bool [n_rows]: which rows are of one of these kinds."""
        return kind_among(self.kinds, self.kind, names)

    @property
    def meaning(self) -> KindColumns:
        """What each kind means, by code."""
        return self.kind_table.columns(self.kinds)

    def weights(self, by_kind: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """float64 [n_rows]: how much each row says for its item as of now, 0 where it has none. `by_kind`: by these
        weights instead of the table's; they do not fade."""
        return row_weights(self, by_kind)

    def training(self) -> Customers:
        """Without the rows of kinds that are not learned from; itself if there are none."""
        trains = self.meaning.trains
        if trains.all():
            return self
        keep = trains[self.kind]
        own: dict[str, Any] = {
            name: _read_only(getattr(self, name)[keep])
            for name in ("item", "kind", "time", "quantity", "rating", "basket")
        }
        kept = np.concatenate([[0], np.cumsum(keep)])
        return replace(self, indptr=_read_only(kept[self.indptr]), **own)


@dataclass(frozen=True, slots=True)
class Changes:
    """What was recorded after a scorer learned: all that `Scorer.refreshed` needs to catch up.

    `customers` holds who did something since, each with all that he ever did; None if anybody may have. `everybody()`
    gives all customers, row r that of code r. Vocabularies have `n_customers` and `n_items`
    codes; what `everybody()` gives is read when it is called, and may know of more.
    """

    customers: Customers | None
    everybody: Callable[[], Customers]
    n_customers: int
    n_items: int


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What must not be recommended: `everywhere` bool [n_items] for all, and per customer r the item codes
    `indices[indptr[r]:indptr[r+1]]` (int64 [n + 1], int32)."""

    everywhere: NDArray[np.bool_]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Features:
    """What a segmenter labels: one row a customer. `columns[name]` is an array [n].

    Always there: `recency_days`, `frequency` (purchases on distinct orders), `monetary` (minor units, net of
    returns), `tenure_days`; float64, NaN for customers who never bought.
    """

    codes: NDArray[np.int32]
    ids: Sequence[str]
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]


def _read_only(array: Array) -> Array:
    """Plugins share it: what one of them wrote, all others would read."""
    array.flags.writeable = False
    return array


def kind_among(kinds: Sequence[str], kind: NDArray[np.uint16], names: Collection[str]) -> NDArray[np.bool_]:
    """bool [n_rows]: whether each row's kind is one of `names`."""
    table = np.array([name in names for name in kinds] or [False], dtype=np.bool_)
    return table[kind]


def row_weights(rows: History | Customers, by_kind: Mapping[str, float] | None = None) -> NDArray[np.float64]:
    """`weights` of a history or of customers."""
    if by_kind is not None:
        named = np.array([by_kind.get(name, 0.0) for name in rows.kinds] or [0.0], dtype=np.float64)
        return np.where(rows.item >= 0, named[rows.kind], 0.0)
    meaning = rows.meaning
    weight = np.where(rows.item >= 0, meaning.weight[rows.kind], 0.0) if len(rows.kind) else np.zeros(0)
    if meaning.half_life.any() and len(weight):
        half_life = meaning.half_life[rows.kind]
        fading = half_life > 0
        ages = np.maximum(rows.now - rows.time[fading], 0) / half_life[fading]
        # The floor keeps what was said a century ago above nothing at all.
        weight[fading] *= np.exp2(-np.minimum(ages, OLDEST))
    return weight


def _columns_of(rules: Sequence[KindRule]) -> KindColumns:
    columns = (
        np.array([rule.weight for rule in rules], dtype=np.float64),
        np.array([rule.half_life_days for rule in rules], dtype=np.float64) * DAY,
        np.array([rule.hides_days for rule in rules], dtype=np.float64) * DAY,
        np.array([rule.trains for rule in rules], dtype=np.bool_),
    )
    for column in columns:
        column.flags.writeable = False
    return KindColumns(*columns)


__all__ = [
    "DAY",
    "KIND_TABLE",
    "OLDEST",
    "Changes",
    "Csr",
    "Customers",
    "Exclusions",
    "Features",
    "History",
    "Items",
    "KindColumns",
    "KindTable",
    "kind_among",
    "row_weights",
]
