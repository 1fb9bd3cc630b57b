"""The items, as columns that requests read."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visavis.history import Items
from visavis.live.labels import Bytes, Labels
from visavis.live.vocabulary import GrowingArray, Vocabulary, read_only
from visavis.model import AttributeValue, Item, Money
from visavis.store import Transaction
from visavis.store.items import ItemRow, insert_items, read_items, update_items

if TYPE_CHECKING:
    import duckdb

COLUMNS = ("name", "group_id", "category", "brand")


class Catalog:
    """All items by code. Takes part in transactions: an item is seen once it is committed."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        rows = read_items(cursor)
        self.ids = Vocabulary(row[1] for row in rows)
        self._rows: list[ItemRow] = [ItemRow(*row[:10]) for row in rows]
        self._groups = Vocabulary()
        self._group = GrowingArray(np.array([self._group_code(row.group_id) for row in self._rows], dtype=np.int32))
        self._price = GrowingArray(np.array([_price(row) for row in self._rows], dtype=np.float64))
        self._available = GrowingArray(np.array([row.available for row in self._rows], dtype=np.bool_))
        self._first_seen = GrowingArray(np.array([row[10] for row in rows], dtype=np.int64))
        self._parsed: list[tuple[str, dict[str, Any]] | None] = [None] * len(rows)
        """Attributes of each item as text and read, once somebody asked for them."""
        self._pending: dict[int, tuple[ItemRow, int]] = {}
        self._version = 0
        self._whole: tuple[int, Items] | None = None
        self._labels: Labels | None = None
        self._labelling = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, code: int) -> str:
        """The item's name, or its id where it has none."""
        row = self._rows[code]
        return row.name or row.item_id

    def labels(self) -> tuple[Bytes, NDArray[np.int64]]:
        """Ids and names as UTF-8, see `Labels`. Made when first asked for; ask after you know which items you need."""
        if self._labels is None:
            with self._labelling:
                if self._labels is None:
                    self._labels = Labels((row.item_id, row.name or row.item_id) for row in list(self._rows))
        return self._labels.view

    def row(self, code: int) -> ItemRow:
        return self._rows[code]

    def pending_row(self, code: int) -> ItemRow:
        """Within a transaction: the item as this transaction has it so far."""
        return self._pending[code][0] if code in self._pending else self._rows[code]

    def whole(self) -> Items:
        """The whole catalogue as scorers see it; codes 0 … n − 1."""
        version, whole = self._version, self._whole
        if whole is None or whole[0] != version:
            # The version was read first: what a commit changes meanwhile is read again by whoever comes next.
            whole = self._whole = (version, self.items(np.arange(len(self._rows), dtype=np.int32)))
        return whole[1]

    def items(self, codes: NDArray[np.int32]) -> Items:
        """Some items as scorers see them (−1: unknown). Strangers' code gets them: the arrays are read-only."""
        known = codes >= 0
        safe = np.where(known, codes, 0)

        def take(array: GrowingArray, missing: Any) -> NDArray[Any]:
            if not len(array):
                return read_only(np.full(len(codes), missing, dtype=array.view.dtype))
            return read_only(np.where(known, array.view[safe], missing).astype(array.view.dtype))

        ids = self.ids.texts
        return Items(
            codes=read_only(codes),
            ids=[ids[code] if code >= 0 else "" for code in codes.tolist()],
            price=take(self._price, np.nan),
            available=take(self._available, False),
            group=take(self._group, -1),
            first_seen=take(self._first_seen, 0),
            read_column=self._column,
            read_names=self._names,
        )

    def encode(self, tx: Transaction, item_ids: Sequence[str], at: int) -> NDArray[np.int32]:
        """Codes of items (empty text: −1); an unknown id makes an item of which only the id is known."""
        tx.enlist(self)
        codes = self.ids.find_all(item_ids)
        made: list[ItemRow] = []
        for place in np.flatnonzero(codes < 0).tolist():
            item_id = item_ids[place]
            if item_id:
                code, new = self.ids.encode(item_id)
                codes[place] = code
                if new:
                    made.append(ItemRow(code, item_id, "", "", "", "", None, "", True, ""))
        if made:
            insert_items(tx, made, at)
            self._pending.update({row.code: (row, at) for row in made})
        return codes

    def replace(self, tx: Transaction, rows: Sequence[ItemRow], at: int) -> None:
        """Store these rows for items that `encode` has made sure of."""
        tx.enlist(self)
        update_items(tx, rows, at)
        for row in rows:
            first = self._pending[row.code][1] if row.code in self._pending else at
            self._pending[row.code] = (row, first)

    def commit(self) -> None:
        if not self._pending:
            return  # most transactions meet known items only, and what was made of the whole catalogue stays good
        self.ids.commit_texts()
        with self._labelling:  # whoever makes the labels meanwhile would miss some of these
            for code in sorted(self._pending):
                row, first = self._pending[code]
                if self._labels is not None:
                    # Before the row: whoever finds a new item can write what it is called.
                    self._labels.put(code, row.item_id, row.name or row.item_id)
                self._group.set(code, self._group_code(row.group_id))
                self._price.set(code, _price(row))
                self._available.set(code, row.available)
                if code < len(self._rows):
                    self._rows[code] = row
                else:
                    self._first_seen.set(code, first)
                    self._parsed.append(None)
                    self._rows.append(row)
        self._pending = {}
        # Before the codes: whoever finds a new one is not given a whole catalogue that lacks it.
        self._version += 1
        self.ids.commit_codes()

    def rollback(self) -> None:
        self.ids.rollback()
        self._pending = {}

    def _group_code(self, group_id: str) -> int:
        if not group_id:
            return -1
        code, new = self._groups.encode(group_id)
        if new:
            self._groups.commit()
        return code

    def _column(self, name: str, codes: NDArray[np.int32]) -> NDArray[Any]:
        values = np.full(len(codes), None, dtype=object)
        for place, code in enumerate(codes.tolist()):
            if code >= 0:
                row = self._rows[code]
                if name in COLUMNS:
                    values[place] = getattr(row, name) or None
                elif row.attributes:
                    values[place] = self._attributes(code, row.attributes).get(name)
        return values

    def _names(self) -> list[str]:
        names: set[str] = set()
        for code, row in enumerate(list(self._rows)):
            if row.attributes:
                names.update(self._attributes(code, row.attributes))
        return sorted(names)

    def _attributes(self, code: int, text: str) -> dict[str, Any]:
        """The attributes that `text` says, read once; kept beside it, for a commit may change the item meanwhile."""
        parsed = self._parsed[code]
        if parsed is None or parsed[0] != text:
            parsed = self._parsed[code] = (text, decode_attributes(text))
        return parsed[1]


