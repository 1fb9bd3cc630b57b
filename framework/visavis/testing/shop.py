"""A simulated shop for the demo and for tests: a believable sales file whose answer is known.

Each customer has a taste (a category bought from far more than from others) and habits (goods of that category bought
again and again). So a person can see whether a recommendation makes sense, and a test can count it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

_GOODS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # category: prefix of the stock code, range of prices, names
    "baby": (
        "BAB",
        "4-30",
        (
            "Cotton Bibs, Set of 3", "Bamboo Nappies Size 2", "Teething Ring", "Muslin Blanket", "Silicone Spoon",
            "Baby Bath Oil", "Night Light Bunny", "Carrot and Pea Puree", "Knitted Booties", "Wooden Rattle",
            "Nappy Rash Cream", "Sleeping Bag 6-12 Months", "Stacking Cups", "Hooded Towel Duck", "Milk Bottle 250 ml",
        ),
    ),
    "bath": (
        "BTH",
        "3-25",
        (
            "Lavender Soap Bar", "Sea Salt Scrub", "Rose Hand Cream", "Bath Bombs, Box of 6", "Cedar Shower Gel",
            "Bamboo Toothbrush", "Lip Balm Honey", "Shea Body Butter", "Loofah Sponge", "Eucalyptus Bath Oil",
            "Wooden Hairbrush", "Clay Face Mask", "Linen Towel", "Nail Brush", "Shampoo Bar Nettle",
        ),
    ),
    "books": (
        "BOK",
        "6-35",
        (
            "The Lighthouse Mystery", "A Short History of Bread", "Birds of the Hedgerow", "Letters from the North",
            "The Clockmaker's Daughter", "Poems for Rainy Days", "Walking the Coast Path", "The Quiet Harbour",
            "Stars for Beginners", "The Orchard Murders", "A Winter in Lisbon", "Maps and Their Makers",
            "The Last Ferry", "Night Trains of Europe", "The Beekeeper's Year",
        ),
    ),
    "coffee": (
        "COF",
        "5-40",
        (
            "Espresso Beans 500 g", "Ethiopia Filter Coffee 250 g", "Decaf House Blend 250 g", "Cold Brew Bags",
            "Paper Filters No. 4, 100", "Milk Frother", "Hand Grinder", "Moka Pot 6 Cups", "Descaling Tablets",
            "Colombia Single Origin 250 g", "Cappuccino Cups, Pair", "Barista Oat Drink", "Coffee Scoop, Brass",
            "Travel Press", "Chocolate Coffee Beans",
        ),
    ),
    "garden": (
        "GAR",
        "2-45",
        (
            "Tomato Seeds", "Pruning Shears", "Peat-free Compost 20 l", "Terracotta Pot 20 cm", "Watering Can 5 l",
            "Gardening Gloves", "Basil Seeds", "Liquid Tomato Feed", "Bird Feeder", "Garden Twine",
            "Wildflower Mix", "Hand Trowel", "Plant Labels, Slate", "Slug Collars, Copper", "Kneeling Mat",
        ),
    ),
    "kitchen": (
        "KIT",
        "3-60",
        (
            "Olive Wood Spoon", "Cast Iron Skillet", "Bread Knife", "Mixing Bowl 3 l", "Linen Tea Towel",
            "Beeswax Wraps", "Pepper Mill", "Baking Parchment", "Measuring Jug", "Pastry Brush",
            "Enamel Pie Dish", "Storage Jar 1 l", "Garlic Press", "Rolling Pin", "Kitchen Scales",
        ),
    ),
    "music": (
        "MUS",
        "4-50",
        (
            "Guitar Strings, Light", "Plectrums, Pack of 12", "Ukulele Soprano", "Music Stand", "Capo",
            "Violin Rosin", "Clarinet Reeds 2.5", "Drumsticks 5A", "Piano Book for Beginners", "Clip-on Tuner",
            "Tin Whistle D", "Metronome", "Manuscript Paper", "Kalimba", "Valve Oil",
        ),
    ),
    "pets": (
        "PET",
        "2-35",
        (
            "Salmon Cat Food, 12 Pouches", "Dental Dog Chews", "Cat Litter 10 l", "Rope Toy", "Catnip Mouse",
            "Dog Lead, Leather", "Dry Dog Food 3 kg", "Grooming Brush", "Scratching Post", "Rabbit Hay 1 kg",
            "Poo Bags, Compostable", "Feeding Bowl", "Flea Comb", "Training Treats", "Dog Bed, Medium",
        ),
    ),
    "stationery": (
        "STA",
        "1-25",
        (
            "Dotted Notebook A5", "Gel Pens, Set of 5", "Washi Tape Meadow", "Fountain Pen Ink, Blue", "Sketch Pad A4",
            "Birthday Card Fox", "Wrapping Paper Stars", "Pencils HB, Dozen", "Desk Calendar", "Kraft Envelopes, 25",
            "Wax Seal Kit", "Ruler, Beech", "Sticky Notes", "Correspondence Cards", "Brush Pens",
        ),
    ),
    "tea": (
        "TEA",
        "3-30",
        (
            "Assam Loose Leaf 100 g", "Earl Grey, 50 Bags", "Peppermint Tea", "Sencha Green Tea 100 g", "Chai Spices",
            "Tea Strainer", "Glass Teapot", "Rooibos Vanilla", "Shortbread Tin", "Camomile Tea",
            "Lemon and Ginger Tea", "Oolong 50 g", "Honey Sticks", "Tea Cosy", "Matcha Powder 30 g",
        ),
    ),
}  # fmt: skip
_VARIANTS = ("", "Large", "Gift Box", "Twin Pack", "Limited Edition")
_START = datetime(2025, 1, 6)  # noqa: DTZ001 - sales files carry the shop's wall clock, without a zone
_HEADER = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")

_IN_TASTE = 0.85  # share of a customer's free choices that follow the taste
_GUEST_SHARE = 0.15  # baskets of people who gave no customer number
_RETURN_SHARE = 0.02  # lines that come back
_REPEATED_SHARE = 0.005  # lines that the till really rang up twice


class SaleRow(NamedTuple):
    """One line of the sales file. `customer_id` is empty for a guest; a cancellation has a negative quantity.

    `at` is the shop's local time, `price` is for one piece, in pounds.
    """

    invoice: str
    item_id: str
    description: str
    quantity: int
    at: datetime
    price: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class SimulatedShop:
    """What `simulate_shop` made.

    `rows` is the sales file in order of time. `names` and `categories` are by item id, `tastes` by customer id and
    `habits` gives the items that a customer buys again and again.
    """

    rows: tuple[SaleRow, ...]
    names: Mapping[str, str]
    categories: Mapping[str, str]
    tastes: Mapping[str, str]
    habits: Mapping[str, tuple[str, ...]]

    def write_csv(self, path: str | Path) -> Path:
        """Write the sales file: UTF-8, comma, one header line. An existing file is replaced."""
        path = Path(path)
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(_HEADER)
            for row in self.rows:
                at = row.at.strftime("%Y-%m-%d %H:%M:%S")
                writer.writerow((*row[:4], at, *row[5:], "United Kingdom"))
        return path


class _Line(NamedTuple):
    item: int
    quantity: int


@dataclass(slots=True)
class _Basket:
    at: datetime
    customer_id: str
    lines: list[_Line]
    cancels: bool = False


class _Range:
    """What the shop sells: parallel lists by item number."""

    def __init__(self, items: int, rng: np.random.Generator) -> None:
        self.ids: list[str] = []
        self.names: list[str] = []
        self.category: list[int] = []
        self.price: list[str] = []
        categories = list(_GOODS)
        for number in range(items):
            category = number % len(categories)
            code, prices, names = _GOODS[categories[category]]
            place = number // len(categories)
            self.ids.append(f"{code}{100 + place}")
            self.names.append(_product_name(names, place))
            self.category.append(category)
            low, high = map(int, prices.split("-"))
            self.price.append(f"{low + int((high - low) * rng.beta(1.2, 3)) - 0.05:.2f}")
        # Some goods sell far better than others: Zipf's law in a random order.
        self.popularity = rng.permutation(1.0 / (3.0 + np.arange(items)))


def simulate_shop(*, customers: int = 200, items: int = 120, days: int = 180, seed: int = 1) -> SimulatedShop:
    """Simulate the sales of `days` days from 6 January 2025; equal arguments give equal shops.

    The file holds what real ones hold: guests without a customer number, cancellations with an invoice number that
    begins with C and a negative quantity, and lines that stand twice because they were sold twice. Raises
    `ValueError` unless customers ≥ 1, days ≥ 1 and items ≥ 10 (one a category).
    """
    if customers < 1 or days < 1 or items < len(_GOODS):
        raise ValueError(
            f"customers={customers}, items={items}, days={days}: give at least 1 customer, {len(_GOODS)} items, 1 day"
        )
    rng = np.random.default_rng(seed)
    goods = _Range(items, rng)
    category = np.array(goods.category)
    baskets: list[_Basket] = []
    tastes: dict[str, str] = {}
    habits: dict[str, tuple[str, ...]] = {}
    for number in range(customers):
        customer_id = str(10001 + number)
        taste = int(rng.integers(len(_GOODS)))
        inside = np.flatnonzero(category == taste)
        count = min(len(inside), int(rng.integers(1, 4)))
        habitual = rng.choice(inside, size=count, replace=False, p=_shares(goods.popularity[inside]))
        weights = np.where(category == taste, _IN_TASTE, 0.0) * _shares(goods.popularity, category == taste)
        weights += np.where(category == taste, 0.0, 1 - _IN_TASTE) * _shares(goods.popularity, category != taste)
        tastes[customer_id] = list(_GOODS)[taste]
        habits[customer_id] = tuple(goods.ids[item] for item in habitual)
        baskets.extend(_visits(customer_id, habitual, _shares(weights), days, rng))
    guests = int(len(baskets) * _GUEST_SHARE / (1 - _GUEST_SHARE))
    for _ in range(guests):
        lines = _lines(rng.choice(items, size=1 + rng.poisson(1.0), p=_shares(goods.popularity)), rng)
        baskets.append(_Basket(_moment(float(rng.uniform(0, days)), rng), "", lines))
    baskets.extend(_cancellations(baskets, days, rng))
    baskets.sort(key=lambda basket: (basket.at, basket.customer_id, basket.cancels))
    return SimulatedShop(
        tuple(_rows(baskets, goods)),
        dict(zip(goods.ids, goods.names, strict=True)),
        {item_id: list(_GOODS)[number] for item_id, number in zip(goods.ids, goods.category, strict=True)},
        tastes,
        habits,
    )


def _visits(
    customer_id: str, habitual: np.ndarray, weights: np.ndarray, days: int, rng: np.random.Generator
) -> Iterator[_Basket]:
    """A customer's baskets: due habits, and free choices beside them. The first visit may be late in the period."""
    gap = float(rng.gamma(4.0, 6.0)) + 4.0  # days between visits, 28 on average
    cycles = rng.uniform(0.8, 2.0, size=len(habitual)) * gap
    due = np.zeros(len(habitual))
    day = float(rng.uniform(0, min(days, 1.5 * gap)))
    while day < days:
        bought = [int(item) for item, when in zip(habitual, due, strict=True) if when <= day]
        due = np.where(due <= day, day + cycles * rng.uniform(0.85, 1.15, size=len(due)), due)
        free = rng.choice(len(weights), size=1 + rng.poisson(1.0), p=weights)
        yield _Basket(_moment(day, rng), customer_id, _lines(np.array([*bought, *free]), rng))
        day += float(rng.gamma(4.0, gap / 4.0)) + 1.0


