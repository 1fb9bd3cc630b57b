"""What plugins see of the past: vocabularies and flat arrays, read-only.

Codes are small integers that stand for ids inside one process: a row of a vocabulary. They only ever grow, so
an array learned at fit time may be shorter than the vocabulary at request time; a scorer answers NaN for codes
that it has never seen. Times are int64 microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DAY = 86_400_000_000
"""Microseconds in a day."""

KIND_WEIGHTS: Mapping[str, float] = {
    "purchase": 1.0,
    "like": 1.0,
    "cart": 0.5,
    "view": 0.2,
    "click": 0.2,
}
"""How much one interaction of a kind says for an item. Kinds not named here say nothing about taste."""


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


@dataclass(frozen=True, slots=True)
class Items:
    """Items as columns. `codes` int32 [n] (−1 where an id is unknown), `ids` aligned with them.

    `price` float64 in minor units (NaN unknown), `available` bool, `group` int32 (items of one group share a
    number, −1 alone), `first_seen` int64 (0 unknown). `column(name)` gives a free attribute (or `category`,
    `brand`, `name`) as an object array with None where it is missing.
    """

    codes: NDArray[np.int32]
    ids: Sequence[str]
    price: NDArray[np.float64]
    available: NDArray[np.bool_]
    group: NDArray[np.int32]
    first_seen: NDArray[np.int64]
    read_column: Callable[[str, NDArray[np.int32]], Array]

    def __len__(self) -> int:
        return len(self.codes)

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
    `n_customers` is the length of the customer vocabulary.
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

    def __len__(self) -> int:
        return len(self.customer)

    def is_kind(self, *names: str) -> NDArray[np.bool_]:
        """bool [n_rows]: which rows are of one of these kinds."""
        return kind_among(self.kinds, self.kind, names)

    def weights(self, by_kind: Mapping[str, float] = KIND_WEIGHTS) -> NDArray[np.float64]:
        """float64 [n_rows]: the weight of each row's kind, 0 where the row has no item."""
        return kind_weights(self.kinds, self.kind, self.item, by_kind)


@dataclass(frozen=True, slots=True)
class Customers:
    """The customers of one request with what each did up to this moment, oldest first.

    `codes` int32 [n] (−1: unknown). Customer r's rows are `indptr[r]:indptr[r+1]` (int64 [n + 1]) of `item`,
    `kind`, `time`, `quantity`, `rating`, `basket`, which mean what they mean in `History`.
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

    def __len__(self) -> int:
        return len(self.codes)

    def is_kind(self, *names: str) -> NDArray[np.bool_]:
        """bool [n_rows]: which rows are of one of these kinds."""
        return kind_among(self.kinds, self.kind, names)

    def weights(self, by_kind: Mapping[str, float] = KIND_WEIGHTS) -> NDArray[np.float64]:
        """float64 [n_rows]: the weight of each row's kind, 0 where the row has no item."""
        return kind_weights(self.kinds, self.kind, self.item, by_kind)


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


def kind_among(kinds: Sequence[str], kind: NDArray[np.uint16], names: Collection[str]) -> NDArray[np.bool_]:
    """bool [n_rows]: whether each row's kind is one of `names`."""
    table = np.array([name in names for name in kinds] or [False], dtype=np.bool_)
    return table[kind]


def kind_weights(
    kinds: Sequence[str], kind: NDArray[np.uint16], item: NDArray[np.int32], by_kind: Mapping[str, float]
) -> NDArray[np.float64]:
    """float64 [n_rows]: `by_kind` looked up for each row's kind, 0 for kinds not named and rows without an item."""
    table = np.array([by_kind.get(name, 0.0) for name in kinds] or [0.0], dtype=np.float64)
    return np.where(item >= 0, table[kind], 0.0)


__all__ = [
    "DAY",
    "KIND_WEIGHTS",
    "Changes",
    "Csr",
    "Customers",
    "Exclusions",
    "Features",
    "History",
    "Items",
    "kind_among",
    "kind_weights",
]