def to_item(row: ItemRow) -> Item:
    """A stored row as a value of the model."""
    return Item(
        item_id=row.item_id,
        name=row.name,
        group_id=row.group_id,
        category=row.category,
        brand=row.brand,
        price=None if row.price_minor is None else Money(int(row.price_minor), row.currency),
        available=row.available,
        attributes=decode_attributes(row.attributes),
    )


def to_row(code: int, item: Item) -> ItemRow:
    """A value of the model as a stored row."""
    return ItemRow(
        code,
        item.item_id,
        item.name,
        item.group_id,
        item.category,
        item.brand,
        None if item.price is None else item.price.minor_units,
        "" if item.price is None else item.price.currency,
        item.available,
        encode_attributes(item.attributes),
    )


def encode_attributes(attributes: Mapping[str, AttributeValue]) -> str:
    """Free attributes as a JSON object; empty text for none."""
    return json.dumps(dict(attributes), ensure_ascii=False, sort_keys=True) if attributes else ""


def decode_attributes(text: str | None) -> dict[str, AttributeValue]:
    """What `encode_attributes` made; lists come back as tuples."""
    if not text:
        return {}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}


def _price(row: ItemRow) -> float:
    return float("nan") if row.price_minor is None else float(row.price_minor)


__all__ = ["COLUMNS", "Catalog", "decode_attributes", "encode_attributes", "to_item", "to_row"]