def _lines(chosen: np.ndarray, rng: np.random.Generator) -> list[_Line]:
    lines = []
    for item in dict.fromkeys(int(item) for item in chosen):
        line = _Line(item, 1 + int(rng.poisson(0.4)))
        lines.extend([line, line] if rng.random() < _REPEATED_SHARE else [line])
    return lines


def _cancellations(baskets: list[_Basket], days: int, rng: np.random.Generator) -> Iterator[_Basket]:
    """What comes back, some days later, in whole or in part; never after the last day."""
    end = _START + timedelta(days=days)
    for basket in list(baskets):
        for line in basket.lines:
            if rng.random() >= _RETURN_SHARE:
                continue
            at = basket.at + timedelta(days=int(rng.integers(2, 15)), minutes=int(rng.integers(60)))
            back = int(rng.integers(1, line.quantity + 1))
            if at < end:
                yield _Basket(at, basket.customer_id, [_Line(line.item, -back)], cancels=True)


def _rows(baskets: list[_Basket], goods: _Range) -> Iterator[SaleRow]:
    for number, basket in enumerate(baskets):
        invoice = f"{'C' if basket.cancels else ''}{500001 + number}"
        for item, quantity in basket.lines:
            yield SaleRow(
                invoice, goods.ids[item], goods.names[item], quantity, basket.at, goods.price[item], basket.customer_id
            )


def _moment(day: float, rng: np.random.Generator) -> datetime:
    """A time of the given day within opening hours, 9 to 20 o'clock."""
    return _START + timedelta(days=int(day), hours=9, seconds=int(rng.integers(11 * 3600)))


def _product_name(names: tuple[str, ...], place: int) -> str:
    name, variant = names[place % len(names)], place // len(names)
    if variant == 0:
        return name
    if variant < len(_VARIANTS):
        return f"{name}, {_VARIANTS[variant]}"
    return f"{name}, Series {variant}"


def _shares(weights: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    kept = weights if where is None else np.where(where, weights, 0.0)
    total = kept.sum()
    return kept / total if total > 0 else kept


__all__ = ["SaleRow", "SimulatedShop", "simulate_shop"]
